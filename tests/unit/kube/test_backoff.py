"""Pauses grow, stay in bounds and obey the server."""

import pytest

from controller.kube.backoff import Backoff
from controller.kube.errors import ApiError, TransportError


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_pauses_double_from_the_base_and_never_pass_the_cap(chance: float) -> None:
    backoff = Backoff(0.8, 30.0, chance=lambda: chance)
    pauses = [backoff.next_s() for _ in range(2000)]
    assert pauses[:4] == pytest.approx([p * (1 + chance) for p in (0.8, 1.6, 3.2, 6.4)])
    assert 15.0 <= min(pauses[6:]) <= max(pauses) <= 30.0


def test_after_a_reset_the_pause_is_short_again() -> None:
    backoff = Backoff(0.8, 30.0, chance=lambda: 0.0)
    assert [backoff.next_s(), backoff.next_s()] == [0.8, 1.6]
    backoff.reset()
    assert backoff.next_s() == 0.8


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        pytest.param(ApiError(429, retry_after_s=12.0), 12.0, id="longer than ours"),
        pytest.param(ApiError(429, retry_after_s=0.1), 0.8, id="shorter than ours"),
        pytest.param(ApiError(429, retry_after_s=1e6), 300.0, id="longer than is sane"),
        pytest.param(ApiError(500), 0.8, id="not asked for"),
        pytest.param(TransportError("x"), 0.8, id="no answer"),
    ],
)
def test_retry_after_is_honoured(error: Exception, pause: float) -> None:
    assert Backoff(0.8, 30.0, chance=lambda: 0.0).next_s(error) == pause
