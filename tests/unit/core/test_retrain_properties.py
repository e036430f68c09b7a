"""However a source moves: no content is trained on twice for one spec, and the spend is bounded."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from builders.jobs import Scene, a_job
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.failures import FailureClass

PERIOD_S = 3600
REVISIONS = ("a", "b", "c")

Step = tuple[str, Any]


def visit(revision: str) -> list[Step]:
    """A revision that stays for as long as a run on it takes."""
    return [("pass", 4000), ("move", revision), *[("end", None)] * 3]


STEPS = st.lists(
    st.one_of(
        *[st.sampled_from(REVISIONS).map(visit)] * 4,
        st.tuples(st.just("move"), st.sampled_from(REVISIONS)),
        st.tuples(st.just("pass"), st.sampled_from([60, 1800, 4000])),
        st.tuples(st.just("end"), st.sampled_from([None, None, None, FailureClass.DIVERGED])),
        st.tuples(st.just("line"), st.integers(0, 2)),
        st.tuples(st.just("suspend"), st.booleans()),
    ),
    min_size=6,
    max_size=30,
).map(lambda steps: [one for step in steps for one in (step if isinstance(step, list) else [step])])


def stepped(scene: Scene, what: str, value: Any) -> Scene:
    """The world moves; nobody has decided yet."""
    if what == "end":
        return ended(scene, value)
    moves = {
        "move": lambda: scene.moved(value),
        "pass": lambda: scene.passed(value),
        "line": lambda: replace(scene, retrain_position=value),
        "suspend": lambda: scene.edited(suspend=value),
    }
    return moves[what]()


def ended(scene: Scene, failure: FailureClass | None) -> Scene:
    if not any(child.is_unfinished for child in scene.children):
        return scene
    if scene.live.is_stopped:
        return scene.ended(scene.live, exit_code=143)
    return scene.worked() if failure is None else scene.failed(failure)


@settings(max_examples=150, deadline=None, database=None)
@given(
    steps=STEPS,
    policy=st.sampled_from(["Forbid", "Replace"]),
    limit=st.sampled_from([0, 10]),
)
def test_no_moves_train_the_same_twice_and_the_period_bounds_the_spend(
    steps: list[Step], policy: str, limit: int
) -> None:
    retrain = {"policy": "Auto", "concurrencyPolicy": policy, "minPeriodSeconds": PERIOD_S}
    scene = Scene(job=a_job(baseModel={"name": "smol"}, retrain=retrain, historyLimit=limit))
    scene = scene.moved("a").settled()
    over: Counter[str | None] = Counter()
    begun: list[datetime] = []
    for what, value in steps:
        before = scene
        scene = stepped(scene, what, value)
        for _ in range(10):  # one decision at a time, so that no run is missed
            after = scene.stepped()
            note(scene, after, over, begun)
            if after == scene:
                break
            scene = after
        assert scene.job.spec.model_copy(update={"suspend": False}) == (
            before.job.spec.model_copy(update={"suspend": False})
        )
    assert all(count == 1 for count in over.values())
    pauses = [(b - a).total_seconds() for a, b in pairwise(begun)]
    assert all(pause >= PERIOD_S for pause in pauses)


def note(before: Scene, after: Scene, over: Counter[str | None], begun: list[datetime]) -> None:
    """Count runs that a base model made, and runs that end, by what they were for."""
    old, new = before.job.status.run, after.job.status.run
    assert new is not None
    if (old is None or old.number != new.number) and new.trigger == "BaseModel":
        begun.append(after.now)
    was_over = old is not None and old.number == new.number and old.end_time is not None
    if new.end_time is not None and not was_over and new.base_model is not None:
        over[new.base_model.content_digest] += 1
