"""What a failed test leaves for whoever looks into it: objects, events and logs, as files."""

import os
import tempfile
from pathlib import Path

from cluster.plane import ControlPlane

EVIDENCE_ENV = "TUNEKEEPER_E2E_EVIDENCE"
SYSTEM = "tunekeeper-system"


def collect(plane: ControlPlane, namespace: str, name: str) -> Path:
    """Write it to a new directory below `$TUNEKEEPER_E2E_EVIDENCE`, and return that."""
    top = os.environ.get(EVIDENCE_ENV) or tempfile.mkdtemp(prefix="tunekeeper-e2e-failed-")
    place = Path(top) / name
    place.mkdir(parents=True, exist_ok=True)
    _write(place / "objects.txt", plane, "get", "basemodel,ftj,job,pod", "-A", "-o", "wide")
    _write(place / "events.txt", plane, "get", "events", "-A", "--sort-by=.lastTimestamp")
    _write(place / "jobs.yaml", plane, "get", "basemodel,ftj", "-n", namespace, "-o", "yaml")
    _write(place / "pods.yaml", plane, "get", "job,pod", "-n", namespace, "-o", "yaml")
    for where in (SYSTEM, namespace):
        _write_logs(place, plane, where)
    for log in plane.folder.glob("*.log"):
        (place / log.name).write_bytes(log.read_bytes())
    return place


def _write_logs(place: Path, plane: ControlPlane, namespace: str) -> None:
    for pod in plane.kubectl(
        "get", "pod", "-n", namespace, "-o", "name", check=False
    ).stdout.split():
        path = place / f"{pod.replace('/', '-')}.log"
        _write(path, plane, "logs", "-n", namespace, pod)
        _write(path.with_suffix(".previous.log"), plane, "logs", "--previous", "-n", namespace, pod)


def _write(path: Path, plane: ControlPlane, *arguments: str) -> None:
    ended = plane.kubectl(*arguments, check=False)
    path.write_text(ended.stdout + ended.stderr)
