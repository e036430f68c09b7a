"""Lines come whole, however the stream is cut."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kube import lines as lines_module
from controller.kube.lines import LineTooLongError, lines


async def _stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _lines(pieces: Iterable[bytes]) -> list[bytes]:
    async def read() -> list[bytes]:
        return [line async for line in lines(_stream(pieces))]

    return asyncio.run(read())


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.binary(min_size=1).filter(lambda b: b"\n" not in b and b.strip()), max_size=5),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_any_cut_gives_the_same_lines(whole: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in whole)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert _lines(pieces) == whole


def test_a_last_line_without_an_end_is_dropped() -> None:
    assert _lines([b'{"a":1}\n{"b"', b":2}"]) == [b'{"a":1}']


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 10)
    with pytest.raises(LineTooLongError):
        _lines([b"x" * 6, b"x" * 6])
