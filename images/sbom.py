# ruff: noqa: INP001
"""``sbom.py UV DIRECTORY``: lists of the Python packages in both images, in CycloneDX.

uv writes them from the lock, with the hash of every file that may be installed. The small image's
is also that of the wheel. Here they are made the same for the same commit, and compared with what
the images install: a list that leaves something out is none.
"""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

IMAGES = {"tunekeeper": [], "tunekeeper-trainer": ["--extra", "train"]}
"""What `uv export` is told of each; the Dockerfile says the same."""
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)

Packages = set[tuple[str, str]]


def exported(uv: str, form: str, options: list[str]) -> str:
    """What uv makes of the lock."""
    command = [uv, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project"]
    command += ["--format", form, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def settled(bom: dict[str, Any], name: str, epoch: int) -> dict[str, Any]:
    """The same list for the same lock and time: uv numbers each one anew."""
    root = bom["metadata"]["component"]
    metadata = bom["metadata"] | {
        "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z"),
        "component": root | {"type": "application", "name": name},
    }
    rest = bom | {"metadata": metadata, "serialNumber": ""}
    number = uuid5(NAMESPACE_URL, json.dumps(rest, sort_keys=True))
    return rest | {"serialNumber": f"urn:uuid:{number}"}


def components(bom: dict[str, Any]) -> Packages:
    """Name and version of all that it lists."""
    return {(each["name"], each["version"]) for each in bom["components"]}


def requirements(text: str) -> Packages:
    """Name and version of all that the image's requirements install."""
    return set(REQUIREMENT.findall(text))


def main(uv: str, directory: str) -> int:
    """Write both; returns the exit code."""
    epoch, version = int(os.environ["SOURCE_DATE_EPOCH"]), ""
    for name, options in IMAGES.items():
        bom = settled(json.loads(exported(uv, "cyclonedx1.5", options)), name, epoch)
        missing = requirements(exported(uv, "requirements.txt", options)) - components(bom)
        if missing:
            sys.stderr.write(f"the list of {name} leaves out {sorted(missing)}\n")
            return 1
        version = bom["metadata"]["component"]["version"]
        path = Path(directory) / f"{name}-{version}.cdx.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(bom, indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
