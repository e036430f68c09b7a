"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from math import ceil, cos, pi
from typing import Literal

Scheduler = Literal["Cosine", "Linear", "Constant"]


def rate_factor(step: int, *, steps: int, warmup_percent: int, scheduler: Scheduler) -> float:
    """Factor on the peak rate for 0-based ``step`` of ``steps``, in (0, 1].

    Rises linearly over the warm-up and reaches zero only after the last step.
    """
    warmup = ceil(steps * warmup_percent / 100)
    if step < warmup:
        return (step + 1) / warmup
    left = 1 - (step - warmup) / max(1, steps - warmup)
    match scheduler:
        case "Cosine":
            return 0.5 * (1 + cos(pi * (1 - left)))
        case "Linear":
            return left
        case "Constant":
            return 1.0
