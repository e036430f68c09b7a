"""How much memory this process may use: the tightest of its container's limits and the machine.

Reads what the kernel says, cgroup v2 and v1 alike. Imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CGROUPS = "sys/fs/cgroup"


@dataclass(frozen=True)
class MemoryLimit:
    """What there is, and who says so."""

    bytes: int
    source: str


def memory_limit(root: Path = Path("/")) -> MemoryLimit | None:
    """The smallest limit that holds for this process; None: the kernel does not tell.

    A container without a limit has what its machine has, swap included.
    """
    machine = machine_bytes(root)
    known = [MemoryLimit(machine, "the machine has")] if machine else []
    known += [MemoryLimit(limit, f"{file} of the container says") for limit, file in limits(root)]
    return min(known, key=lambda limit: limit.bytes, default=None)


def limits(root: Path) -> Iterator[tuple[int, str]]:
    """Every limit on the way from this process's cgroup up to the root that it can see."""
    for folder, group, file in hierarchies(root):
        # In a container the group's path is the host's and its folder is the root: both are tried.
        for place in (group, *group.parents):
            limit = _number(folder / str(place).lstrip("/") / file)
            if limit is not None:
                yield limit, file


def hierarchies(root: Path) -> Iterator[tuple[Path, PurePosixPath, str]]:
    """The mounted hierarchy that accounts memory, this process's group in it, and its file."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        group = PurePosixPath("/", *(part for part in path.split("/") if part != ".."))
        if number == "0" and not controllers:
            yield root / CGROUPS, group, "memory.max"
        elif "memory" in controllers.split(","):
            yield root / CGROUPS / "memory", group, "memory.limit_in_bytes"


def machine_bytes(root: Path) -> int:
    """Memory and swap of the machine; 0: the kernel does not tell."""
    pairs = (line.split() for line in _text(root / "proc/meminfo").splitlines())
    kib = {pair[0]: int(pair[1]) for pair in pairs if pair[1:] and pair[1].isdecimal()}
    return (kib.get("MemTotal:", 0) + kib.get("SwapTotal:", 0)) << 10


def _number(file: Path) -> int | None:
    """None: no such file, or ``max``."""
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
