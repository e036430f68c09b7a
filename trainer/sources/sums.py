"""A list of digests that somebody put beside the weights, as ``sha256sum`` writes it.

It saves reading hundreds of gigabytes, and it may be stale: left from an earlier upload, or put
there before the weights were whole. So it counts only where all of this holds: it is newer than
the file; it says the truth of every small file that it names, which are read anyway; and the
file is of the weights. A list that lies all the same costs a failed run, and no wrong adapter:
a run hashes what it fetches and refuses another content than the look announced.
"""

import re
from collections.abc import Mapping
from datetime import datetime

SUMS = "SHA256SUMS"
MAX_SUMS_BYTES = 1 << 20
LINE = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?([^/]+)")


def parse_sums(data: bytes) -> dict[str, str]:
    """sha256 by name; empty where any line is of another kind, or names a file twice."""
    lines = data.decode(errors="replace").splitlines()
    found = [LINE.fullmatch(line) for line in lines if line.strip()]
    sums = {each[2]: each[1] for each in found if each is not None}
    return sums if len(sums) == len(found) else {}


def is_true(sums: Mapping[str, str], small: Mapping[str, str]) -> bool:
    """Whether the list agrees with what was read."""
    return all(sums[name] == digest for name, digest in small.items() if name in sums)


def is_newer(sums: datetime | None, file: datetime | None) -> bool:
    """Whether the list came after the file; in the same second is not after."""
    if sums is None or file is None:
        return False
    return sums.replace(microsecond=0) > file.replace(microsecond=0)
