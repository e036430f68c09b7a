"""The lives that are disturbed: what their pods do and what their user does, fault or no fault."""

from collections.abc import Callable
from dataclasses import dataclass

from cluster.pod import Pod
from faults.rig import Rig
from faults.verdict import INTERRUPTED

from trainer.contract.failures import FailureClass

Ends = Callable[[Rig, Pod], bool]


@dataclass(frozen=True)
class Scenario:
    """One life; ``phase`` is where it ends."""

    name: str
    phase: str
    ends: Ends
    """Ends a pod; False: not yet."""
    user: Callable[[Rig], None]
    stages: tuple[str, ...]
    """Those that have a pod, in order."""
    spec: tuple[tuple[str, object], ...] = ()
    allows: frozenset[str] = frozenset()
    """How its end may differ under any fault; see ``verdict.ALLOWANCES``."""
    points: tuple[str, ...] = ()
    """Others that its user comes to."""
    without: frozenset[tuple[str, str]] = frozenset()
    """Kinds, by point, that it cannot live through."""


def only_watches(rig: Rig) -> None:
    """The user has nothing to do."""


def works(_rig: Rig, pod: Pod) -> bool:
    """Every stage does its work."""
    pod.succeeded()
    return True


def finds_bad_data(_rig: Rig, pod: Pod) -> bool:
    """Prepare refuses the data."""
    pod.failed(FailureClass.INVALID_DATA, "train.jsonl:3 has no messages")
    return True


def fails_once(rig: Rig, pod: Pod) -> bool:
    """The first train pod of an object finds the store away."""
    uid = pod.labels["tunekeeper.dev/uid"]
    if pod.stage != "train" or uid in rig.memory:
        return works(rig, pod)
    rig.memory.add(uid)
    pod.failed(FailureClass.UNAVAILABLE, "the store is away")
    return True


def fails_often(_rig: Rig, pod: Pod) -> bool:
    """Train needs seven attempts; the first one's Job is cleaned up meanwhile."""
    if pod.stage == "train" and int(pod.labels["tunekeeper.dev/attempt"]) < OFTEN:
        pod.failed(FailureClass.UNAVAILABLE, "the store is away")
    else:
        pod.succeeded()
    return True


def works_once_resumed(rig: Rig, pod: Pod) -> bool:
    """Train goes on until the object was suspended and resumed."""
    if pod.stage == "train" and RESUMED not in rig.memory:
        return False
    return works(rig, pod)


def suspends_mid_train(rig: Rig) -> None:
    """Suspend while a train pod runs; resume when nothing runs any more."""
    rig.until(lambda: not rig.fault.is_due_at("train"), "what is done by hand is done")
    rig.until(lambda: rig.has_running("train") and rig.phase() == "Running", "it trains")
    rig.edit(suspend=True)
    rig.until(lambda: rig.phase() == "Suspended" and not rig.alive(), "it is suspended")
    rig.at_point("suspended")
    rig.memory.add(RESUMED)
    rig.edit(suspend=False)


RESUMED, OFTEN = "resumed", 7

WHOLE = ("prepare", "train", "judge")
SUCCESS = Scenario("success", "Succeeded", works, only_watches, WHOLE)
BAD_DATA = Scenario("bad-data", "Failed", finds_bad_data, only_watches, ("prepare",))
RETRIED = Scenario("retried", "Succeeded", fails_once, only_watches, WHOLE)
SUSPENDED = Scenario(
    "suspended",
    "Succeeded",
    works_once_resumed,
    suspends_mid_train,
    WHOLE,
    allows=frozenset({INTERRUPTED}),
    points=("suspended",),
    without=frozenset({("job-orphaned", "train")}),  # nobody can suspend a pod without an owner
)
OFTEN_RETRIED = Scenario(
    "often-retried",
    "Succeeded",
    fails_often,
    only_watches,
    WHOLE,
    (("retry", {"maxAttempts": 10}),),
)
SCENARIOS = (SUCCESS, BAD_DATA, RETRIED, SUSPENDED)
EVERY_SCENARIO = (*SCENARIOS, OFTEN_RETRIED)
