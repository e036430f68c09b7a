"""Git objects that came: files on a scratch disk, trees and commits in memory.

Each is kept under the name that its content has, so what comes damaged is not what was asked for.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
KINDS = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}


class Store:
    """Objects by their names in hexadecimal digits; files are as large as they like."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._small: dict[bytes, tuple[int, bytes]] = {}

    def add(self, kind: int, size: int, blocks: Iterable[bytes]) -> bytes:
        """Take an object in; returns its name."""
        digest = hashlib.sha1(b"%s %d\0" % (KINDS[kind], size), usedforsecurity=False)
        if kind == BLOB:
            return self._add_file(digest, blocks)
        content = b"".join(blocks)
        digest.update(content)
        name = digest.hexdigest().encode()
        self._small[name] = kind, content
        return name

    def path(self, name: bytes) -> Path:
        """Where a file's content lies."""
        text = name.decode()
        return self._folder / text[:2] / text[2:]

    def has(self, name: bytes) -> bool:
        """Whether it is here."""
        return name in self._small or self.path(name).is_file()

    def kind(self, name: bytes) -> int:
        """What it is."""
        return self._small[name][0] if name in self._small else BLOB

    def content(self, name: bytes) -> bytes:
        """All of it, in memory.

        Raises:
            KeyError: it is not here.
        """
        if name in self._small:
            return self._small[name][1]
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None

    def _add_file(self, digest: "hashlib._Hash", blocks: Iterable[bytes]) -> bytes:
        coming = self._folder / "coming"
        with coming.open("wb") as file:
            for block in blocks:
                digest.update(block)
                file.write(block)
        name = digest.hexdigest().encode()
        path = self.path(name)
        path.parent.mkdir(exist_ok=True)
        coming.replace(path)
        return name
