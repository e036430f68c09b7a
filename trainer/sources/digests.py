"""Digests of large files, remembered while the files stay as they are.

Hashing 540 MB takes a second and every stage asks; a file with the same path, inode, size and
time of change is the same file. The memory lives in the cache directory of the one who runs, so
it is for that person's own directories; a volume that others write to is not believed.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from trainer.store.checked import blocks

MIN_REMEMBERED_BYTES = 8 << 20


class DigestCache:
    """sha256 by path; a damaged or foreign memory only costs time."""

    def __init__(self, cache: Path, on_bytes: Callable[[int], None]) -> None:
        self._directory = cache / "digests"
        self._on_bytes = on_bytes

    def sha256(self, path: Path) -> str:
        """Hexadecimal sha256 of the file."""
        size = path.stat().st_size
        if size < MIN_REMEMBERED_BYTES:
            return hash_file(path, self._on_bytes)
        identity = identity_of(path)
        memory = self._directory / f"{sha256(str(path).encode()).hexdigest()[:32]}.json"
        known = recall(memory, identity)
        if known is not None:
            self._on_bytes(size)
            return known
        digest = hash_file(path, self._on_bytes)
        if identity_of(path) == identity:  # nobody wrote to it while we read
            remember(memory, identity, digest)
        return digest


def hash_file(path: Path, on_bytes: Callable[[int], None]) -> str:
    """Hexadecimal sha256 of a file read in full."""
    digest = sha256()
    for block in blocks(path):
        digest.update(block)
        on_bytes(len(block))
    return digest.hexdigest()


def identity_of(path: Path) -> list[int | str]:
    """What changes when the file does; ctime cannot be set back by a user."""
    stat = path.stat()
    return [str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def recall(memory: Path, identity: list[int | str]) -> str | None:
    """The digest noted for exactly this file."""
    try:
        document = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or document.get("identity") != identity:
        return None
    digest = document.get("sha256")
    return digest if isinstance(digest, str) and len(digest) == sha256().digest_size * 2 else None


def remember(memory: Path, identity: list[int | str], digest: str) -> None:
    """Note a digest; a cache that cannot be written is no failure."""
    staged = memory.with_name(f"{memory.name}.{uuid4().hex}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps({"identity": identity, "sha256": digest}), encoding="utf-8")
        staged.replace(memory)
    except OSError:
        staged.unlink(missing_ok=True)
