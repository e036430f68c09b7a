"""What follows from each failure class: one table, for runs and for the errands of BaseModels.

Everything that ends an attempt, keeps one from starting or makes an errand fail is a row. To change
the retry policy of a class, change its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.api.meta import RERUN_ANNOTATION
from controller.api.reasons import Reason
from controller.core.children import Obstacle
from trainer.contract.failures import FailureClass

R = Reason


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
    SHOWN = "Shown"
    """No attempt has failed: what keeps it from starting shows for as long as it does."""


class Seer(StrEnum):
    """Who sees that it is so."""

    STAGE = "Stage"
    """It says so in its outcome, or by its exit code."""
    CONTROLLER = "Controller"
    """From Jobs, pods, events, and the API server's answers."""
    EITHER = "Either"
    ERRAND = "Errand"
    """A stage that works for a BaseModel; no run meets it."""


@dataclass(frozen=True)
class Rule:
    """One row."""

    seen_by: Seer
    policy: Policy
    remedy: str
    """What a person can do about it."""
    users: bool = False
    """Whether it is the user's to mend: the exit code of the command."""
    is_said: bool = False
    """Whether a run that ends with it adds the remedy; else the stage's own words have it."""
    errand: str = ""
    """The remedy where it is an errand that meets it: a BaseModel has no ``spec.compute``."""
    stalls: bool = False
    """Whether a BaseModel stalls by it: only a person can mend it. It is tried again anyhow."""

    def is_free(self, *, has_advanced: bool) -> bool:
        """Whether the attempt does not count towards ``retry.maxAttempts``."""
        by_step = self.policy is Policy.FREE_IF_ADVANCED and has_advanced
        return by_step or self.policy in (Policy.WAIT, Policy.SHOWN)


_STAGE, _CONTROLLER, _EITHER, _ERRAND = Seer
_NEVER, _BACKOFF, _FREE, _WAIT, _SHOWN = Policy

RULES: Mapping[str, Rule] = {
    # What the user asked for, or gave us.
    R.INVALID_SPEC: Rule(
        _EITHER,
        _NEVER,
        "correct the field that the message names",
        users=True,
        errand="correct the spec",
        stalls=True,
    ),
    R.INVALID_DATA: Rule(_STAGE, _NEVER, "mend the rows that status.data.errors names", users=True),
    R.TEST_TOO_SMALL: Rule(
        _STAGE, _NEVER, "add rows, or raise dataset.split.testPercent", users=True
    ),
    R.OUTPUT_IN_USE: Rule(_STAGE, _NEVER, "choose another output.uri", users=True),
    R.CONDITIONAL_WRITES_UNSUPPORTED: Rule(
        _STAGE, _NEVER, "use a store that honours If-None-Match and If-Match", users=True
    ),
    # What is missing outside the spec.
    R.SECRET_NOT_FOUND: Rule(
        _STAGE,
        _WAIT,
        "create the Secret with that key, or correct the spec",
        users=True,
        errand="create the Secret with that key, or correct the spec",
        stalls=True,
    ),
    R.ACCESS_DENIED: Rule(
        _STAGE,
        _WAIT,
        "mend the Secret's values or the rights of its identity, or correct the spec",
        users=True,
        errand="mend the Secret's values or the rights of its identity",
        stalls=True,
    ),
    R.NOT_FOUND: Rule(
        _STAGE,
        _WAIT,
        f"bring what is missing, correct the spec, or begin anew by {RERUN_ANNOTATION}",
        users=True,
        errand="correct the spec, or bring what it names",
        stalls=True,
    ),
    # What goes wrong while it works.
    R.UNAVAILABLE: Rule(_STAGE, _BACKOFF, "see that the store or the Hub can be reached"),
    R.NO_PROGRESS: Rule(_STAGE, _BACKOFF, "read the log of the attempt"),
    R.UNEXPECTED: Rule(_EITHER, _BACKOFF, "read the log of the attempt, and report it"),
    R.HOST_OUT_OF_MEMORY: Rule(
        _EITHER,
        _NEVER,
        "raise compute.resources (compute.cpuStageResources for prepare and judge), or lower"
        " training.maxSequenceTokens or lora.rank",
        is_said=True,
    ),
    R.HOST_STORAGE_EXCEEDED: Rule(
        _EITHER, _NEVER, "free or add disk space, then run it again", is_said=True
    ),
    R.GPU_OUT_OF_MEMORY: Rule(
        _STAGE,
        _NEVER,
        "lower training.maxSequenceTokens or lora.rank, or use a larger GPU",
        is_said=True,
    ),
    R.DIVERGED: Rule(
        _STAGE,
        _NEVER,
        "lower training.learningRate; the last good checkpoint is kept",
        is_said=True,
    ),
    R.DEADLINE_EXCEEDED: Rule(
        _EITHER, _NEVER, "raise activeDeadlineSeconds", users=True, is_said=True
    ),
    R.BUDGET_EXCEEDED: Rule(
        _EITHER, _NEVER, "raise budget.maxGpuSeconds", users=True, is_said=True
    ),
    R.SUPERSEDED: Rule(
        _STAGE,
        _NEVER,
        "something else works on this output; let one of the two finish",
        is_said=True,
    ),
    # What the cluster, or a person, does to an attempt.
    R.INTERRUPTED: Rule(_EITHER, _FREE, "nothing: it goes on from its newest checkpoint"),
    R.PREEMPTED: Rule(_CONTROLLER, _FREE, "give it a higher compute.priorityClassName, or wait"),
    R.EVICTED: Rule(
        _CONTROLLER, _FREE, "see why its node let go of it: a drain, a taint, pressure"
    ),
    R.NODE_LOST: Rule(
        _CONTROLLER,
        _FREE,
        "if the node is gone for good, delete the Node object: only you can know that its pod is"
        " dead, and until then nothing may start beside it",
    ),
    R.JOB_LOST: Rule(_CONTROLLER, _FREE, "leave the children to the operator; suspend by the spec"),
    # What keeps an attempt from starting.
    R.IMAGE_PULL: Rule(
        _CONTROLLER,
        _SHOWN,
        "check the name of the image, that the node can reach its registry, and"
        " spec.compute.imagePullSecrets",
        errand="check the operator's setting image, and that nodes can reach its registry",
    ),
    R.CONTAINER_CONFIG: Rule(
        _CONTROLLER,
        _SHOWN,
        "check the image, which has to run as a user other than root, given by number, and"
        " spec.compute",
        errand="check the operator's setting image",
    ),
    R.UNSCHEDULABLE: Rule(
        _CONTROLLER,
        _SHOWN,
        "check spec.compute (gpus, resources, nodeSelector, tolerations, affinity,"
        " cacheVolumeClaim) against the nodes, or add one",
        errand="add a node, or room on one: it is a small pod without a GPU",
    ),
    R.NOT_ADMITTED: Rule(
        _CONTROLLER,
        _SHOWN,
        "it starts when Kueue admits it; if that never comes, see that Kueue runs, that this"
        " namespace has the LocalQueue, and that its ClusterQueue could ever have room for"
        " spec.compute",
    ),
    R.QUOTA_EXCEEDED: Rule(
        _CONTROLLER,
        _SHOWN,
        "it starts when the quota has room; raise the quota or end other work",
        errand="it starts when the quota has room; raise the quota or end other work",
    ),
    R.ADMISSION_DENIED: Rule(
        _CONTROLLER,
        _SHOWN,
        "create what it names, or change spec.compute or the policy; it is tried again by itself",
        errand="change the policy; it is tried again",
    ),
    R.NAME_CONFLICT: Rule(
        _CONTROLLER,
        _SHOWN,
        "delete it or let it be deleted, it is never touched from here",
        errand="delete it or let it be deleted, it is never touched from here",
    ),
    R.PENDING: Rule(_CONTROLLER, _SHOWN, "look at the events of the pod"),
    R.STOPPING: Rule(
        _CONTROLLER,
        _SHOWN,
        "if its node is lost, or it was made by somebody else, delete its pod",
        errand="if its node is lost, delete its pod",
    ),
    # What a failure class does not tell of a BaseModel's source: trainer.contract.errand.Cause.
    R.RATE_LIMITED: Rule(_ERRAND, _BACKOFF, "give it a token by secretRef"),
    R.UNSAFE_WEIGHTS: Rule(
        _ERRAND,
        _BACKOFF,
        "publish the weights as safetensors",
        errand="publish the weights as safetensors; pickles are never opened",
        stalls=True,
    ),
    R.MARKER_NOT_FOUND: Rule(
        _ERRAND,
        _BACKOFF,
        "put the marker on the line of the revision",
        errand="put the marker on the line of the revision, or correct writeBack.git",
        stalls=True,
    ),
}

Failure = Reason | FailureClass
"""A row by its name, as the controller or a stage writes it."""

MAX_DOUBLINGS = 30
"""More would overflow; every limit is long reached."""


def hindrance(reason: Reason, said: str, remedy: str = "") -> Obstacle:
    """What keeps an attempt from starting; without a better remedy, with the table's."""
    return Obstacle(reason, said, remedy or RULES[reason].remedy)


def with_hint(failure: Failure, message: str) -> str:
    """The message with the table's remedy, where the stage's own words have none."""
    rule = RULES[failure]
    return f"{message}; {rule.remedy}" if rule.is_said and rule.remedy not in message else message


def while_waiting(failure: Failure, message: str) -> str:
    """The message with what to mend, and that nobody needs to ask for another try."""
    remedy = RULES[failure].remedy
    return f"{message}; {remedy}; it is tried again by itself, next at status.run.notBefore"


def given_up(failure: Failure, message: str, attempts: int) -> str:
    """The last message of what might heal and did not in time; of anything else, as it is."""
    if RULES[failure].policy not in (Policy.BACKOFF, Policy.FREE_IF_ADVANCED):
        return message
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    again = f"a changed spec, or a new value of the annotation {RERUN_ANNOTATION}, starts again"
    return f"{message}; given up after {tries} that count (spec.retry.maxAttempts); {again}"


def backoff_s(failures: int, *, base_s: float, cap_s: float) -> float:
    """The pause before the next attempt: doubled by each failure that counted."""
    return min(cap_s, base_s * 2.0 ** min(max(0, failures - 1), MAX_DOUBLINGS))
