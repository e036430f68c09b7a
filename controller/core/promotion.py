"""What is said of the adapter in use after a judgement: the condition Promoted, and its events.

``Promoted`` is about what the spec asks to be in use: the pinned run, else the newest run. A pin
that cannot be followed stalls the object although its run has succeeded: nothing heals it but a
change of the spec, and whoever committed a rollback has to see that it did not happen.
"""

from controller.api.conditions import ConditionStatus, ConditionType
from controller.api.reasons import Reason
from controller.core.conditions import find
from controller.core.turn import Turn
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Outcome, Promoted
from trainer.contract.request import Stage
from trainer.contract.verdict import Verdict

C = ConditionType

REFUSALS = frozenset(
    {Reason(FailureClass.INVALID_SPEC.value), Reason(FailureClass.NOT_FOUND.value)}
)
"""Of a pin; no verdict is one of them."""

Said = tuple[ConditionStatus, Reason, str]


def show_promotion(turn: Turn, verdict: Verdict | None, outcome: Outcome) -> Turn:
    """The condition, an event when the pointer moved, and a warning when a pin is refused."""
    truth, reason, text = _said(turn, verdict, outcome)
    shown = turn.holding(C.PROMOTED, truth, reason, text)
    if outcome.refused is not None:
        known = find(turn.status.conditions, C.PROMOTED)
        is_news = known is None or (known.reason, known.message) != (reason, text)
        return shown.telling("Warning", reason, text) if is_news else shown
    return _tell_move(shown)


def is_pointer_lost(turn: Turn, outcome: Outcome) -> bool:
    """Whether the first line names a newer pointer than the details, which may be lost, told."""
    if not outcome.promoted_run_id:
        return False
    known = turn.status.promoted
    return known is None or outcome.sequence > known.sequence


def pin_refusal(turn: Turn) -> tuple[Reason, str] | None:
    """Why the pin was not followed, as the status says it."""
    said = find(turn.status.conditions, C.PROMOTED)
    if said is None or said.status != "False" or said.reason not in REFUSALS:
        return None
    return said.reason, said.message


def _said(turn: Turn, verdict: Verdict | None, outcome: Outcome) -> Said:
    """The first of the rules that holds."""
    promoted, run = turn.status.promoted, turn.run
    promotion = turn.observed.job.spec.promotion
    if outcome.refused is not None:
        return "False", Reason(outcome.refused.value), f"{outcome.message}{_stays(promoted)}"
    if promoted is not None and promoted.run_id == promotion.pin:
        return (
            "True",
            _pinned(promoted),
            f"{_named(promoted)}, by spec.promotion.pin{_next(turn, verdict)}",
        )
    if promoted is not None and promoted.run_id == run.id:
        partial = ", partial" if run.partial else ""
        return "True", Reason.PROMOTED, f"{_named(promoted)}{partial}"
    if verdict is Verdict.PROMOTE and promotion.policy == "Manual":
        text = f"run {run.id} waits for spec.promotion.pin: {run.id}{_stays(promoted)}"
        return "False", Reason.AWAITING_APPROVAL, text
    if verdict is Verdict.NOT_NEEDED and promoted is not None:
        text = f"{_named(promoted)}, stays in use although no tuning is needed on the base model "
        return (
            "True",
            Reason.NOT_NEEDED,
            f"{text}of run {run.number}: pin another, or stop serving it",
        )
    named = f"run {run.id or run.number} is not in use{_stays(promoted)}"
    return "False", Reason(verdict.value if verdict else run.failure), named


def _pinned(promoted: Promoted) -> Reason:
    return Reason.ROLLED_BACK if promoted.by == "Pin" and promoted.back else Reason.PINNED


def _next(turn: Turn, verdict: Verdict | None) -> str:
    """A newer run that the pin keeps from being used."""
    run, pin = turn.run, turn.observed.job.spec.promotion.pin
    if verdict is not Verdict.PROMOTE or run.id == pin:
        return ""
    return f"; run {run.id} has passed: pin it, or remove the pin, to use it"


def _named(promoted: Promoted) -> str:
    return f"run {promoted.run_id}, sequence {promoted.sequence}"


def _stays(promoted: Promoted | None) -> str:
    return "" if promoted is None else f"; {_named(promoted)}, stays in use"


def _tell_move(turn: Turn) -> Turn:
    """Only what moved while this object looked; one that was made again finds what is there."""
    before, promoted = turn.observed.job.status.promoted, turn.status.promoted
    if promoted is None or (before is not None and promoted.sequence <= before.sequence):
        return turn
    if before is None and not turn.run.attempts.get(Stage.TRAIN.value) and promoted.by != "Pin":
        return turn
    reasons = {"Policy": Reason.PROMOTED, "Pin": _pinned(promoted), "Unpin": Reason.PROMOTED}
    why = {"Policy": "", "Pin": ", by spec.promotion.pin", "Unpin": ": spec.promotion.pin is gone"}
    text = f"{_named(promoted)}, is in use{why[promoted.by]}"
    return turn.telling("Normal", reasons[promoted.by], text)
