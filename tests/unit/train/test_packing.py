"""A pack gives every row the losses and gradients that it has alone."""

import pytest
import torch
from builders.training import documents

from trainer.contract.spec import Lora
from trainer.model.adapter import attach, base_of, trainable
from trainer.model.attention import NAME
from trainer.model.load import decoder
from trainer.train.batch import pack, pad
from trainer.train.corpus import corpus_for
from trainer.train.documents import shared_prefix
from trainer.train.loss import hidden_at_sources, logits_head, loss_sum


def lora_model(base, variant="LoRA"):
    """An adapter that is no longer at its start, where half of the gradients are zero."""
    model = attach(base, Lora(rank=4, alpha=8, variant=variant), seed=1)
    torch.manual_seed(3)
    for each in trainable(model).values():
        each.data.add_(torch.randn_like(each) * 0.05)
    return model


def gradients(model, batches):
    model.zero_grad()
    for batch in batches:
        loss_sum(base_of(model), batch).backward()
    return torch.cat([each.grad.flatten() for each in trainable(model).values()])


PACKS = [
    pytest.param(0, id="rows with nothing in common"),
    pytest.param(24, id="rows behind a shared prefix"),
]


@pytest.mark.parametrize("shared", PACKS)
def test_a_pack_has_the_logits_of_separate_rows(base, shared):
    rows = sorted(documents(7, shared=shared), key=len)
    prefix = shared_prefix(rows)
    assert prefix >= shared
    together = hidden_at_sources(base, pack(rows, prefix))
    apart = torch.cat([hidden_at_sources(base, pad([row])) for row in rows])
    head = logits_head(base)
    torch.testing.assert_close(head(together), head(apart), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shared", PACKS)
def test_a_pack_has_the_gradients_of_separate_rows(base, shared):
    model = lora_model(base)
    rows = sorted(documents(7, shared=shared), key=len)
    together = gradients(model, [pack(rows, shared_prefix(rows))])
    apart = gradients(model, [pad([row]) for row in rows])
    assert (together - apart).norm() <= 1e-5 * apart.norm()


@pytest.mark.parametrize("shared", PACKS)
def test_the_loss_is_the_one_that_transformers_computes(base, shared):
    rows = sorted(documents(5, shared=shared), key=len)
    ours = loss_sum(base, pack(rows, shared_prefix(rows)))
    theirs = 0.0
    for row in rows:
        labels = torch.full((1, len(row)), -100)
        labels[0, row.targets] = torch.from_numpy(row.tokens[row.targets])
        loss = base(input_ids=torch.from_numpy(row.tokens)[None], labels=labels).loss
        theirs += loss * len(row.targets)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


def test_micro_batches_do_not_change_the_gradient(base):
    model = lora_model(base.double())
    corpus = corpus_for(base, documents(9, shared=24), dropout=0.0)
    whole, parts = (gradients(model, corpus.batches(range(9), limit)) for limit in (4096, 70))
    assert len(list(corpus.batches(range(9), 70))) > 2
    assert (whole - parts).norm() <= 1e-6 * whole.norm()


def test_outside_a_pack_the_model_attends_as_before(base):
    rows = documents(3)
    before = base.config._attn_implementation  # noqa: SLF001
    loss_sum(base, pack(rows))
    assert base.config._attn_implementation == before != NAME  # noqa: SLF001


def test_dropout_turns_prefix_sharing_off(base):
    rows = documents(5, shared=24)
    assert corpus_for(base, rows, dropout=0.0).prefix >= 24
    assert corpus_for(base, rows, dropout=0.1).prefix == 0


def test_a_model_that_looks_back_less_far_than_a_row_is_padded(base):
    rows = documents(5)
    assert corpus_for(base, rows, dropout=0.0).packs
    base.config.layer_types = ["sliding_attention", "full_attention"]
    base.config.sliding_window = 8
    padded = corpus_for(base, rows, dropout=0.0)
    assert not padded.packs
    assert all(batch.segments is None for batch in padded.batches(range(5), 100))


def test_a_model_that_leaks_between_packed_rows_is_padded(base, monkeypatch):
    layer = decoder(base).layers[0].self_attn
    forward = layer.forward
    leak = torch.randn(1, 1, 32)

    def forward_with_leak(*args, **kwargs):
        out, weights = forward(*args, **kwargs)
        return out + (leak if "segments" in kwargs else 0), weights

    monkeypatch.setattr(layer, "forward", forward_with_leak)
    assert not corpus_for(base, documents(5), dropout=0.0).packs


def test_the_end_of_turn_token_carries_loss():
    row = documents(1)[0]
    batch = pack([row])
    assert batch.targets[-1] == row.tokens[-1]
    assert batch.sources[-1] == len(row) - 2
