"""What counts as a look, what a look costs, and that none is lost."""

import math

import pytest
from builders.finished import NOON, a_context, finish
from builders.judge import span
from builders.requests import ZERO

from trainer.contract.failures import FailureClass
from trainer.contract.limit import PartialTraining
from trainer.contract.spec import Evaluation
from trainer.data.prepared import open_prepared
from trainer.errors import StageError
from trainer.judge import alpha, ledger
from trainer.judge.ledger import Look
from trainer.store import layout
from trainer.store.base import ConditionError
from trainer.store.file import FileStore
from trainer.store.manifest import TUNED

SPLIT = "sha256:" + "5" * 64
OTHER = "sha256:" + "6" * 64


def a_look(**fields):
    known = {
        "look": 1,
        "recipe": "first",
        "generation_hash": ZERO,
        "run_id": "run-1",
        "base_digest": ZERO,
        "time": NOON.isoformat(),
    }
    return Look(**(known | fields))


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "output")


SECOND = [
    pytest.param({"recipe": "second", "run_id": "run-2"}, SPLIT, 2, id="another recipe"),
    pytest.param({"generation_hash": OTHER}, SPLIT, 2, id="other generation settings"),
    pytest.param({}, SPLIT, 1, id="the same answers, other thresholds"),
    pytest.param({"run_id": "run-2", "base_digest": OTHER}, SPLIT, 1, id="a newer base"),
    pytest.param({"recipe": "second", "run_id": "run-2"}, OTHER, 1, id="a fresh test split"),
]


@pytest.mark.parametrize(("fields", "split", "look"), SECOND)
def test_a_look_counts_when_it_is_a_new_chance_to_win(store, fields, split, look):
    ledger.take(store, SPLIT, a_look())
    assert ledger.take(store, split, a_look(**fields)).look == look


def test_a_partial_training_is_a_look_of_its_own_and_of_the_same_recipe(store):
    cut = PartialTraining(step=40, max_steps=100, limit=FailureClass.DEADLINE_EXCEEDED)
    partial, whole = ledger.looked_at("first", cut), ledger.looked_at("first", None)
    numbers = [ledger.take(store, SPLIT, a_look(recipe=name)).look for name in (partial, whole)]
    assert numbers == [1, 2]
    assert ledger.recipe_of(store, "run-1") == "first"


def test_looks_go_on_counting_and_old_ones_keep_their_number(store):
    recipes = ["a", "b", "c"]
    numbers = [ledger.take(store, SPLIT, a_look(recipe=name, run_id=name)).look for name in recipes]
    assert numbers == [1, 2, 3]
    assert ledger.take(store, SPLIT, a_look(recipe="b", run_id="b")).look == 2


def test_a_look_remembers_what_it_was_taken_against(store):
    ledger.take(store, SPLIT, a_look(against="0" * 16))
    assert ledger.take(store, SPLIT, a_look(against="")).against == "0" * 16


class Racing(FileStore):
    """A store in which another judge writes a look just before ours, a few times."""

    def __init__(self, root, races):
        super().__init__(root)
        self.races = races

    def write(self, key, data, **conditions):
        if self.races > 0:
            self.races -= 1
            name = f"rival-{self.races}"
            ledger.take(FileStore(self._root), SPLIT, a_look(recipe=name, run_id=name))
        return super().write(key, data, **conditions)


def test_two_judges_at_once_lose_no_look(tmp_path):
    store = Racing(tmp_path / "output", races=3)
    assert ledger.take(store, SPLIT, a_look()).look == 4


def test_a_ledger_that_is_always_taken_can_be_retried(tmp_path):
    class Taken(FileStore):
        def write(self, key, *_args, **_conditions):
            raise ConditionError(key)

    with pytest.raises(StageError) as caught:
        ledger.take(Taken(tmp_path), SPLIT, a_look())
    assert caught.value.failure is FailureClass.UNAVAILABLE


def test_a_damaged_ledger_stops_the_judge_instead_of_counting_from_one(store):
    store.write(layout.LEDGER, b"{}x")
    with pytest.raises(StageError, match="is not a ledger"):
        ledger.take(store, SPLIT, a_look())


@pytest.mark.parametrize(
    ("look", "level"),
    [
        pytest.param(1, 0.96960, id="first"),
        pytest.param(2, 0.99240, id="second"),
        pytest.param(10, 0.99970, id="tenth"),
    ],
)
def test_each_look_pays_its_share(look, level):
    assert alpha.confidence(Evaluation(), look) == pytest.approx(level, abs=5e-6)
    assert alpha.confidence(Evaluation(looks="Report"), look) == pytest.approx(0.95)


def test_all_looks_together_cost_no_more_than_allowed():
    total = math.fsum(alpha.spent(0.05, look) for look in range(1, 100_000))
    assert 0.0499 < total < 0.05


def recipe_with(tmp_path, **sections):
    ctx = a_context(tmp_path, **sections)
    finish(ctx, {"ZeroShot": span(0, 1, 20), TUNED: span(0, 1, 20)})
    plan = open_prepared(ctx.store, ctx.request.run_id, ctx.work).plan
    return ledger.recipe(ctx.request, plan)


RECIPES = [
    pytest.param({"training": {"learningRate": "5e-4"}}, False, id="another learning rate"),
    pytest.param({"lora": {"rank": 8}}, False, id="another rank"),
    pytest.param({"rerun": "again"}, False, id="a rerun"),
    pytest.param({"training": {"stallSeconds": 60}}, True, id="another watchdog"),
    pytest.param({"evaluation": {"minDelta": "0.1"}}, True, id="another threshold"),
    pytest.param({"lora": {"dropout": "0.0"}}, True, id="a number spelled otherwise"),
]


@pytest.mark.parametrize(("sections", "same"), RECIPES)
def test_a_recipe_is_what_makes_the_candidate(tmp_path, sections, same):
    changed, plain = recipe_with(tmp_path, **sections), recipe_with(tmp_path)
    assert (changed == plain) is same
