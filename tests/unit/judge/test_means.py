"""Means of many samples at once are the same as one by one, and as the library's."""

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

from trainer.judge.intervals import paired_difference, paired_differences
from trainer.judge.means import SEED, bca, carriers, student


def skewed(samples, n, seed=1):
    return 0.1 * np.random.default_rng(seed).exponential(size=(samples, n)) ** 1.5


@pytest.mark.parametrize("level", [0.9, 0.95, 0.9997])
def test_the_bootstrap_is_scipys(level):
    samples = skewed(3, 40)
    ours, plain = bca(samples, level, resamples=999), student(samples, level)
    for row, sample in enumerate(samples):
        theirs = bootstrap(
            (sample,), np.mean, n_resamples=999, confidence_level=level, method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval  # fmt: skip
        assert ours.low[row] == pytest.approx(min(theirs.low, plain.low[row]), abs=1e-9)
        assert ours.high[row] == pytest.approx(max(theirs.high, plain.high[row]), abs=1e-9)


def test_students_interval_is_scipys():
    samples = skewed(3, 25)
    ours = student(samples, 0.95)
    for row, sample in enumerate(samples):
        theirs = ttest_1samp(sample, 0).confidence_interval(0.95)
        assert (ours.low[row], ours.high[row]) == pytest.approx((theirs.low, theirs.high))


WORLDS = [
    pytest.param(lambda r: r.binomial(1, 0.5, (2, 6, 60)), 1, id="0/1"),
    pytest.param(lambda r: r.random((2, 6, 60)), 1, id="graded"),
    pytest.param(lambda r: r.binomial(1, 0.5, (2, 6, 60)), 3, id="0/1, groups of three"),
    pytest.param(lambda r: r.binomial(1, 0.04, (2, 6, 60)), 2, id="groups, few of which differ"),
    pytest.param(lambda r: r.binomial(1, 0.03, (2, 6, 60)) / 2, 1, id="graded, mostly ties"),
]


@pytest.mark.parametrize(("draw", "size"), WORLDS)
def test_many_samples_at_once_have_the_intervals_of_each_alone(draw, size):
    tuned, base = draw(np.random.default_rng(3)).astype(float)
    groups = [str(index * 7 % 60 // size) for index in range(60)]
    together = paired_differences(tuned, base, groups, 0.95)
    for row in range(len(tuned)):
        alone = paired_difference(tuned[row].tolist(), base[row].tolist(), groups, 0.95)
        mine = (together.estimate[row], together.low[row], together.high[row])
        assert mine == pytest.approx((alone.estimate, alone.low, alone.high), abs=1e-12)


def test_carriers_counts_the_units_that_differ():
    parts = np.zeros((2, 50))
    parts[0, :7] = -1
    assert carriers(parts).tolist() == [7, 0]
