"""How long training may go on, so that its adapter can still be evaluated within the limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.arms.forgetting import ACTIVITY as FORGETTING
from trainer.limit import TimeLimit
from trainer.store.manifest import TUNED

FLOOR_S = 10.0
"""Publishing takes a while too, and a base arm that was answered before tells nothing."""


@dataclass(frozen=True)
class Allowance:
    """The limit, and what has to be left of it when training ends."""

    limit: TimeLimit
    evaluation_s: float = FLOOR_S

    def is_over(self, next_s: float) -> bool:
        """Whether an action of so many seconds would no longer leave enough."""
        return self.limit.left_s() < self.evaluation_s + next_s


def evaluation_s(parts: Sequence[tuple[str, str, float]], seconds: Mapping[str, float]) -> float:
    """Estimated time of the tuned arm and the general text.

    By the slowest of the base arms that were timed: of one whose answers an earlier attempt left,
    only the reading was.
    """
    weights = {name: weight for name, _, weight in parts}
    paces = [took / weights[arm] for arm, took in seconds.items() if weights.get(arm)]
    ahead = weights.get(TUNED, 0.0) + weights.get(FORGETTING, 0.0)
    return max(FLOOR_S, max(paces, default=0.0) * ahead)
