"""MFU: the formula's figures, and which device has which peak."""

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from trainer.train.documents import Document
from trainer.train.flops import (
    Shape,
    flops,
    flops_per_token,
    full_speed,
    peak_flops,
    shape_of,
    utilisation,
)

SMALL = Shape(body=1000, head=500, layers=2, width=8)


def document(length, targets):
    return Document(np.zeros(length, dtype=np.int64), np.arange(length - targets, length))


def test_a_frozen_parameter_costs_four_flops_a_token():
    no_attention = Shape(body=1000, head=0, layers=0, width=8)
    assert flops(no_attention, 10, 10) == 4 * 1000 * 10


def test_the_head_costs_only_where_there_is_a_loss():
    assert flops(SMALL, 10, 3) - flops(SMALL, 10, 0) == 4 * 500 * 3


def test_a_token_attends_to_itself_and_to_those_before_it():
    attention = flops(SMALL, 10, 0) - 4 * 1000 * 10
    assert attention == 12 * 2 * 8 * sum(range(1, 11))


def test_a_data_set_costs_the_mean_of_its_tokens():
    rows = [document(10, 3), document(30, 5)]
    expected = (flops(SMALL, 10, 3) + flops(SMALL, 30, 5)) / 40
    assert flops_per_token(SMALL, rows) == pytest.approx(expected)


def test_the_formula_is_what_torch_counts_of_a_step():
    """The counter of torch, on the linear layers of a model whose attention is a product of two."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 - one test

    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).requires_grad_(requires_grad=False)
    shape = shape_of(model)
    hidden = torch.randn(1, 16, 32, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        model(inputs_embeds=hidden).logits.sum().backward()
    ours = flops(shape, 16, 16)
    causal = 12 * shape.layers * shape.width * 16 * 17 / 2
    dense = 12 * shape.layers * shape.width * 16 * 16  # eager computes the masked half as well
    assert counter.get_total_flops() == pytest.approx(ours - causal + dense, rel=0.01)


@pytest.mark.parametrize("tied", [True, False], ids=["tied head", "own head"])
def test_an_embedding_that_is_looked_up_multiplies_nothing(tied):
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    shape = shape_of(LlamaForCausalLM(config).requires_grad_(requires_grad=False))
    attention, mlp = 32 * 32 * 2 + 32 * 16 * 2, 3 * 32 * 48
    assert shape == Shape(body=attention + mlp, head=64 * 32, layers=1, width=32)


def test_a_mixture_of_experts_has_no_figure():
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    )
    model.config.num_local_experts = 8
    assert shape_of(model) is None


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA A10G", 70),
        ("Tesla T4", 65),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA H20", 148),
        ("NVIDIA RTX 6000 Ada Generation", None),
        ("cpu", None),
    ],
)
def test_the_peak_is_of_the_very_device(name, tera):
    assert peak_flops(name) == (None if tera is None else tera * 1e12)


def test_two_devices_at_a_quarter_of_their_peak_are_used_by_a_quarter(monkeypatch):
    monkeypatch.setattr("trainer.train.flops.device_name", lambda _: "NVIDIA H100 80GB HBM3")
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    )
    rows = [document(10, 3)]
    model.requires_grad_(requires_grad=False)
    fastest = full_speed(model, rows, devices=2)
    assert fastest == 2 * 989e12 / flops_per_token(shape_of(model), rows)
    assert utilisation(fastest / 4, fastest) == 0.25


def test_a_device_without_a_known_peak_has_no_utilisation():
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    )
    assert utilisation(1000, full_speed(model, [document(10, 3)], devices=1)) is None


def test_a_table_of_positions_multiplies_nothing():
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    )
    model.requires_grad_(requires_grad=False)
    assert shape_of(model) == Shape(body=12 * 8 * 8, head=64 * 8, layers=1, width=8)
