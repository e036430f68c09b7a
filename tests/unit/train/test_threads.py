"""How many CPU threads are used is measured, and fewer have to be clearly faster."""

import pytest
import torch

from trainer.model.threads import CORES, fastest, pick_threads

TIMES = [
    pytest.param({2: 1.0, 1: 2.0}, 2, id="a quiet machine keeps all of its cores"),
    pytest.param({2: 2.0, 1: 1.0}, 1, id="a core that another program has is left to it"),
    pytest.param({2: 1.0, 1: 0.95}, 2, id="a little faster is noise"),
    pytest.param({8: 3.0, 4: 1.0, 1: 2.0}, 4, id="half of the cores may be best"),
]


@pytest.mark.parametrize(("times_s", "expected"), TIMES)
def test_the_largest_count_wins_that_none_clearly_beats(times_s, expected):
    assert fastest(times_s) == expected


def test_the_choice_is_set_in_torch():
    before = torch.get_num_threads()
    try:
        assert pick_threads() == torch.get_num_threads() <= CORES
    finally:
        torch.set_num_threads(before)


def test_one_core_is_not_measured(monkeypatch):
    def clock() -> float:
        raise AssertionError("there is nothing to choose from")

    before = torch.get_num_threads()
    monkeypatch.setattr("trainer.model.threads.CORES", 1)
    try:
        assert pick_threads(clock) == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
