"""Points in time that were written down, read by a clock that may have been set since."""

from datetime import datetime

RETRY_CAP_S = 600.0
"""The longest pause before another attempt, unless the operator's settings say otherwise."""


SKEW_S = 5.0
"""By which another replica's clock may be ahead."""


def left_s(until: datetime | None, now: datetime, longest_s: float) -> float:
    """Seconds until then; none, where more are left than any pause has.

    Such a time was written by a clock that was set back since, and nobody should wait for it.
    """
    left = 0.0 if until is None else (until - now).total_seconds()
    return left if left <= longest_s + SKEW_S else 0.0
