"""The device's memory runs out, somewhere: the same work is done again in smaller parts.

The gradient stays; where one row is too much the stage fails and says what to do.
"""

import pytest
import torch
from builders.rank_cases import SINGLE, WHOLE, a_training, recorded
from builders.short_memory import ShortDevice, larger_than, once
from builders.training import documents

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.model.fit import memory_named
from trainer.train.corpus import Corpus, mean_loss
from trainer.train.fitting import Share
from trainer.train.ranks import ALONE

EXACT = 1e-9
"""Relative, in float64; what is left is the order of sums."""
SEVERAL = 60
"""Tokens at a time: the first window has two parts."""


@pytest.fixture(scope="module")
def whole(base_directory):
    return recorded(a_training(base_directory, ALONE, WHOLE))


def on_device(monkeypatch, device):
    monkeypatch.setattr("trainer.train.loop.loss_sum", device)
    return device


def difference(one, other):
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).norm() / one[name].norm()) for name in one)


PLACES = [
    pytest.param(ShortDevice(once(0)), WHOLE, id="forward, the only micro-batch"),
    pytest.param(ShortDevice(once(0), backward=True), WHOLE, id="backward, the only one"),
    pytest.param(ShortDevice(once(0)), SEVERAL, id="forward, the first of several"),
    pytest.param(ShortDevice(once(1)), SEVERAL, id="forward, a later one"),
    pytest.param(ShortDevice(once(1), backward=True), SEVERAL, id="backward, a later one"),
    pytest.param(ShortDevice(once(4), backward=True), SEVERAL, id="backward, in a later step"),
    pytest.param(ShortDevice(larger_than(30)), WHOLE, id="forward, until one row is left"),
    pytest.param(ShortDevice(larger_than(30), backward=True), WHOLE, id="backward, until one row"),
]


@pytest.mark.parametrize(("device", "micro_tokens"), PLACES)
def test_the_step_is_done_again_in_halves_and_every_gradient_stays(
    base_directory, whole, monkeypatch, device, micro_tokens
):
    on_device(monkeypatch, device)
    found = recorded(a_training(base_directory, ALONE, micro_tokens))
    assert device.refused > 0
    assert found.micro_tokens < micro_tokens
    assert found.losses == pytest.approx(whole.losses, rel=EXACT)
    assert difference(whole.tensors, found.tensors) < EXACT


def test_nothing_is_halved_while_everything_fits(base_directory, monkeypatch):
    device = on_device(monkeypatch, ShortDevice())
    assert recorded(a_training(base_directory, ALONE, SEVERAL)).micro_tokens == SEVERAL
    assert device.asked > 0


def test_a_row_that_does_not_fit_alone_fails_with_the_step_and_the_remedy(
    base_directory, monkeypatch
):
    device = on_device(monkeypatch, ShortDevice(larger_than(20)))
    training = a_training(base_directory, ALONE, WHOLE)
    with pytest.raises(StageError, match=r"one row at step 1; lower spec\.training\.max") as caught:
        training.step()
    assert caught.value.failure is FailureClass.GPU_OUT_OF_MEMORY
    assert training.state.step == 0
    assert all(each.grad is None for each in training.parameters.values())
    assert device.refused == 3  # four rows, two, one: nothing smaller is tried twice


def test_a_last_row_alone_is_not_tried_again(base_directory, monkeypatch):
    device = on_device(monkeypatch, ShortDevice(once(0)))
    with pytest.raises(StageError):
        a_training(base_directory, ALONE, SINGLE).step()
    assert device.refused == 1


REFUSALS = [
    pytest.param("CUDA error: out of memory", id="the driver"),
    pytest.param("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...", id="cuBLAS"),
]


@pytest.mark.parametrize("words", REFUSALS)
def test_a_library_that_gets_no_memory_is_the_same_trouble(base_directory, monkeypatch, words):
    on_device(monkeypatch, ShortDevice(once(0), error=lambda: RuntimeError(words)))
    assert recorded(a_training(base_directory, ALONE, WHOLE)).micro_tokens < WHOLE


def test_another_error_is_not_taken_for_it(base_directory, monkeypatch):
    on_device(monkeypatch, ShortDevice(once(0), error=lambda: RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        a_training(base_directory, ALONE, WHOLE).step()


def test_an_evaluation_is_done_again_in_halves_and_its_loss_stays(base, monkeypatch):
    corpus = Corpus(documents(9, seed=5))
    expected = mean_loss(base, corpus, WHOLE)
    device = ShortDevice(larger_than(40))
    monkeypatch.setattr("trainer.train.corpus.loss_sum", device)
    assert mean_loss(base, corpus, WHOLE) == pytest.approx(expected, rel=1e-6)
    assert device.refused > 0


def test_an_evaluation_that_holds_no_row_fails_by_its_class(base, monkeypatch):
    monkeypatch.setattr("trainer.train.corpus.loss_sum", ShortDevice(larger_than(5)))
    with pytest.raises(StageError, match="one row to evaluate") as caught:
        mean_loss(base, Corpus(documents(9, seed=5)), WHOLE)
    assert caught.value.failure is FailureClass.GPU_OUT_OF_MEMORY


def test_an_evaluation_that_was_halved_leaves_the_training_as_it_is(base_directory, monkeypatch):
    training = a_training(base_directory, ALONE, WHOLE)
    monkeypatch.setattr("trainer.train.corpus.loss_sum", ShortDevice(larger_than(40)))
    training.evaluate()
    assert training.state.micro_tokens == WHOLE


def test_a_shared_prefix_is_in_every_part_so_only_the_rows_are_halved():
    share = Share(range(8), [110] * 8, 100)
    assert share.halved(10_000) == 140  # four rows of ten beside the prefix
    assert share.halved(140) == 120
    assert share.halved(120) == 110
    assert share.halved(110) == 0  # each row is alone


def test_anywhere_else_the_stage_fails_by_its_class_and_is_not_tried_again():
    with (
        pytest.raises(StageError, match="'loading the base model'") as caught,
        memory_named(lambda: "loading the base model"),
    ):
        raise torch.OutOfMemoryError
    assert caught.value.failure is FailureClass.GPU_OUT_OF_MEMORY


HOST = [
    pytest.param(lambda: torch.empty(1 << 60, dtype=torch.uint8), id="torch, for real"),
    pytest.param(lambda: bytearray(1 << 62), id="python, for real"),
]


@pytest.mark.parametrize("allocate", HOST)
def test_a_host_that_gives_no_more_is_the_other_class(allocate):
    with (
        pytest.raises(StageError, match=r"spec\.compute\.resources") as caught,
        memory_named(lambda: "training"),
    ):
        allocate()
    assert caught.value.failure is FailureClass.HOST_OUT_OF_MEMORY


def test_no_other_error_is_renamed():
    with pytest.raises(RuntimeError, match="shapes"), memory_named(lambda: "training"):
        raise RuntimeError("shapes differ")
