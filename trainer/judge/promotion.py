"""What a judgement does to the pointer: the policy's choice, a pin, or the way back from one.

A pin is a person's word and outranks the verdict. While it stands, what the policy would have
chosen is remembered, and taken up when the pin is removed.
"""

from dataclasses import dataclass
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Promoted
from trainer.contract.request import StageRequest
from trainer.contract.verdict import Verdict
from trainer.judge import pointer
from trainer.judge.pin import PinRefusedError, usable_run
from trainer.store.base import Store
from trainer.store.pointerfile import PointerFile


@dataclass(frozen=True)
class Bid:
    """One judged run, and what it may do to the pointer as it was seen."""

    store: Store
    request: StageRequest
    seen: pointer.Tagged
    own: Promoted | None
    """The run's own adapter; None: it has none."""
    verdict: Verdict | None
    """None: the run has failed; only the pin counts."""
    anchor: str
    """What a promotion by policy is anchored to."""
    work: Path
    now: str


@dataclass(frozen=True)
class Settled:
    """The pointer as it is afterwards."""

    pointer: PointerFile | None
    refused: FailureClass | None = None
    message: str = ""


def settle_pointer(bid: Bid) -> Settled:
    """Move it, or leave it and say why.

    Raises:
        StageError: it moved meanwhile, or the store cannot be read.
    """
    try:
        if bid.request.spec.promotion.pin is not None:
            return Settled(_follow_pin(bid, bid.request.spec.promotion.pin))
        if bid.request.spec.promotion.policy == "Auto":
            return Settled(_follow_policy(bid))
    except PinRefusedError as error:
        message = f"spec.promotion.pin: {error.message}"
        return Settled(bid.seen[0], error.failure, message)
    return Settled(bid.seen[0])


def is_own_choice(request: StageRequest, verdict: Verdict) -> bool:
    """Whether the judged run itself is what pin or policy put in use."""
    promotion = request.spec.promotion
    if promotion.pin is not None:
        return promotion.pin == request.run_id
    return promotion.policy == "Auto" and verdict is Verdict.PROMOTE


def _follow_pin(bid: Bid, run_id: str) -> PointerFile:
    candidate = usable_run(bid.store, run_id, bid.work, time=bid.now)
    is_own = run_id == bid.request.run_id
    verdict = bid.verdict.value if is_own and bid.verdict else ""
    floor = bid.request.promoted_sequence
    moved = pointer.move(bid.store, candidate, bid.seen, floor=floor, by="Pin", verdict=verdict)
    is_chosen = bid.request.spec.promotion.policy == "Auto" and bid.verdict is Verdict.PROMOTE
    if not is_chosen or bid.own is None:
        return moved
    known = pointer.read(bid.store)
    return pointer.keep(bid.store, known, policy_run_id=bid.request.run_id) or moved


def _follow_policy(bid: Bid) -> PointerFile | None:
    current, floor = bid.seen[0], bid.request.promoted_sequence
    if bid.own is not None and bid.verdict is Verdict.PROMOTE:
        return pointer.move(
            bid.store,
            bid.own,
            bid.seen,
            floor=floor,
            by="Unpin" if is_pinned_away(current, bid.own.run_id) else "Policy",
            verdict=bid.verdict.value,
            anchor=bid.anchor,
        )
    if current is None or not is_pinned_away(current, current.policy_choice):
        return current
    earlier = usable_run(bid.store, current.policy_choice, bid.work, time=bid.now)
    return pointer.move(bid.store, earlier, bid.seen, floor=floor, by="Unpin")


def is_pinned_away(current: PointerFile | None, run_id: str) -> bool:
    """Whether a pin left the pointer at another run than the one that the policy chose."""
    if current is None or current.by != "Pin" or not run_id:
        return False
    return current.policy_choice == run_id and current.run_id != run_id
