"""What follows from each failure class: one table, read by the steps and by the command."""

from dataclasses import dataclass
from enum import StrEnum

from trainer.contract.failures import FailureClass as F


class Policy(StrEnum):
    """What is next after an attempt that failed."""

    NEVER = "Never"
    """Another attempt would end the same way; the run fails."""
    BACKOFF = "Backoff"
    """Try again after a growing pause, at most ``retry.maxAttempts`` times."""
    FREE_IF_ADVANCED = "FreeIfAdvanced"
    """As BACKOFF, but it does not count when the checkpoint step advanced."""
    WAIT = "Wait"
    """Try again after a growing pause for as long as it takes: what is missing may arrive."""


@dataclass(frozen=True)
class Rule:
    """One row of the table; ``hint`` is added to the message that people read."""

    policy: Policy
    users: bool = False
    hint: str = ""


_USERS = Rule(Policy.NEVER, users=True)

RULES: dict[F, Rule] = {
    F.INVALID_SPEC: _USERS,
    F.INVALID_DATA: _USERS,
    F.TEST_TOO_SMALL: _USERS,
    F.SECRET_NOT_FOUND: Rule(Policy.WAIT, users=True),
    F.ACCESS_DENIED: _USERS,
    F.NOT_FOUND: _USERS,
    F.OUTPUT_IN_USE: _USERS,
    F.CONDITIONAL_WRITES_UNSUPPORTED: _USERS,
    F.UNAVAILABLE: Rule(Policy.BACKOFF),
    F.NO_PROGRESS: Rule(Policy.BACKOFF),
    F.UNEXPECTED: Rule(Policy.BACKOFF),
    F.INTERRUPTED: Rule(Policy.FREE_IF_ADVANCED),
    F.HOST_OUT_OF_MEMORY: Rule(
        Policy.NEVER,
        hint="give the stage more memory, or lower training.maxSequenceTokens or batchTokens",
    ),
    F.HOST_STORAGE_EXCEEDED: Rule(Policy.NEVER, hint="free or add disk space, then run it again"),
    F.GPU_OUT_OF_MEMORY: Rule(
        Policy.NEVER, hint="lower training.maxSequenceTokens or lora.rank, or use a larger GPU"
    ),
    F.DIVERGED: Rule(
        Policy.NEVER, hint="lower training.learningRate; the last good checkpoint is kept"
    ),
    F.DEADLINE_EXCEEDED: Rule(Policy.NEVER, hint="raise activeDeadlineSeconds"),
    F.BUDGET_EXCEEDED: Rule(Policy.NEVER, hint="raise budget.maxGpuSeconds"),
    F.SUPERSEDED: Rule(
        Policy.NEVER, hint="something else works on this output; let one of the two finish"
    ),
}


MAX_DOUBLINGS = 30
"""More would overflow; every limit is long reached."""


def with_hint(failure: F, message: str) -> str:
    """The message with the table's remedy, where it has one."""
    hint = RULES[failure].hint
    return f"{message}; {hint}" if hint and hint not in message else message


def backoff_s(failures: int, *, base_s: float, cap_s: float) -> float:
    """The pause before the next attempt: doubled by each failure that counted."""
    return min(cap_s, base_s * 2.0 ** min(max(0, failures - 1), MAX_DOUBLINGS))
