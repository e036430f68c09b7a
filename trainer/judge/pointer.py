"""Moves promoted.json, by compare-and-swap and numbered upwards. What it holds is ``pointerfile``.

The anchor keeps quality from creeping down: each run on a newer base may be a little worse than
what it is held against, so it is held against the best that was ever promoted, not the last.
"""

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Move, MoveBy, Promoted
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import ConditionError, MissingError, Store
from trainer.store.pointerfile import MAX_MOVES, PointerFile

Tagged = tuple[PointerFile | None, str | None]


def read(store: Store) -> Tagged:
    """The pointer and its tag; None for both before the first promotion."""
    try:
        data, tag = store.read_tagged(layout.POINTER)
    except MissingError:
        return None, None
    try:
        return PointerFile.model_validate_json(data), tag
    except ValueError:
        message = f"{store.uri}/{layout.POINTER} is not a pointer that this version reads"
        raise StageError(FailureClass.INVALID_SPEC, message) from None


def move(
    store: Store,
    candidate: Promoted,
    seen: Tagged,
    *,
    floor: int = 0,
    by: MoveBy = "Policy",
    verdict: str = "",
    anchor: str = "",
) -> PointerFile:
    """Point at the candidate, if the pointer still is what the verdict was reached against.

    Pointing at the adapter that is there already is no move; a pin that names it accepts it as
    the anchor all the same. ``floor`` is the newest sequence that the status knows, so that a
    lost pointer file does not count backwards. ``anchor``: empty for the candidate's own run.

    Raises:
        StageError: somebody else moved it; judge again against the new one.
    """
    current, _ = seen
    if current is not None and _same_adapter(current, candidate):
        accepted = {"anchor_run_id": candidate.run_id} if by == "Pin" else {}
        return keep(store, seen, **accepted) or current
    sequence = max(floor, current.sequence if current else 0) + 1
    past = current.history if current is not None else []
    is_same_run = current is not None and current.run_id == candidate.run_id
    last = Move(
        sequence=sequence, run_id=candidate.run_id, time=candidate.time, by=by, verdict=verdict
    )
    chosen = candidate.run_id if by != "Pin" else current.policy_choice if current else ""
    fields = candidate.model_dump() | {
        "sequence": sequence,
        "by": by,
        "back": not is_same_run and any(one.run_id == candidate.run_id for one in past),
        "anchor_run_id": anchor or candidate.run_id,
        "policy_run_id": chosen,
        "moves": [*past, last][-MAX_MOVES:],
    }
    return _write(store, PointerFile.model_validate(fields), seen)


def keep(store: Store, seen: Tagged, **fields: str) -> PointerFile | None:
    """The pointer where it is, with something else remembered; nothing new writes nothing."""
    current, _ = seen
    if current is None:
        return None
    changed = current.model_copy(update=fields)
    return current if changed == current else _write(store, changed, seen)


def _write(store: Store, file: PointerFile, seen: Tagged) -> PointerFile:
    tag = seen[1]
    data = file.model_dump_json(indent=1).encode()
    try:
        store.write(layout.POINTER, data, if_none_match=tag is None, if_match=tag)
    except ConditionError:
        message = f"{layout.POINTER} was moved during the judgement; the stage can be retried"
        raise StageError(FailureClass.UNAVAILABLE, message) from None
    return file


def _same_adapter(current: Promoted, candidate: Promoted) -> bool:
    ours, theirs = candidate, current
    return (ours.run_id, ours.adapter_digest) == (theirs.run_id, theirs.adapter_digest)
