"""What a train pod of several GPUs has beside others: one process for each, and memory they share.

The ranks are processes of one container; ``trainer.launch`` starts them and ends as one of them.
"""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where NCCL's processes exchange data
SHARED_MIB = 512
"""Of that, for each GPU; containerd gives a container 64 MiB, in which NCCL does not start."""
MEMORY_MIB, CPUS = 4096, 1
"""Asked for each rank where the spec asks for nothing; each has a base model to load."""


def options(gpus: int) -> list[str]:
    """Of the train command."""
    return ["--ranks", str(gpus)] if gpus > 1 else []


def volumes(gpus: int) -> list[Json]:
    """Counts as memory of the container as it is used."""
    memory = {"medium": "Memory", "sizeLimit": f"{SHARED_MIB * gpus}Mi"}
    return [{"name": "shared-memory", "emptyDir": memory}] if gpus > 1 else []


def mounts(gpus: int) -> list[Json]:
    """Over the small one that the runtime brings."""
    return [{"name": "shared-memory", "mountPath": SHARED_MEMORY}] if gpus > 1 else []


def requests(alone: Mapping[str, str], gpus: int) -> dict[str, str]:
    """What a train stage asks for by default; ``alone``: with one process."""
    if gpus <= 1:
        return dict(alone)
    return {"cpu": str(CPUS * gpus), "memory": f"{(MEMORY_MIB + SHARED_MIB) * gpus}Mi"}
