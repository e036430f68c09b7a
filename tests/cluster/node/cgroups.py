"""The cgroups of one node: one of a given name in every hierarchy, version 1 or 2."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
REMOVED_WITHIN_S = 10.0


def make(name: str) -> str:
    """Make it everywhere; returns the path that the kubelet's cgroupRoot wants."""
    for root in hierarchies():
        (root / name).mkdir()
    return f"/{name}"


def remove(name: str) -> None:
    """Remove it and everything below; its processes must be dead or dying."""
    for root in hierarchies():
        if (root / name).exists():
            _remove_tree(root / name)


def limits_memory() -> bool:
    """Whether the kernel counts and bounds the memory of a cgroup here."""
    controllers = MOUNTED / "cgroup.controllers"
    if controllers.exists():
        return "memory" in controllers.read_text().split()
    return (MOUNTED / "memory" / "memory.limit_in_bytes").exists()


def hierarchies() -> list[Path]:
    """Mounted hierarchies, each once."""
    if (MOUNTED / "cgroup.controllers").exists():
        return [MOUNTED]
    found = {path.parent.resolve() for path in MOUNTED.glob("*/cgroup.procs")}
    return sorted(found)


def _remove_tree(top: Path) -> None:
    deadline = time.monotonic() + REMOVED_WITHIN_S
    for group in _deepest_first(top):
        while not _is_removed(group) and time.monotonic() < deadline:
            time.sleep(0.05)  # the kernel counts a dead process out a moment later


def _deepest_first(top: Path) -> Iterator[Path]:
    for child in [path for path in top.iterdir() if path.is_dir()]:
        yield from _deepest_first(child)
    yield top


def _is_removed(group: Path) -> bool:
    with suppress(FileNotFoundError):
        try:
            group.rmdir()
        except OSError:
            return False
    return True
