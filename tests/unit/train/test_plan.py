"""The plan of a training: whole epochs, even steps, bounded micro-batches, a smooth rate."""

from itertools import chain
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.train.plan import evaluation_steps, micro_batches, plan_steps
from trainer.train.schedule import rate_factor

LENGTHS = st.lists(st.integers(2, 300), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 4), st.integers(1, 2000), st.integers(0, 99))
def test_every_epoch_has_every_document_once(lengths, epochs, batch_tokens, seed):
    steps = plan_steps(lengths, epochs=epochs, batch_tokens=batch_tokens, max_steps=None, seed=seed)
    for epoch in range(1, epochs + 1):
        own = [step for step in steps if ceil(step.epoch) == epoch]
        members = chain.from_iterable(step.documents for step in own)
        assert sorted(members) == list(range(len(lengths)))
        assert own[-1].epoch == epoch


@given(LENGTHS, st.integers(50, 2000))
def test_no_step_is_far_from_the_wanted_size(lengths, batch_tokens):
    steps = plan_steps(lengths, epochs=1, batch_tokens=batch_tokens, max_steps=None, seed=1)
    for step in steps:
        tokens = sum(lengths[i] for i in step.documents)
        assert tokens <= 1.5 * batch_tokens + 2 * max(lengths) or len(steps) == len(lengths)


def test_epochs_are_shuffled_differently_and_by_the_seed():
    def order(seed):
        steps = plan_steps([5] * 30, epochs=2, batch_tokens=150, max_steps=None, seed=seed)
        return [step.documents for step in steps]

    assert order(1) == order(1) != order(2)
    assert order(1)[0] != order(1)[1]


def test_max_steps_ends_the_plan():
    assert len(plan_steps([5] * 30, epochs=9, batch_tokens=5, max_steps=7, seed=1)) == 7


@given(LENGTHS, st.integers(0, 1), st.integers(10, 400))
def test_micro_batches_hold_every_member_once_within_the_limit(lengths, prefix, limit):
    parts = micro_batches(range(len(lengths)), lengths, prefix=prefix, limit=limit)
    assert sorted(chain.from_iterable(parts)) == list(range(len(lengths)))
    for part in parts:
        computed = prefix + sum(lengths[i] - prefix for i in part)
        assert computed <= limit or len(part) == 1
    longest = [max(lengths[i] for i in part) for part in parts]
    assert longest == sorted(longest, reverse=True)


@pytest.mark.parametrize("steps", [1, 7, 10, 105, 10_000])
def test_evaluations_are_at_most_ten_and_end_with_the_last_step(steps):
    at = evaluation_steps(steps)
    assert len(at) == min(10, steps)
    assert max(at) == steps
    assert min(at) >= 1


RATES = [
    pytest.param("Constant", 99, 1.0, id="constant to the end"),
    pytest.param("Linear", 54, 0.5, id="linear is half way in the middle"),
    pytest.param("Cosine", 54, 0.5, id="cosine is half way in the middle"),
]


@pytest.mark.parametrize(("scheduler", "step", "factor"), RATES)
def test_the_rate_after_the_warm_up(scheduler, step, factor):
    found = rate_factor(step, steps=100, warmup_percent=8, scheduler=scheduler)
    assert found == pytest.approx(factor)


@pytest.mark.parametrize("scheduler", ["Cosine", "Linear", "Constant"])
def test_the_rate_rises_to_its_peak_and_no_step_is_wasted(scheduler):
    factors = [
        rate_factor(step, steps=50, warmup_percent=10, scheduler=scheduler) for step in range(50)
    ]
    assert factors[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert all(factor > 0 for factor in factors)
