import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.report.charts import MAX_DRAWN, Whisker, nice_scale, thinned, whisker

SANE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        pytest.param([0, 62], (0, 20, 40, 60, 80), id="scores in per cent"),
        pytest.param([0, 100], (0, 20, 40, 60, 80, 100), id="no tick above all"),
        pytest.param([-4, 12], (-5, 0, 5, 10, 15), id="differences around zero"),
        pytest.param([1.95, 2.11], (1.95, 2.0, 2.05, 2.1, 2.15), id="a narrow band of losses"),
        pytest.param([3, 3], (0, 1, 2, 3, 4, 5, 6)[::2], id="one value has room on both sides"),
        pytest.param([], (0, 0.2, 0.4, 0.6, 0.8, 1), id="nothing"),
        pytest.param([math.nan, math.inf, 0, 1e300, 1], (0, 0.2, 0.4, 0.6, 0.8, 1), id="faults"),
    ],
)
def test_an_axis_has_few_round_ticks_around_its_values(values, ticks):
    assert nice_scale(values).ticks == pytest.approx(ticks)


def test_steps_are_never_divided():
    assert nice_scale([0, 1], smallest_step=1).ticks == (0, 1)


@given(st.lists(SANE, min_size=1, max_size=5))
def test_an_axis_holds_every_value_with_two_to_nine_ticks_of_which_no_two_read_alike(values):
    scale = nice_scale(values)
    slack = 1e-9 * (scale.high - scale.low)
    assert scale.low - slack <= min(values) <= max(values) <= scale.high + slack
    assert 2 <= len(scale.ticks) <= 9
    read = {f"{tick:.{scale.decimals}f}" for tick in scale.ticks}
    assert len(read) == len(scale.ticks)


@given(SANE, SANE, SANE)
def test_a_place_on_the_axis_keeps_the_order_of_values(one, other, third):
    scale = nice_scale([one, other])
    low, high = sorted((one, third))
    assert 0 <= scale.share(low) <= scale.share(high) <= 1


def test_a_whisker_lies_where_its_numbers_say():
    drawn = whisker(Whisker(50, 40, 60, "tuned", "Tuned"), nice_scale([0, 100]), thresholds=[25])
    assert 'cx="50.00%"' in drawn
    assert 'class="span" x1="40.00%" x2="60.00%"' in drawn
    assert 'class="threshold" x1="25.00%"' in drawn
    assert 'role="img" aria-label="Tuned"' in drawn


def test_an_estimate_without_an_interval_is_a_dot_alone():
    drawn = whisker(Whisker(50, math.nan, math.nan, "tuned", "Tuned"), nice_scale([0, 100]))
    assert "cx=" in drawn
    assert "span" not in drawn


def test_an_estimate_that_is_not_a_number_is_not_drawn():
    drawn = whisker(Whisker(math.nan, math.nan, math.nan, "tuned", "T"), nice_scale([0, 1]))
    assert "circle" not in drawn


def test_sizes_of_text_and_dots_do_not_depend_on_the_width_of_the_page():
    drawn = whisker(Whisker(50, 40, 60, "tuned", "Tuned"), nice_scale([0, 100]))
    assert "viewBox" not in drawn
    assert re.findall(r'c?x1?="([^"]+)"', drawn)


@given(st.integers(1, 3000))
def test_a_thinned_curve_is_short_and_keeps_both_ends(length):
    points = [(float(at), 1.0) for at in range(length)]
    kept = thinned(points)
    assert len(kept) <= MAX_DRAWN + 1
    assert (kept[0], kept[-1]) == (points[0], points[-1])
