import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.report import units


def spaced(text):
    return text.replace(units.NBSP, " ")


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        pytest.param(units.percent(0.1834), "18.3 %", id="a share is per cent"),
        pytest.param(units.points(0.35), "+35.0 points", id="a gain has a sign"),
        pytest.param(units.points(-0.02), f"{units.MINUS}2.0 points", id="a loss has a true minus"),
        pytest.param(units.points(-0.0001), "0.0 points", id="what rounds to zero has no sign"),
        pytest.param(units.nats(0.0213), "0.021 nats", id="loss in nats"),
        pytest.param(units.nats(None), "not measured", id="no value says so"),
        pytest.param(units.percent(math.nan), "not measured", id="not a number says so"),
        pytest.param(units.number(-math.inf), "not measured", id="infinity says so"),
        pytest.param(units.number(3e30), "3e+30", id="a huge number stays short"),
        pytest.param(units.count(1, "rows"), "1 row", id="one of a thing"),
        pytest.param(units.count(28886, "tokens"), "28,886 tokens", id="thousands"),
        pytest.param(units.size(3_120_000_000), "3.1 GB", id="bytes"),
        pytest.param(units.size(12), "12 bytes", id="few bytes"),
        pytest.param(units.duration(0.84), "0.8 s", id="under a minute"),
        pytest.param(units.duration(283.4), "4 min 43 s", id="minutes"),
        pytest.param(units.duration(59.97), "1 min 0 s", id="no sixty seconds"),
        pytest.param(units.duration(3599.6), "1 h 0 min", id="no sixty minutes"),
        pytest.param(units.duration(90_000), "25 h 0 min", id="hours"),
        pytest.param(units.level(95.0), "95 %", id="a round level"),
        pytest.param(units.level(96.9604), "96.96 %", id="a level after a look"),
        pytest.param(units.p_value(0.0412), "= 0.041", id="a p value"),
        pytest.param(units.p_value(1e-9), "< 0.001", id="a tiny p value"),
        pytest.param(units.moment("2026-11-24T02:30:00+02:00"), "2026-11-24 00:30 UTC", id="time"),
        pytest.param(units.moment("yesterday"), "yesterday", id="no time is left as it is"),
    ],
)
def test_a_number_reads(shown, text):
    assert spaced(shown) == text


@given(st.floats())
def test_every_float_can_be_shown_on_one_line(value):
    shown = (units.percent(value), units.points(value), units.nats(value), units.duration(value))
    assert all(0 < len(text) < 40 for text in shown)
