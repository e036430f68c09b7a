"""The table of failure classes is whole, and nothing fails or waits beside it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.jobs import Scene, a_job

from controller.api.reasons import Reason
from controller.core import failures
from controller.core.children import ChildState, Ending
from controller.core.failures import RULES, Policy, Rule, Seer
from controller.shell.pods import BY_SOMEBODY, DISRUPTIONS, TAKEN
from trainer.contract.errand import Cause
from trainer.contract.failures import EXIT_CODES, FailureClass

CONTROLLER = Path(failures.__file__).parents[1]
ISSUE = """
InvalidSpec InvalidData TestTooSmall SecretNotFound AccessDenied NotFound OutputInUse
ConditionalWritesUnsupported Unavailable ImagePull Unschedulable NotAdmitted QuotaExceeded
AdmissionDenied HostOutOfMemory HostStorageExceeded GpuOutOfMemory Diverged NoProgress Interrupted
Preempted Evicted NodeLost DeadlineExceeded BudgetExceeded Superseded JobLost NameConflict
Unexpected
"""
BESIDES = {"ContainerConfig", "Pending", "Stopping", *Cause}
"""Further waits, and what only the source of a BaseModel can say."""


def test_the_table_has_every_class_and_each_is_a_reason() -> None:
    assert set(RULES) == {*ISSUE.split(), *BESIDES}
    assert set(RULES) <= {reason.value for reason in Reason}


def test_what_a_stage_can_say_is_what_the_table_says_that_a_stage_sees() -> None:
    by_stage = {kind for kind, rule in RULES.items() if rule.seen_by in (Seer.STAGE, Seer.EITHER)}
    assert by_stage == set(FailureClass) == set(EXIT_CODES)
    assert {kind for kind, rule in RULES.items() if rule.seen_by is Seer.ERRAND} == set(Cause)


@pytest.mark.parametrize("kind", RULES)
def test_every_class_has_a_remedy(kind: str) -> None:
    rule = RULES[kind]
    assert rule.remedy
    assert rule.errand or not rule.stalls, "what a person has to mend of an errand says how"


def test_whatever_takes_a_pod_away_is_free_only_when_its_checkpoint_advanced() -> None:
    taken = [*DISRUPTIONS.values(), *TAKEN.values(), BY_SOMEBODY]
    kinds = {ending.failure for ending in taken} | {Reason.JOB_LOST}
    assert {RULES[kind].policy for kind in kinds} == {Policy.FREE_IF_ADVANCED}


@pytest.mark.parametrize(
    ("policy", "has_advanced", "is_free"),
    [
        (Policy.NEVER, True, False),
        (Policy.BACKOFF, True, False),
        (Policy.FREE_IF_ADVANCED, True, True),
        (Policy.FREE_IF_ADVANCED, False, False),
        (Policy.WAIT, False, True),
        (Policy.SHOWN, False, True),
    ],
)
def test_an_attempt_counts_as_its_policy_says(
    policy: Policy, has_advanced: bool, is_free: bool
) -> None:
    rule = Rule(Seer.EITHER, policy, "do this")
    assert rule.is_free(has_advanced=has_advanced) is is_free


ENDINGS = [kind for kind, rule in RULES.items() if rule.policy is not Policy.SHOWN]


@pytest.mark.parametrize("kind", [k for k in ENDINGS if RULES[k].seen_by is not Seer.ERRAND])
def test_a_change_of_one_row_changes_what_follows(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Scene(job=a_job(retry={"maxAttempts": 5})).settled()
    ended = ended.ended(ended.live, ending=Ending(Reason(kind), "because"))
    expected = {Policy.NEVER: "Failed", Policy.BACKOFF: "Pending", Policy.WAIT: "Pending"}
    for policy, phase in expected.items():
        monkeypatch.setitem(RULES, kind, Rule(Seer.EITHER, policy, "do this"))  # type: ignore[arg-type]
        run = ended.settled().job.status
        assert run.phase == phase
        assert run.run.waits == (1 if policy is Policy.WAIT else 0)
        assert run.run.failures == (1 if policy is Policy.BACKOFF else 0)


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Where the controller calls that, file by file."""
    for path in sorted(CONTROLLER.rglob("*.py")):
        place = path.relative_to(CONTROLLER).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield place, node


def test_every_obstacle_is_made_by_the_table() -> None:
    assert [place for place, _ in calls("Obstacle")] == ["core/failures.py"]


@pytest.mark.parametrize("maker", ["hindrance", "Ending", "end_failed", "_fail"])
def test_every_class_that_is_named_where_one_is_made_is_a_row(maker: str) -> None:
    named = [
        (place, part.attr)
        for place, call in calls(maker)
        for argument in call.args
        for part in ast.walk(argument)
        if isinstance(part, ast.Attribute) and part.attr.isupper()
    ]
    assert named or maker == "_fail"
    assert [(place, name) for place, name in named if Reason[name] not in RULES] == []


def test_a_wait_never_ends_an_attempt() -> None:
    shown = {kind for kind, rule in RULES.items() if rule.policy is Policy.SHOWN}
    endings = [*DISRUPTIONS.values(), *TAKEN.values(), BY_SOMEBODY]
    assert shown.isdisjoint({*FailureClass, *(ending.failure for ending in endings)})


def test_an_attempt_that_was_preempted_counts_unless_its_checkpoint_advanced() -> None:
    scene = Scene().settled().succeeded().settled()
    taken = Ending(Reason.PREEMPTED, "preempted by a pod of higher priority")
    silent = scene.ended(scene.live, disruption=taken).settled()
    counted = silent.found_nothing().settled().job.status
    assert (counted.run.failures, counted.phase) == (1, "Pending")
    told = scene.reporting(disruption=taken, state=ChildState.RUNNING)
    free = told.failed(FailureClass.INTERRUPTED, checkpoint_step=7).settled().job.status
    assert (free.run.failures, free.run.attempt, free.run.checkpoint_step) == (0, 2, 7)
