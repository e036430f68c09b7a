"""Where trainings are run and broken: folders, and buckets of a real S3 server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builders.ranked import SECTIONS, Outpost
from builders.whole_run import a_base_model
from cluster.s3server import s3_server

SPEC: dict[str, dict[str, Any]] = {
    **SECTIONS,
    "lora": {"rank": 2, "alpha": 4, "dropout": "0.1"},
    "training": {**SECTIONS["training"], "epochs": 3, "batchTokens": 1024},
}
"""Three epochs of about eleven steps; dropout, so that a lost generator state would show."""
BUCKET = "soak"

Ground = Callable[[str], Outpost]
"""A fresh place of that name, with nothing prepared."""


@contextmanager
def file_ground(root: Path) -> Iterator[Ground]:
    """Outputs in folders."""
    yield lambda name: Outpost(root / name, sections=SPEC)


@contextmanager
def s3_ground(root: Path) -> Iterator[Ground]:
    """Outputs in a bucket; what lies there can be seen in the server's folder."""
    with s3_server(root / "s3") as server:
        owner = server.user("soak-user")
        uri = server.bucket(BUCKET, owner)

        def place(name: str) -> Outpost:
            output = {"uri": f"{uri}/{name}", "storage": {"endpoint": server.url}}
            return Outpost(
                root / name,
                environ=owner.environ(),
                sections={**SPEC, "output": output},
                objects=root / "s3" / "objects" / BUCKET / name,
            )

        yield place


GROUNDS = {"file": file_ground, "s3": s3_ground}


def a_base(root: Path) -> Path:
    """The one base model of a sitting: its path is part of an adapter's configuration."""
    return a_base_model(root / "base")
