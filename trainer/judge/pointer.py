"""promoted.json: which adapter is in use. Moved by compare-and-swap, numbered upwards."""

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Promoted
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import ConditionError, MissingError, Store

Tagged = tuple[Promoted | None, str | None]


def read(store: Store) -> Tagged:
    """The pointer and its tag; None for both before the first promotion."""
    try:
        data, tag = store.read_tagged(layout.POINTER)
    except MissingError:
        return None, None
    try:
        return Promoted.model_validate_json(data), tag
    except ValueError:
        message = f"{store.uri}/{layout.POINTER} is not a pointer that this version reads"
        raise StageError(FailureClass.INVALID_SPEC, message) from None


def move(store: Store, candidate: Promoted, seen: Tagged, *, floor: int = 0) -> Promoted:
    """Point at the candidate, if the pointer still is what the verdict was reached against.

    Pointing at the adapter that is there already changes nothing. ``floor`` is the newest
    sequence that the status knows, so that a lost pointer file does not count backwards.

    Raises:
        StageError: somebody else moved it; judge again against the new one.
    """
    current, tag = seen
    if current is not None and _same_adapter(current, candidate):
        return current
    sequence = max(floor, current.sequence if current else 0) + 1
    moved = candidate.model_copy(update={"sequence": sequence})
    data = moved.model_dump_json(indent=1).encode()
    try:
        store.write(layout.POINTER, data, if_none_match=tag is None, if_match=tag)
    except ConditionError:
        message = f"{layout.POINTER} was moved during the judgement; the stage can be retried"
        raise StageError(FailureClass.UNAVAILABLE, message) from None
    return moved


def _same_adapter(current: Promoted, candidate: Promoted) -> bool:
    ours, theirs = candidate, current
    return (ours.run_id, ours.adapter_digest) == (theirs.run_id, theirs.adapter_digest)
