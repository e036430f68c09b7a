"""Results that are asked for again and again about the same few objects."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")

KEPT = 64
"""More objects than are worked on at once."""


def of_newest(compute: Callable[[ArgumentT], ResultT]) -> Callable[[ArgumentT], ResultT]:
    """The function, with its results for the few objects that it was last asked about.

    By identity, so only for arguments that nobody changes, as frozen models are.
    """
    known: dict[int, tuple[ArgumentT, ResultT]] = {}  # an entry keeps its object, and so its id

    @wraps(compute)
    def remembered(argument: ArgumentT) -> ResultT:
        entry = known.get(id(argument))
        if entry is None:
            if len(known) >= KEPT:
                del known[next(iter(known))]
            entry = known[id(argument)] = (argument, compute(argument))
        return entry[1]

    return remembered
