"""What follows from each failure class: one table, read by the steps and by the command."""

from dataclasses import dataclass
from enum import StrEnum

from controller.api.meta import RERUN_ANNOTATION
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
    """Try again after a growing pause for as long as it takes: what is missing may arrive.

    Its cause often lies outside the spec: a Secret, a bucket made later, data uploaded after the
    commit. Nobody should have to touch the object for that.
    """


@dataclass(frozen=True)
class Rule:
    """One row of the table; ``hint`` is added to the message that people read at the end."""

    policy: Policy
    users: bool = False
    hint: str = ""
    remedy: str = ""
    """What to mend while an object waits; the stage's own message may say it better."""


_USERS = Rule(Policy.NEVER, users=True)

RULES: dict[F, Rule] = {
    F.INVALID_SPEC: _USERS,
    F.INVALID_DATA: _USERS,
    F.TEST_TOO_SMALL: _USERS,
    F.SECRET_NOT_FOUND: Rule(
        Policy.WAIT, users=True, remedy="create the Secret with that key, or correct the spec"
    ),
    F.ACCESS_DENIED: Rule(
        Policy.WAIT,
        users=True,
        remedy="mend the Secret's values or the rights of its identity, or correct the spec",
    ),
    F.NOT_FOUND: Rule(
        Policy.WAIT,
        users=True,
        remedy=f"bring what is missing, correct the spec, or begin anew by {RERUN_ANNOTATION}",
    ),
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
    F.DEADLINE_EXCEEDED: Rule(Policy.NEVER, users=True, hint="raise activeDeadlineSeconds"),
    F.BUDGET_EXCEEDED: Rule(Policy.NEVER, users=True, hint="raise budget.maxGpuSeconds"),
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


def while_waiting(failure: F, message: str) -> str:
    """The message with what to mend, and that nobody needs to ask for another try."""
    remedy = RULES[failure].remedy
    return f"{message}; {remedy}; it is tried again by itself, next at status.run.notBefore"


def given_up(failure: F, message: str, attempts: int) -> str:
    """The last message of what might heal and did not in time; of anything else, as it is."""
    if RULES[failure].policy not in (Policy.BACKOFF, Policy.FREE_IF_ADVANCED):
        return message
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    again = f"a changed spec, or a new value of the annotation {RERUN_ANNOTATION}, starts again"
    return f"{message}; given up after {tries} that count (spec.retry.maxAttempts); {again}"


def backoff_s(failures: int, *, base_s: float, cap_s: float) -> float:
    """The pause before the next attempt: doubled by each failure that counted."""
    return min(cap_s, base_s * 2.0 ** min(max(0, failures - 1), MAX_DOUBLINGS))
