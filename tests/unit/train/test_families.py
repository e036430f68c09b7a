"""Exact on every family: Llama, Qwen 2 and 3, GPT-2, and two that packs would be wrong for."""

from dataclasses import replace

import pytest
import torch
from builders.architectures import FAMILIES, PACKED, WINDOW, make_family
from builders.rank_cases import SINGLE, WHOLE, a_model, a_training, recorded
from builders.training import documents
from torch.nn.functional import cross_entropy

from trainer.contract.spec import Lora
from trainer.model.adapter import attach, base_of, trainable
from trainer.model.attention import NAME, attends_fully
from trainer.model.load import load_base
from trainer.model.targets import linear_names
from trainer.train.batch import pack, pad
from trainer.train.corpus import check_head, corpus_for, is_packable
from trainer.train.loss import hidden_at_sources, logits_head, loss_sum

EXACT = 1e-6
"""Relative, in float64."""
CLOSE = 1e-5
"""Relative, in float32."""

every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="session")
def families(tmp_path_factory):
    return tmp_path_factory.mktemp("families")


@pytest.fixture
def folder(families, family):
    return make_family(families, family)


@pytest.fixture
def base(folder):
    return load_base(folder, precision="FP32", device="cpu")


def rows(shared=24):
    return sorted(documents(7, shared=shared), key=len)


def alone(row):
    """A row as transformers reads it: one sequence, nothing of ours."""
    return torch.from_numpy(row.tokens)[None]


def relative(one, other):
    return float((one - other).norm() / other.norm())


@every_family
def test_the_batches_of_a_corpus_have_the_logits_of_separate_rows(base, family):
    corpus = corpus_for(base, rows(), dropout=0.0)
    assert corpus.packs == (family in PACKED)
    [batch] = corpus.batches(range(7), WHOLE)
    together = logits_head(base)(hidden_at_sources(base, batch))
    with torch.no_grad():
        apart = [base(input_ids=alone(row)).logits[0, row.targets - 1] for row in rows()]
    torch.testing.assert_close(together, torch.cat(apart), atol=CLOSE, rtol=CLOSE)


@every_family
def test_the_batches_of_a_corpus_have_the_gradients_of_separate_rows(folder):
    model = a_model(folder).float()
    base = base_of(model)
    [batch] = corpus_for(base, rows(), dropout=0.0).batches(range(7), WHOLE)
    loss_sum(base, batch).backward()
    together = {name: each.grad.clone() for name, each in trainable(model).items()}
    model.zero_grad()
    for row in rows():
        logits = base(input_ids=alone(row)).logits[0, row.targets - 1]
        wanted = torch.from_numpy(row.tokens[row.targets])
        cross_entropy(logits, wanted, reduction="sum").backward()
    for name, each in trainable(model).items():
        assert relative(together[name], each.grad) < CLOSE, name


@every_family
def test_micro_batches_and_accumulation_do_not_change_the_gradients_or_the_adapter(folder):
    """Unequal label counts, and a last window of fewer rows; see ``WINDOWS``."""
    whole, single = (recorded(a_training(folder, micro_tokens=n)) for n in (WHOLE, SINGLE))
    assert whole.tensors.keys() == single.tensors.keys()
    for name, each in whole.tensors.items():
        assert relative(single.tensors[name], each) < EXACT, name
    assert single.losses == pytest.approx(whole.losses, rel=EXACT)
    assert single.norms == pytest.approx(whole.norms, rel=EXACT)


@every_family
def test_every_b_leaves_zero_with_the_first_step_and_every_a_moves_with_the_second(base, folder):
    training = a_training(folder, fresh=True)
    a, b = (
        {name: each for name, each in training.parameters.items() if f".lora_{letter}." in name}
        for letter in "AB"
    )
    assert len(a) == len(b) == len(linear_names(base))
    assert not any(each.any() for each in b.values())
    start = {name: each.detach().clone() for name, each in a.items()}
    training.step()
    assert [name for name, each in b.items() if not each.any()] == []
    training.step()
    assert [name for name, each in a.items() if each.equal(start[name])] == []


@every_family
def test_the_logits_behind_the_head_are_known(base):
    check_head(base, rows()[0])


def test_gpt2s_fused_attention_is_adapted_whole_under_all_linear(families):
    base = load_base(make_family(families, "GPT-2"), precision="FP32", device="cpu")
    model = attach(base, Lora(rank=4), seed=1)
    [config] = model.peft_config.values()
    assert config.fan_in_fan_out
    weights = {
        name.partition(".h.0.")[2]: tuple(each.shape)
        for name, each in trainable(model).items()
        if ".h.0." in name
    }
    assert weights["attn.c_attn.lora_A.default.weight"] == (4, 32)
    assert weights["attn.c_attn.lora_B.default.weight"] == (3 * 32, 4)
    assert {name.split(".lora")[0] for name in weights} == {
        "attn.c_attn",
        "attn.c_proj",
        "mlp.c_fc",
        "mlp.c_proj",
    }


@pytest.mark.parametrize("family", ["Mistral", "Gemma 2"])
def test_packs_are_refused_to_families_that_they_are_wrong_for(base):
    """And rightly: the packed attention neither slides nor caps."""
    assert not is_packable(base, rows(), 0)
    together = hidden_at_sources(base, pack(rows()))
    apart = torch.cat([hidden_at_sources(base, pad([row])) for row in rows()])
    assert relative(together, apart) > 100 * CLOSE


@pytest.mark.parametrize("family", ["Mistral"])
def test_a_sliding_window_that_no_row_exceeds_is_packed(base):
    short = [
        replace(row, tokens=row.tokens[:WINDOW], targets=row.targets[:1] % 4 + 1) for row in rows(0)
    ]
    corpus = corpus_for(base, short, dropout=0.0)
    assert corpus.packs
    [batch] = corpus.batches(range(7), WHOLE)
    apart = torch.cat([hidden_at_sources(base, pad([row])) for row in short])
    torch.testing.assert_close(hidden_at_sources(base, batch), apart, atol=CLOSE, rtol=CLOSE)


@pytest.mark.parametrize("family", ["Mistral", "Gemma 2"])
def test_packs_are_refused_by_the_config_where_the_rows_that_are_tried_would_not_show_it(base):
    """The shortest two are within the window, and the untrained scores far below the cap."""
    short = [
        replace(row, tokens=row.tokens[:WINDOW], targets=row.targets[:1] % 4 + 1)
        for row in rows(0)[:2]
    ]
    assert not corpus_for(base, [*short, *rows(0)[2:]], dropout=0.0).packs
    base.config.sliding_window = None  # what is left of Gemma is its cap
    assert attends_fully(base, 512) == (base.config.model_type == "mistral")


@pytest.mark.parametrize("family", ["Llama", "Gemma 2"])
def test_outside_of_packs_a_family_keeps_the_attention_that_it_needs(base, family):
    own = base.config._attn_implementation  # noqa: SLF001
    assert own == ("eager" if family == "Gemma 2" else "sdpa") != NAME
