"""What follows from a failure of an errand, by the one table, and the pause before the next.

Whatever failed is tried again by itself. A failure that only a person can mend is said to be one
(Stalled), and heals as soon as a look finds it mended.
"""

from datetime import datetime, timedelta

from controller.api.basemodel import ErrandFailure
from controller.core.failures import RULES, backoff_s

REMEDIES = {str(kind): rule.errand for kind, rule in RULES.items() if rule.stalls}
"""Of the failures that a person has to mend, by reason."""

MAX_ASKED_S = 86400.0
"""The longest that a source can send us away for: its word may be nonsense."""


def is_users(reason: str) -> bool:
    """Whether it heals by a person alone."""
    return reason in REMEDIES


def next_failure(
    known: ErrandFailure | None,
    told: ErrandFailure,
    *,
    now: datetime,
    asked_s: float | None,
    base_s: float,
    cap_s: float,
) -> ErrandFailure:
    """The failure as it is stored: counted, and not to be tried before a growing pause.

    ``asked_s`` is the source's own word of when it may be asked again.
    """
    is_counted = known is not None and known.not_before is not None
    failures = known.failures + 1 if known is not None and is_counted else 1
    pause_s = backoff_s(failures, base_s=base_s, cap_s=cap_s)
    if asked_s is not None:
        pause_s = min(max(asked_s, base_s), MAX_ASKED_S)
    not_before = now + timedelta(seconds=pause_s)
    return told.model_copy(update={"failures": failures, "not_before": not_before})


def said(what: str, failure: ErrandFailure, place: str) -> str:
    """The message that people read: what was wrong, what to do, when it is tried again."""
    remedy = REMEDIES.get(failure.reason)
    parts = [f"{what}: {failure.message or failure.reason}"]
    if remedy is not None and remedy not in failure.message:
        parts.append(remedy)
    parts.append(f"it is tried again by itself, next at status.{place}.notBefore")
    return "; ".join(parts)
