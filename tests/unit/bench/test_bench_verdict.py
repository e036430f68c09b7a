"""A sample of `make bench-verdict`: its worlds are what they say, and the judge keeps its word."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from builders.judge import evidence

from bench.verdict import errors, exact, looks, power, worlds
from bench.verdict.table import Line, table
from trainer.judge import intervals
from trainer.judge.judgement import judge_evidence

WORLDS = [
    worlds.binary(200, 0.5, 0.5, -0.05),
    worlds.grouped(worlds.clusters(201, 3, uneven=True), 0.1, 0.7, -0.05),
    worlds.graded(200, worlds.few_losses, -0.05),
    worlds.graded(200, worlds.skewed_up, 0.0),
]


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_a_world_has_the_difference_that_it_is_said_to_have(world):
    tuned, base = world.draw(np.random.default_rng(1), 1000)
    means = (tuned - base).mean(axis=1)
    assert abs(means.mean() - world.gain) < 4 * means.std() / len(means) ** 0.5


def test_the_probabilities_of_all_outcomes_add_up_to_one():
    outcomes = exact.Outcomes.of(30, 0.95)
    assert outcomes.probabilities(0.2, 0.05).sum() == pytest.approx(1)
    assert outcomes.probabilities(0.05, 0.0).sum() == pytest.approx(1)


def test_every_outcome_of_30_items_keeps_error_and_coverage():
    found = list(exact.lines((30,), 0.95))
    assert all(line.kept for line in found)
    assert max(line.error for line in found) == pytest.approx(0.0312, abs=1e-4)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_error_and_coverage_are_kept(world):
    assert errors.measure(world, 1000, 0.95, seed=2).kept


def test_fewer_than_20_groups_are_counted_as_refused():
    world = worlds.grouped(worlds.clusters(30, 3, uneven=False), 0.5, 0.1, 0.0)
    found = errors.measure(world, 500, 0.95, seed=3)
    assert (found.refused, found.error, found.coverage) == (500, 0, None)


def test_a_judge_that_errs_is_found_out(monkeypatch):
    monkeypatch.setattr(intervals, "MIN_UNITS", 2)
    monkeypatch.setattr(intervals, "SPARSE_GROUPS", 0)
    world = worlds.grouped(worlds.clusters(30, 10, uneven=False), 0.1, 0.7, -0.05)
    assert not errors.measure(world, 500, 0.95, seed=4).kept


def test_ten_looks_share_one_error():
    assert all(line.kept for line in looks.repeated((60,), 1000, seed=5))


def test_ten_unpaid_looks_would_not(monkeypatch):
    monkeypatch.setattr(looks, "confidence", lambda *_: 0.95)
    assert not all(line.kept for line in looks.repeated((60,), 1000, seed=5))


@pytest.mark.parametrize("kind", looks.KINDS, ids=lambda kind: kind.name)
def test_only_items_of_a_group_differ_together(kind):
    """Else an interval that knows nothing of groups would keep the promise too."""
    draw, luck = np.random.default_rng(9), np.random.default_rng(10).random((20_000, 3))
    change = kind.scores(draw, luck, 0.5) - kind.scores(draw, luck, 0.5)
    together = float(np.corrcoef(change.T)[0, 1])
    assert (together > 0.1) == (kind.size > 1)


def test_three_arms_keep_the_error():
    assert all(line.kept for line in looks.gates((60,), 1000, seed=6))


def test_planned_power_is_kept_exactly():
    assert all(line.kept for line in power.planned(0.95))


def test_stated_power_of_graded_scores_is_kept():
    gate, draw = power.Gate(1, 0.0, 0.95), np.random.default_rng(7)
    assert power.stated_of_kind(draw, gate, power.KINDS["symmetric"], 60, 900).kept


def test_the_fast_way_decides_as_a_whole_judgement_does():
    world = worlds.binary(60, 0.5, 0.5, 0.15)
    tuned, base = world.draw(np.random.default_rng(8), 40)
    low = intervals.paired_differences(tuned, base, world.groups, 0.95).low
    for row in range(len(tuned)):
        case = evidence({"ZeroShot": base[row].tolist()}, tuned[row].tolist())
        assert (judge_evidence(case).verdict == "Promote") is bool(low[row] > 0)


def test_a_broken_promise_is_marked():
    assert "BROKEN" in table([Line(part="errors", world="w", n=30, kept=False, error=0.06)])
