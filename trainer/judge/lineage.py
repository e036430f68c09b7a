"""Which test items two runs can both be asked about: in both test splits, trained on by neither.

The frozen split makes that so as a rule, and nothing here relies on it: a user's own test file,
new groups or ids that were given out anew can put a row that one run is tested on into what the
other was trained on. So the prepared rows are looked at, by their ids and by what they say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainer.data.prepared import Prepared
from trainer.judge.evidence import Item
from trainer.judge.reading import items_of

Said = tuple[str, str]


@dataclass(frozen=True)
class Shared:
    """Indices of our test items, and how many more were left out since a run trained on them."""

    indices: Sequence[int]
    trained_on: int


@dataclass(frozen=True)
class TrainedRows:
    """What a run has seen in training or validation."""

    ids: frozenset[str]
    said: frozenset[Said]

    def has(self, item: Item) -> bool:
        """Whether an item is among them, under its id or another."""
        return item.id in self.ids or said(item) in self.said


def shared_items(ours: Prepared, items: Sequence[Item], theirs: Prepared) -> Shared:
    """Our test items that the other run was tested on as well."""
    their_items = {item.id: said(item) for item in items_of(theirs.test)}
    common = [n for n, item in enumerate(items) if their_items.get(item.id) == said(item)]
    seen = [trained_rows(run) for run in (ours, theirs)]
    kept = [n for n in common if not any(rows.has(items[n]) for rows in seen)]
    return Shared(kept, len(common) - len(kept))


def trained_rows(run: Prepared) -> TrainedRows:
    """Of one run."""
    rows = list(_trained_on(run))
    return TrainedRows(frozenset(row.id for row in rows), frozenset(map(said, rows)))


def said(item: Item) -> Said:
    """What a row says, wherever it stands and whatever it is called."""
    return item.question, item.reference


def _trained_on(run: Prepared) -> Iterator[Item]:
    yield from items_of(run.train)
    yield from items_of(run.validation)
