"""LFS pointers: what a commit holds for a file that is kept elsewhere."""

import re
from dataclasses import dataclass

from trainer.git.objects import SMALL_BYTES

VERSION = re.compile(rb"version https://(git-lfs|hawser)\.github\.com/spec/v1\n")
OID = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
SIZE = re.compile(rb"^size ([0-9]{1,18})$", re.MULTILINE)


@dataclass(frozen=True)
class Pointer:
    """The file that is meant."""

    sha256: str
    size: int


def pointer_of(content: bytes) -> Pointer | None:
    """What a small file points to; None: it is a file like any other."""
    if len(content) >= SMALL_BYTES or not VERSION.match(content):
        return None
    oid, size = OID.search(content), SIZE.search(content)
    if oid is None or size is None:
        return None
    return Pointer(oid[1].decode(), int(size[1]))
