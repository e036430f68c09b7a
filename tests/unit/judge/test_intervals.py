"""Intervals agree with what was published, with the tests they invert, and keep their level."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from trainer.judge import intervals
from trainer.judge.intervals import mean_score, paired_difference
from trainer.judge.means import Groups
from trainer.judge.proportions import mcnemar, tango, tango_statistic, wilson

# (wins, losses, n), level, limits, digits as printed
PUBLISHED = [
    pytest.param(
        (1, 7, 21), 0.95, (-0.517, -0.026), 3, id="airways before and after, Fagerland 2014"
    ),
    pytest.param(
        (6, 16, 161), 0.95, (-0.1240, -0.0054), 4, id="response to therapy, Fagerland 2017"
    ),
    pytest.param((48, 41, 549), 0.90, (-0.0157, 0.0414), 4, id="mentees, by R package PropCIs"),
]


@pytest.mark.parametrize(("table", "level", "limits", "digits"), PUBLISHED)
def test_tango_gives_the_published_limits(table, level, limits, digits):
    found = tango(*table, level)
    assert (round(found.low, digits), round(found.high, digits)) == limits


def test_tango_gives_the_worked_example_of_its_paper():
    # Tango 1998, section 6.1: contact lenses, 43 both, 0 new only, 1 standard only
    assert tango_statistic(0, 1, 44, -0.1) == pytest.approx(1.709, abs=5e-4)
    assert tango(0, 1, 44, 0.90).low == pytest.approx(-0.096, abs=5e-4)


@st.composite
def counts(draw):
    n = draw(st.integers(1, 300))
    wins = draw(st.integers(0, n))
    return wins, draw(st.integers(0, n - wins)), n


@settings(deadline=None)
@given(counts(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_tango_is_a_mirror_that_holds_its_estimate_and_stays_in_range(table, level):
    wins, losses, n = table
    found, swapped = tango(wins, losses, n, level), tango(losses, wins, n, level)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@settings(deadline=None)
@given(counts())
def test_more_confidence_never_narrows(table):
    narrow, wide = tango(*table, 0.9), tango(*table, 0.99)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def brute_force_statistic(wins, losses, n, difference):
    """The score statistic with the nuisance rate found by search instead of by formula."""
    low = max(0.0, -difference)
    rates = np.linspace(low + 1e-9, (1 - difference) / 2 - 1e-9, 200_001)
    ties = n - wins - losses
    likelihood = (
        wins * np.log(rates + difference)
        + losses * np.log(rates)
        + ties * np.log(1 - 2 * rates - difference)
    )
    loss_rate = rates[likelihood.argmax()]
    variance = n * (2 * loss_rate + difference - difference**2)
    return (wins - losses - n * difference) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("wins", "losses", "n"), [(12, 5, 60), (3, 0, 25), (0, 4, 40), (30, 28, 120), (1, 1, 10)]
)
def test_tango_limits_are_where_the_score_test_turns(wins, losses, n):
    found, z = tango(wins, losses, n, 0.95), norm.ppf(0.975)
    for limit, wanted in ((found.low, z), (found.high, -z)):
        assert brute_force_statistic(wins, losses, n, limit) == pytest.approx(wanted, abs=1e-3)


DEGENERATE = [
    # by hand: without ties z squared over (n + z squared), all won (n - z squared) over the same
    pytest.param(0, 0, 96, -0.0385, 0.0385, id="nothing differs"),
    pytest.param(50, 0, 50, 0.8573, 1.0, id="all pairs won"),
    pytest.param(0, 50, 50, -1.0, -0.8573, id="all pairs lost"),
    pytest.param(1, 0, 1, -0.5869, 1.0, id="one pair, won"),
    pytest.param(0, 0, 1, -0.7935, 0.7935, id="one pair, tied"),
]


@pytest.mark.parametrize(("wins", "losses", "n", "low", "high"), DEGENERATE)
def test_tango_has_limits_where_others_divide_by_zero(wins, losses, n, low, high):
    found = tango(wins, losses, n, 0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_where_counts_are_whole(table):
    successes, n = table
    theirs = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    ours = wilson(successes, n, 0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        pytest.param(0, 0, 1.0, id="nothing differs"),
        pytest.param(10, 0, 2 / 2**10, id="ten to nothing"),
        pytest.param(12, 12, 1.0, id="a draw"),
        pytest.param(15, 5, 0.0414, id="fifteen to five"),
    ],
)
def test_mcnemar_is_exact(wins, losses, p):
    assert mcnemar(wins, losses) == pytest.approx(p, abs=5e-5)


def alone(count):
    return [str(index) for index in range(count)]


CHOICES = [
    pytest.param([1.0] * 30, alone(30), "Tango", id="0/1 scores of independent items"),
    pytest.param([0.5] * 30, alone(30), "bootstrap", id="graded scores"),
    pytest.param([1.0] * 60, [str(i // 2) for i in range(60)], "group t", id="groups of two"),
    pytest.param([0.5] * 60, [str(i // 2) for i in range(60)], "group t", id="graded, in groups"),
    pytest.param([1.0] * 38, [str(i // 2) for i in range(38)], None, id="only 19 groups"),
    pytest.param([0.5] * 19, alone(19), None, id="only 19 graded items"),
    pytest.param([0.5] * 5001, alone(5001), "t", id="thousands of graded items"),
    pytest.param([1.0] * 5, alone(5), "Tango", id="0/1 scores need no 20 items"),
]


@pytest.mark.parametrize(("tuned", "groups", "method"), CHOICES)
def test_scores_and_groups_choose_the_method(tuned, groups, method):
    found = paired_difference(tuned, [0.0] * len(tuned), groups, 0.95)
    assert (found.method if found else None) == method


def test_the_standard_error_of_equal_groups_is_that_of_their_means():
    values = np.random.default_rng(1).normal(size=60)
    groups = [str(index // 3) for index in range(60)]
    means = values.reshape(20, 3).mean(axis=1)
    expected = means.std(ddof=1) / math.sqrt(20)
    assert Groups.of(groups).standard_errors(values[None])[0] == pytest.approx(expected, rel=1e-12)


def test_repeating_every_item_in_its_group_adds_no_certainty():
    random = np.random.default_rng(2)
    tuned, base = (random.binomial(1, rate, 60).astype(float) for rate in (0.7, 0.5))
    once = paired_difference(tuned.tolist(), base.tolist(), alone(60), 0.95)
    doubled = [str(index // 2) for index in range(120)]
    twice = paired_difference(
        np.repeat(tuned, 2).tolist(), np.repeat(base, 2).tolist(), doubled, 0.95
    )
    assert twice.high - twice.low == pytest.approx(once.high - once.low, rel=0.05)


def test_worst_cluster_size_weighs_by_size():
    assert Groups.of(["a", "a", "a", "b"]).worst_size == (9 + 1) / 4


@pytest.mark.parametrize(
    ("tuned", "groups"),
    [
        pytest.param([0.5] * 60, alone(60), id="graded items that are all tied"),
        pytest.param([1.0] * 60, [str(i // 2) for i in range(60)], id="groups all tied"),
    ],
)
def test_items_that_are_all_alike_do_not_prove_that_all_are(tuned, groups):
    found = paired_difference(tuned, tuned, groups, 0.95)
    assert found.low < -0.05
    assert found.high > 0.05


def test_three_lost_items_do_not_prove_a_small_loss():
    # 3 of 60 lost outright, the rest tied but for noise: the plain t limit is -0.107
    base = [0.9] * 57 + [1.0] * 3
    tuned = [0.9 + 0.001 * (index % 3) for index in range(57)] + [0.0] * 3
    found = paired_difference(tuned, base, alone(60), 0.95)
    assert found.low < -0.13


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=20, max_size=60), st.lists(st.floats(0, 1), min_size=60))
def test_graded_limits_hold_the_estimate_and_stay_in_range(tuned, base):
    found = paired_difference(tuned, base[: len(tuned)], alone(len(tuned)), 0.95, resamples=49)
    assert -1 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1


def graded(values, level=0.95):
    """The judge's interval of graded differences, clear of both ends of the range."""
    return paired_difference(values.tolist(), [0.0] * len(values), alone(len(values)), level)


def test_the_bootstrap_gives_the_same_limits_every_time():
    values = np.random.default_rng(3).normal(0, 0.1, 60)
    assert graded(values) == graded(values)


def test_the_bootstrap_leans_towards_the_long_tail():
    values = np.random.default_rng(4).exponential(0.1, 60)
    up, down = graded(values), graded(-values)
    assert up.high - up.estimate > 1.1 * (up.estimate - up.low)
    assert down.estimate - down.low > 1.1 * (down.high - down.estimate)


@pytest.mark.parametrize(
    ("scores", "groups", "method"),
    [
        pytest.param([1.0] * 50, alone(50), "Wilson", id="all right"),
        pytest.param([0.3], alone(1), "Wilson", id="one graded item"),
        pytest.param([0.3] * 50, alone(50), "bootstrap", id="graded, all the same"),
        pytest.param([0.0, 1.0] * 30, [str(i // 2) for i in range(60)], "group t", id="groups"),
        pytest.param([0.0, 1.0] * 5, [str(i // 2) for i in range(10)], "Wilson", id="5 groups"),
    ],
)
def test_an_arms_score_always_has_an_interval(scores, groups, method):
    found = mean_score(scores, groups, 0.95)
    assert found.method == method
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high


def bernoulli_pairs(random, n, rates):
    shares = random.multinomial(n, [rates[0], rates[1], 1 - sum(rates)])
    return int(shares[0]), int(shares[1])


@pytest.mark.parametrize(
    ("n", "win_rate", "loss_rate"),
    [
        pytest.param(60, 0.1, 0.1, id="60 items, no difference"),
        pytest.param(60, 0.02, 0.07, id="60 items, few changes, worse by 5 points"),
        pytest.param(120, 0.3, 0.2, id="120 items, better by 10 points"),
        pytest.param(250, 0.0, 0.05, id="250 items, only losses"),
    ],
)
def test_tango_errs_on_one_side_in_at_most_a_twentieth(n, win_rate, loss_rate):
    random, truth = np.random.default_rng(5), win_rate - loss_rate
    tables = [bernoulli_pairs(random, n, (win_rate, loss_rate)) for _ in range(2000)]
    assert_level({table: tango(*table, n, 0.95) for table in set(tables)}, tables, truth)


@pytest.mark.parametrize(
    "skew", [pytest.param(1, id="long tail of gains"), pytest.param(-1, id="long tail of losses")]
)
def test_graded_scores_err_on_one_side_in_at_most_a_twentieth(skew):
    random = np.random.default_rng(6)
    draws = skew * (random.exponential(0.1, (600, 120)) - 0.1)
    found = [
        paired_difference(row.tolist(), [0.0] * 120, alone(120), 0.95, resamples=199)
        for row in draws
    ]
    assert_level(dict(enumerate(found)), range(600), 0.0)


def test_groups_err_on_one_side_in_at_most_a_twentieth():
    random, groups = np.random.default_rng(7), [str(index // 3) for index in range(90)]
    found = []
    for _ in range(1000):
        gains = np.repeat(random.normal(0, 0.3, 30), 3) + random.normal(0, 0.3, 90)
        found.append(paired_difference(gains.tolist(), [0.0] * 90, groups, 0.95))
    assert_level(dict(enumerate(found)), range(1000), 0.0)


def assert_level(found, draws, truth):
    """Upper Monte Carlo bounds of both one-sided errors; coverage as the design asks."""
    above = sum(found[draw].low > truth for draw in draws)
    below = sum(found[draw].high < truth for draw in draws)
    for errors in (above, below):
        bound = binomtest(errors, len(draws)).proportion_ci(0.9, method="exact").high
        assert bound <= 0.05
    assert above + below <= 0.07 * len(draws)


def test_the_sparse_rule_is_what_keeps_ties_honest(monkeypatch):
    monkeypatch.setattr(intervals, "SPARSE_ITEMS", 0)
    found = paired_difference([0.5] * 60, [0.5] * 60, alone(60), 0.95)
    assert found.low == found.high == 0
