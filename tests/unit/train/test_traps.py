"""What trainers get wrong, one test each; the rest of the list is in docs/exactness.md."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders.architectures import FAMILIES, make_family
from builders.rank_cases import WINDOWS, a_training, uneven_documents
from builders.tiny_weights import make_model
from builders.training import a_binding, documents
from safetensors import safe_open
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import GptOssConfig

import trainer
from trainer.contract.spec import Lora
from trainer.errors import StageError
from trainer.model import attention
from trainer.model.adapter import WEIGHTS, attach, base_of, save_adapter, trainable
from trainer.model.load import load_base, output_layer
from trainer.train.batch import pack, pad
from trainer.train.corpus import corpus_for
from trainer.train.documents import Document
from trainer.train.loss import CHUNK, hidden_at_sources, loss_sum


class Largest(TorchDispatchMode):
    """The shape of every tensor that is made inside the block."""

    def __init__(self):
        super().__init__()
        self.shapes = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.shapes |= {tuple(each.shape) for each in tree_leaves(made) if torch.is_tensor(each)}
        return made


def long_rows():
    """Sixteen documents of 40 tokens, each with three that carry loss."""
    rng = np.random.default_rng(7)
    return [Document(rng.integers(3, 128, 40), np.array([37, 38, 39])) for _ in range(16)]


def test_packing_with_plain_positions_leaks_and_ours_restart(base):
    rows = sorted(documents(7), key=len)
    packed = pack(rows)
    starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
    assert packed.position_ids[0, starts].tolist() == [0] * 7
    apart = torch.cat([hidden_at_sources(base, pad([row])) for row in rows])
    plain = replace(packed, position_ids=torch.arange(packed.input_ids.numel())[None])
    leaky = replace(plain, segments=None)
    ours = hidden_at_sources(base, packed)
    assert (ours - apart).abs().max() < 1e-5
    assert (hidden_at_sources(base, leaky) - apart).abs().max() > 0.1


def test_a_pack_makes_no_mask_or_scores_of_all_tokens_by_all_tokens(base):
    batch = pack(long_rows())
    tokens = batch.input_ids.numel()
    with Largest() as made, torch.no_grad():
        loss_sum(base, batch)
    assert not [shape for shape in made.shapes if shape.count(tokens) > 1]


@pytest.mark.parametrize("prefix", [0, 150], ids=["causal", "with a shared prefix"])
@pytest.mark.parametrize("shares_keys", [True, False])
def test_attention_makes_no_scores_in_either_pass(base, monkeypatch, shares_keys, prefix):
    """Of a long row there is one mask at most, and none for each head."""
    monkeypatch.setattr(attention, "may_share_keys", lambda _: shares_keys)
    attach(base, Lora(rank=4), seed=1)
    rng = np.random.default_rng(7)
    shared = rng.integers(3, 128, prefix)
    rows = [
        Document(np.append(shared, rng.integers(3, 128, own)), np.array([prefix + own - 1]))
        for own in (180, 260)
    ]
    batch = pack(rows, prefix)
    heads = base.config.num_attention_heads
    with Largest() as made:
        loss_sum(base, batch).backward()
    scores = {(own, own + prefix) for own in (180, 260)}
    found = [each for each in made.shapes if each[-2:] in scores]
    assert not [each for each in found if np.prod(each[:-2]) >= heads], found


def test_heads_read_shared_keys_as_if_each_had_its_own(base, monkeypatch):
    batch = pack(sorted(documents(7), key=len))
    shared = hidden_at_sources(base, batch)
    monkeypatch.setattr(attention, "may_share_keys", lambda _: False)
    assert torch.allclose(hidden_at_sources(base, batch), shared, atol=1e-6)


@pytest.mark.parametrize(("threads", "rows", "may"), [(1, 1, True), (6, 3, True), (7, 3, False)])
def test_keys_are_shared_where_there_are_as_many_as_threads(monkeypatch, threads, rows, may):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert attention.may_share_keys(torch.zeros(rows, 2, 5, 8)) is may


def test_there_are_logits_only_where_there_is_a_label_and_a_chunk_at_a_time(base, monkeypatch):
    monkeypatch.setattr("trainer.train.loss.CHUNK", 10)
    model = attach(base, Lora(rank=4), seed=1)
    batch = pack(long_rows())
    seen = []
    hook = output_layer(base).register_forward_hook(lambda _m, _i, out: seen.append(out.shape))
    with Largest() as made:
        loss_sum(base_of(model), batch).backward()
    hook.remove()
    assert sum(rows for rows, _ in seen) == len(batch.targets) == 48
    assert max(rows for rows, _ in seen) == 10 < CHUNK
    vocabulary = base.config.vocab_size
    logits = [shape for shape in made.shapes if shape[-1:] == (vocabulary,)]
    assert max(np.prod(shape[:-1]) for shape in logits) <= 32  # the head's own width


def test_a_mean_of_means_would_be_far_off_on_the_rows_of_these_tests(tmp_path):
    """Else the tests that micro-batches do not matter would pass for the wrong loss too."""
    make_model(tmp_path)
    training = a_training(tmp_path)
    window = WINDOWS[0]
    rows = [uneven_documents()[at] for at in window]
    base = base_of(training.model)
    with torch.no_grad():
        losses = [float(loss_sum(base, pad([row]))) for row in rows]
    counts = [len(row.targets) for row in rows]
    means = float(np.mean([loss / n for loss, n in zip(losses, counts, strict=True)]))
    training.step()
    assert training.train_loss == pytest.approx(sum(losses) / sum(counts), rel=1e-6)
    assert abs(training.train_loss - means) > 0.02 * means


def test_a_target_that_is_the_paddings_token_carries_loss_like_any_other(base):
    """Padding is 0 here; masked by id, a row that ends in token 0 would not learn its end."""
    rows = documents(3)
    ending = [
        replace(row, tokens=np.append(row.tokens[:-1], 0), targets=np.array([len(row) - 1]))
        for row in rows
    ]
    batch = pad(ending)
    assert batch.targets.tolist() == [0, 0, 0]
    apart = sum(float(loss_sum(base, pad([row]))) for row in ending)
    assert float(loss_sum(base, batch)) == pytest.approx(apart, rel=1e-5)


def test_a_model_with_attention_sinks_is_padded_and_its_fused_experts_refuse_all_linear(tmp_path):
    config = GptOssConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        num_local_experts=2,
        num_experts_per_tok=1,
        sliding_window=8,
        layer_types=["full_attention", "full_attention"],
        pad_token_id=0,
        eos_token_id=2,
    )
    make_model(tmp_path, config)
    base = load_base(tmp_path, precision="FP32", device="cpu")
    assert not corpus_for(base, documents(5), dropout=0.0).packs
    with pytest.raises(StageError, match="fused expert weights"):
        attach(base, Lora(), seed=1)
    assert len(trainable(attach(base, Lora(target_modules=["q_proj"]), seed=1))) == 2 * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_starts_at_nothing_so_that_it_belongs_to_no_other_weights(tmp_path, family):
    """PiSSA, OLoRA and LoftQ start from the base's own weights, and change them."""
    base = load_base(make_family(tmp_path, family), precision="FP32", device="cpu")
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        before = base(input_ids=ids).logits
        after = attach(base, Lora(rank=4), seed=1)(input_ids=ids).logits
    assert after.equal(before)


def test_an_adapter_holds_no_embedding_and_the_vocabulary_is_the_bases(base, tmp_path):
    size = base.get_input_embeddings().num_embeddings
    save_adapter(attach(base, Lora(rank=4), seed=1), tmp_path, a_binding())
    with safe_open(tmp_path / WEIGHTS, framework="pt") as weights:
        names = list(weights.keys())
    assert not [name for name in names if "embed" in name or "lm_head" in name]
    assert base.get_input_embeddings().num_embeddings == size


def test_nothing_is_ever_unpickled_and_no_code_of_a_model_runs():
    """CVE-2026-1839 is a checkpoint that runs code."""
    forbidden = {"pickle", "cloudpickle", "dill", "joblib"}
    for path in Path(trainer.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                assert not names & forbidden, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = getattr(node.func.value, "id", "")
                assert (owner, node.func.attr) not in {("torch", "load"), ("torch", "save")}, path
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert getattr(node.value, "value", None) is False, path
