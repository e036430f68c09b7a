"""The fault suite's own judge: each promise, broken on purpose, is seen to be broken."""

from typing import Any

import pytest
from faults.history import CHILD, JOB, POD, Change
from faults.invariants import broken_promises

UID = "object-1"
ENDED = [{"type": "Complete", "status": "True"}]


def labelled(uid: str, stage: str, attempt: int) -> dict[str, str]:
    told = {"uid": uid, "run": "1", "stage": stage, "attempt": str(attempt)}
    return {f"tunekeeper.dev/{name}": value for name, value in told.items()}


def meta(uid: str, **fields: Any) -> dict[str, Any]:
    return {"uid": uid, "name": uid, "generation": 1, **fields}


def an_object(stage: str = "train", attempt: int = 1, **status: Any) -> dict[str, Any]:
    attempts = {stage: attempt, **({"train": 1} if stage == "judge" else {})}
    run = {"number": 1, "stage": stage, "attempt": attempt, "attempts": attempts}
    return {
        "metadata": meta(UID),
        "spec": {},
        "status": {"observedGeneration": 1, "run": run, **status},
    }


def a_child(
    stage: str = "train", attempt: int = 1, conditions: Any = (), **fields: Any
) -> dict[str, Any]:
    name = f"{stage}-{attempt}"
    found = meta(name, labels=labelled(UID, stage, attempt), **fields)
    return {"metadata": found, "status": {"conditions": list(conditions)}}


def a_pod(child: dict[str, Any], phase: str = "Running") -> dict[str, Any]:
    of = child["metadata"]
    owner = {"uid": of["uid"]}
    found = meta(f"pod-of-{of['uid']}", labels=of["labels"], ownerReferences=[owner])
    return {"metadata": found, "status": {"phase": phase}}


def told(*changes: tuple[str, str, dict[str, Any]]) -> list[Change]:
    return [
        Change(revision, 0.0, kind, type_, obj)
        for revision, (kind, type_, obj) in enumerate(changes, start=1)
    ]


RECORDED = (JOB, "ADDED", an_object())
CREATED = (CHILD, "ADDED", a_child())
FINISHED = (CHILD, "MODIFIED", a_child(conditions=ENDED))
SECOND = (JOB, "MODIFIED", an_object(attempt=2))
SUCCEEDED = an_object(conditions=[{"type": "Finished", "status": "True"}])
FOREIGN = {"metadata": meta("theirs", labels={"tunekeeper.dev/foreign": "yes"})}

BROKEN = {
    "a second trainer beside the first": (
        "I1 one trainer",
        [RECORDED, CREATED, SECOND, (CHILD, "ADDED", a_child(attempt=2))],
    ),
    "a Job beside a pod that outlived its own": (
        "I1 no pod alive",
        [
            RECORDED,
            CREATED,
            (POD, "ADDED", a_pod(a_child())),
            (CHILD, "DELETED", a_child()),
            SECOND,
            (CHILD, "ADDED", a_child(attempt=2)),
        ],
    ),
    "a Job before its record": ("write-ahead", [(JOB, "ADDED", an_object("prepare")), CREATED]),
    "a Job of an object that is gone": (
        "write-ahead",
        [RECORDED, (JOB, "DELETED", an_object()), CREATED],
    ),
    "a result that goes before it is recorded": (
        "I2 result kept",
        [RECORDED, CREATED, FINISHED, (CHILD, "DELETED", a_child(conditions=ENDED))],
    ),
    "an attempt that goes back": ("I3 no regress", [SECOND, (JOB, "MODIFIED", an_object())]),
    "a stage that goes back": (
        "I3 no regress",
        [(JOB, "ADDED", an_object("judge")), (JOB, "MODIFIED", an_object())],
    ),
    "an end that is no more": (
        "I3 no regress",
        [(JOB, "ADDED", SUCCEEDED), (JOB, "MODIFIED", an_object())],
    ),
    "a generation that goes back": (
        "I3 no regress",
        [RECORDED, (JOB, "MODIFIED", an_object(observedGeneration=0))],
    ),
    "a foreign Job that is deleted": (
        "I8 foreign untouched",
        [(CHILD, "ADDED", FOREIGN), (CHILD, "DELETED", FOREIGN)],
    ),
}


@pytest.mark.parametrize(("promise", "changes"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_promise_is_seen(promise: str, changes: list) -> None:
    assert promise in {one.promise for one in broken_promises(told(*changes))}


def test_a_good_life_breaks_nothing() -> None:
    pod = a_pod(a_child())
    life = told(
        RECORDED,
        CREATED,
        (POD, "ADDED", pod),
        (POD, "MODIFIED", {**pod, "status": {"phase": "Succeeded"}}),
        FINISHED,
        (JOB, "MODIFIED", an_object("judge")),
        (CHILD, "ADDED", a_child("judge")),
        (CHILD, "DELETED", a_child(conditions=ENDED)),
        (CHILD, "ADDED", FOREIGN),
    )
    assert broken_promises(life) == []


NEXT = (CHILD, "ADDED", a_child(attempt=2))
DECIDED = [{"type": "SuccessCriteriaMet", "status": "True"}]
ENDING = {
    "it has decided and only counts": a_child(conditions=DECIDED),
    "it is being deleted": a_child(deletionTimestamp="2026-01-01T00:00:00Z"),
}


@pytest.mark.parametrize("ending", ENDING.values(), ids=ENDING.keys())
def test_a_job_that_starts_no_pod_any_more_may_be_followed_when_its_pods_have_ended(
    ending: dict,
) -> None:
    life = [RECORDED, CREATED, (CHILD, "MODIFIED", ending), SECOND]
    assert broken_promises(told(*life, NEXT)) == []
    alive = (POD, "ADDED", a_pod(a_child()))
    assert {one.promise for one in broken_promises(told(*life, alive, NEXT))} == {"I1 no pod alive"}


def test_what_people_did_breaks_no_promise() -> None:
    wiped = {**an_object(), "status": {}}
    life = told(RECORDED, (JOB, "MODIFIED", wiped))
    assert broken_promises(life)
    assert broken_promises(life, by_hand={2}) == []
