"""promoted.json for readers: which run is in use, and how the pointer came there."""

from pydantic import Field, ValidationError

from trainer.contract.lineage import Move
from trainer.lineage.record import Loose, unreadable
from trainer.store import layout
from trainer.store.base import MissingError, Store


class PointerMove(Loose):
    """One move, as the judge writes it."""

    sequence: int
    run_id: str
    time: str = ""
    by: str = ""

    def told(self) -> Move:
        """As a document of ours."""
        return Move(sequence=self.sequence, run_id=self.run_id, time=self.time, by=self.by)


class Pointer(PointerMove):
    """The pointer; a file of an older release holds no moves."""

    adapter_digest: str = ""
    base_revision: str = ""
    base_digest: str | None = None
    moves: list[PointerMove] = Field(default=[])

    def history(self) -> list[Move]:
        """Every move that is known, oldest first; the newest always is."""
        known = {move.sequence: move.told() for move in self.moves}
        known.setdefault(self.sequence, self.told())
        return [known[sequence] for sequence in sorted(known)]


def read_pointer(store: Store) -> tuple[Pointer | None, str]:
    """The pointer, or why it cannot be read; neither: nothing was promoted."""
    try:
        return Pointer.model_validate_json(store.read(layout.POINTER)), ""
    except MissingError:
        return None, ""
    except ValidationError as error:
        return None, f"{layout.POINTER}: {unreadable(error)}"
