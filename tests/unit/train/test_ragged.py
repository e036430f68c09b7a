"""Packs for the flash kernel, computed here by one that is slow and right."""

import inspect
from functools import partial

import pytest
import torch
from builders import fake_gpu
from builders.training import documents
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.varlen import varlen_attn

from trainer.model.attention import Heads, divide
from trainer.model.hardware import Choices
from trainer.model.ragged import agrees, divide_raggedly, division_for
from trainer.train.batch import pack, pad
from trainer.train.corpus import corpus_for
from trainer.train.documents import shared_prefix
from trainer.train.loss import hidden_at_sources, logits_head

from .test_packing import PACKS, gradients, lora_model

raggedly = partial(divide_raggedly, kernel=fake_gpu.varlen)
SHAPE = (4, 2, 16)


def packed(shared):
    rows = sorted(documents(7, shared=shared), key=len)
    return rows, pack(rows, shared_prefix(rows), raggedly)


@pytest.mark.parametrize("shared", PACKS)
def test_a_ragged_pack_has_the_logits_of_separate_rows(base, shared):
    rows, batch = packed(shared)
    apart = torch.cat([hidden_at_sources(base, pad([row])) for row in rows])
    head = logits_head(base)
    together = head(hidden_at_sources(base, batch))
    torch.testing.assert_close(together, head(apart), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shared", PACKS)
def test_a_ragged_pack_has_the_gradients_of_separate_rows(base, shared):
    model = lora_model(base)
    rows, batch = packed(shared)
    together = gradients(model, [batch])
    apart = gradients(model, [pad([row]) for row in rows])
    assert (together - apart).norm() <= 1e-5 * apart.norm()


def test_without_a_prefix_queries_and_keys_share_one_tensor_wherever_it_goes():
    division = divide_raggedly(0, [3, 4]).map(torch.clone)
    assert division.key_ends is division.ends
    assert division.ends.tolist() == [0, 3, 7]


def test_with_a_prefix_each_row_has_keys_of_its_own_and_none_twice():
    division = divide_raggedly(2, [1, 3])
    assert division.ends.tolist() == [0, 2, 3, 6]
    assert division.key_ends.tolist() == [0, 2, 5, 10]
    assert division.places.tolist() == [0, 1, 2, 3, 6, 4, 5, 7, 8, 9]


KERNELS = [
    pytest.param(fake_gpu.varlen, True, id="one that is right"),
    pytest.param(fake_gpu.aligned_to_the_start, False, id="one that hides the prefix"),
    pytest.param(fake_gpu.refusing, False, id="one that the device does not have"),
    pytest.param(fake_gpu.of_another_torch, False, id="one that is called in another way"),
]


@pytest.mark.parametrize(("kernel", "is_right"), KERNELS)
def test_a_kernel_is_compared_with_sdpa_before_it_is_used(kernel, is_right):
    division = partial(divide_raggedly, kernel=kernel)
    assert agrees(division, SHAPE, torch.device("cpu"), torch.float32) == is_right


@pytest.mark.parametrize(("kernel", "is_right"), KERNELS)
def test_a_kernel_that_does_not_agree_is_not_used(base, monkeypatch, kernel, is_right):
    fake_gpu.scheduled(monkeypatch, Choices(attention="Varlen"))
    division = division_for(base, kernel)
    assert (division is divide) != is_right


def test_memory_that_runs_out_is_no_judgement_on_the_kernel():
    def short(*_, **__):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        agrees(partial(divide_raggedly, kernel=short), SHAPE, torch.device("cpu"), torch.float32)


def test_training_packs_for_the_kernel_where_it_is_chosen(base, monkeypatch):
    fake_gpu.scheduled(monkeypatch, Choices(attention="Varlen"))
    monkeypatch.setattr(
        "trainer.train.corpus.division_for", partial(division_for, kernel=fake_gpu.varlen)
    )
    corpus = corpus_for(base, documents(5, shared=24), dropout=0.0)
    (batch,) = corpus.batches(range(5), 4096)
    assert corpus.packs
    assert batch.segments.kernel is fake_gpu.varlen


@pytest.mark.parametrize("prefix", [0, 4])
def test_torch_accepts_the_call_and_its_backward(prefix):
    """The operator of the locked torch, on tensors without values: shapes, types, arguments."""
    with FakeTensorMode(), sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
        tokens = prefix + 7
        query, key, value = (
            torch.empty(heads, tokens, 64, dtype=torch.bfloat16, requires_grad=True)
            for heads in (4, 2, 2)
        )
        out = divide_raggedly(prefix, [3, 4]).attend((query, key, value), Heads(2, 0.0, 0.1))
        out.float().sum().backward()
    assert out.shape == (tokens, 4, 64)
    assert key.grad.shape == key.shape


def test_the_slow_kernel_takes_what_torch_takes():
    ours = inspect.signature(fake_gpu.varlen).parameters
    theirs = inspect.signature(varlen_attn).parameters
    assert list(ours)[:7] == list(theirs)[:7]
    assert all(ours[name].kind == theirs[name].kind for name in ours)
