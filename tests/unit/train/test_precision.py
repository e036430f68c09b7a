"""Auto precision is BF16 where that is measured to be faster, and stays what it was in a run."""

import pytest
import torch

from trainer.model import precision
from trainer.model.precision import is_bf16_faster, pick_precision
from trainer.store import layout
from trainer.store.file import FileStore
from trainer.train.hardware import Hardware, kept

PRECISIONS = [
    pytest.param("FP32", True, 2.0, "FP32", id="FP32 stays FP32"),
    pytest.param("BF16", False, 0.1, "BF16", id="BF16 stays BF16"),
    pytest.param("Auto", True, 2.0, "BF16", id="Auto is BF16 where the CPU multiplies it faster"),
    pytest.param("Auto", True, 1.05, "FP32", id="a little faster is noise"),
    pytest.param("Auto", True, 0.5, "FP32", id="instructions that are slower are not used"),
    pytest.param("Auto", False, 2.0, "FP32", id="Auto is FP32 elsewhere"),
]


@pytest.mark.parametrize(("wanted", "has_bf16", "gain", "expected"), PRECISIONS)
def test_precision(monkeypatch, wanted, has_bf16, gain, expected):
    times_s = {torch.float32: gain, torch.bfloat16: 1.0}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    monkeypatch.setattr(precision, "seconds", lambda dtype, _clock: times_s[dtype])
    assert pick_precision(wanted, "cpu") == expected


def test_one_disturbed_measurement_does_not_decide(monkeypatch):
    times_s = iter([2.0, 9.0, *[2.0, 1.0] * (precision.ROUNDS - 1)])
    monkeypatch.setattr(precision, "seconds", lambda _dtype, _clock: next(times_s))
    assert is_bf16_faster()


def test_only_the_multiplications_are_timed(monkeypatch):
    monkeypatch.setattr(precision, "MULTIPLICATIONS", 1)
    ticks = iter([10.0, 12.5])
    assert precision.seconds(torch.float32, lambda: next(ticks)) == 2.5


def test_a_later_attempt_takes_what_the_first_one_measured(tmp_path):
    store = FileStore(tmp_path)
    assert kept(store, "r1", lambda: "BF16").precision == "BF16"
    assert kept(store, "r1", lambda: "FP32").precision == "BF16"
    assert kept(store, "r2", lambda: "FP32").precision == "FP32"


def test_of_two_attempts_at_once_both_take_the_one_that_was_first(tmp_path):
    store = FileStore(tmp_path)

    def while_another_writes():
        kept(store, "r1", lambda: "BF16")
        return "FP32"

    assert kept(store, "r1", while_another_writes).precision == "BF16"


def test_what_cannot_be_read_is_measured_again(tmp_path):
    store = FileStore(tmp_path)
    store.write(layout.hardware("r1"), b"{")
    assert kept(store, "r1", lambda: "FP32") == Hardware(precision="FP32")
