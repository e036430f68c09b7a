"""Cuts a stream into lines, however its pieces fall."""

from collections.abc import AsyncIterator

# etcd holds at most 1.5 MiB per object; as JSON in a watch event it stays far below this.
MAX_LINE_BYTES = 16 << 20


class LineTooLongError(ValueError):
    """More than MAX_LINE_BYTES without an end."""


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Every whole line without its end. A last line that was cut off is not an event: dropped."""
    rest = bytearray()
    async for piece in pieces:
        start = len(rest)
        rest += piece
        end = rest.rfind(b"\n", start)
        if end < 0:
            _check(rest)
            continue
        whole, rest = bytes(rest[:end]), rest[end + 1 :]
        for line in whole.split(b"\n"):
            if line.strip():
                yield line


def _check(rest: bytearray) -> None:
    if len(rest) > MAX_LINE_BYTES:
        raise LineTooLongError(f"a line of more than {MAX_LINE_BYTES} bytes")
