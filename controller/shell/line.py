"""Who waits, oldest first. Joining, leaving and counting those ahead cost little in a long line."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from controller.core.positions import EXACT_POSITIONS
from controller.kube.objects import Key


@dataclass(frozen=True, order=True)
class Place:
    """A place in the line: the oldest object first, then by name."""

    created: datetime
    key: Key
    uid: str


class Line:
    """Places in their order; one per uid."""

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self._by_uid = {place.uid: place for place in places}
        self._places = sorted(self._by_uid.values())

    def __len__(self) -> int:
        """How many wait."""
        return len(self._places)

    def ahead(self, place: Place) -> int:
        """How many of them are older than it."""
        return bisect_left(self._places, place)

    def join(self, place: Place) -> bool:
        """Whether it was not in the line before."""
        known = self._by_uid.get(place.uid)
        if known == place:
            return False
        self.leave(place.uid)
        self._by_uid[place.uid] = place
        insort(self._places, place)
        return known is None

    def leave(self, uid: str) -> int | None:
        """Where it stood, from 0; None: nowhere."""
        place = self._by_uid.pop(uid, None)
        if place is None:
            return None
        index = bisect_left(self._places, place)
        del self._places[index]
        return index

    def moved(self, first: int, free: int) -> Iterator[tuple[Place, int]]:
        """Those from the index on who see that all of them moved by one, with their positions.

        Far behind only few do: a position is shown coarsely there. So what one move costs is
        bounded, however long the line is.
        """
        for seen in _seeing(first + 1 - free, len(self._places) - free):
            yield self._places[seen + free - 1], seen


def position(place: Place, line: Line, free: int) -> int:
    """0: a slot is free for it; n: it is the n-th of those for whom there is none."""
    return max(0, line.ahead(place) + 1 - free)


def _seeing(first: int, last: int) -> Iterator[int]:
    """Positions in the range that are shown otherwise than one of their neighbours.

    Those below 0 have been free to go since an earlier move; 0 is since this one.
    """
    exact = EXACT_POSITIONS + 1
    yield from range(max(first, 0), min(last, exact) + 1)
    scale = 10
    while scale - 1 <= last:
        edges = (step * scale + side for step in range(1, 10) for side in (-1, 0))
        yield from (edge for edge in edges if max(first, exact + 1) <= edge <= last)
        scale *= 10
