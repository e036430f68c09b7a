"""The memory that training on the CPU is estimated to need, and what is done about it."""

from pathlib import Path

import pytest
import torch
from builders.staged import Line
from builders.tiny_weights import make_model
from builders.training import documents
from transformers import LlamaConfig, Qwen2Config

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.spec import Lora
from trainer.errors import StageError
from trainer.hostmemory import MemoryLimit
from trainer.model.adapter import attach, base_of, trainable
from trainer.model.fused import fuse
from trainer.model.heap import map_large_blocks
from trainer.model.load import load_base
from trainer.train.corpus import Corpus
from trainer.train.footprint import (
    ADAPTER_COPIES,
    Footprint,
    footprint,
    require_room,
    weight_files,
    weight_shapes,
)
from trainer.train.loss import loss_sum

GIB = 1 << 30
RANK = 8
LORA = Lora(rank=RANK)
SHAPE = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CONFIGS = [pytest.param(LlamaConfig, id="Llama"), pytest.param(Qwen2Config, id="Qwen")]


@pytest.fixture(params=CONFIGS)
def model(request, tmp_path):
    return model_of(tmp_path, request.param)


def model_of(directory: Path, config=LlamaConfig, precision: str = "FP32", lora: Lora = LORA):
    make_model(directory, config(**SHAPE))
    base = load_base(directory, precision=precision, device="cpu")
    model = attach(base, lora, seed=1)
    fuse(model)  # as training on a CPU does
    return model


def estimated(
    directory: Path, tokens: int = 1, precision: str = "FP32", lora: Lora = LORA
) -> Footprint:
    return footprint(weight_shapes(directory), precision=precision, lora=lora, tokens=tokens)


def kept_for_backward(model, batch) -> int:
    """Bytes that autograd holds on to between the two passes, parameters aside."""
    held = {}
    own = {each.untyped_storage().data_ptr() for each in model.parameters()}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss_sum(base_of(model), batch)
    return sum(held.values())


def test_activations_are_what_autograd_keeps(model, tmp_path):
    (batch,) = Corpus(documents(40), packs=True).batches(range(40), 100_000)
    kept = kept_for_backward(model, batch)
    assert estimated(tmp_path, batch.input_ids.numel()).activations == pytest.approx(kept, rel=0.1)


@pytest.mark.parametrize("precision", ["FP32", "BF16"])
@pytest.mark.parametrize("variant", ["LoRA", "DoRA"])
@pytest.mark.parametrize("dropout", ["0", "0.1"])
def test_activations_of_every_kind_of_adapter(tmp_path, precision, variant, dropout):
    lora = Lora(rank=RANK, variant=variant, dropout=dropout)
    model = model_of(tmp_path, precision=precision, lora=lora).train()
    (batch,) = Corpus(documents(40), packs=True).batches(range(40), 100_000)
    kept = kept_for_backward(model, batch)
    tokens = batch.input_ids.numel()
    estimate = estimated(tmp_path, tokens, precision, lora).activations
    assert estimate == pytest.approx(kept, rel=0.1)


def test_padded_rows_keep_a_little_less(model, tmp_path):
    (batch,) = Corpus(documents(40), packs=False).batches(range(40), 100_000)
    kept = kept_for_backward(model, batch)
    estimate = estimated(tmp_path, batch.input_ids.numel()).activations
    assert kept < estimate < 1.15 * kept


def test_weights_and_adapter_are_those_of_the_model(model, tmp_path):
    found = estimated(tmp_path)
    own = trainable(model)
    frozen = {each.data_ptr(): each for n, each in model.named_parameters() if n not in own}
    assert found.weights == sum(each.nbytes for each in frozen.values())
    assert found.adapter == ADAPTER_COPIES * sum(each.nbytes for each in own.values())


def test_half_precision_halves_weights_but_not_what_is_kept(tmp_path):
    make_model(tmp_path)
    whole, half = (estimated(tmp_path, 100, precision) for precision in ("FP32", "BF16"))
    assert 2 * half.weights == whole.weights
    assert half.activations > whole.activations
    assert half.adapter == whole.adapter


def test_only_the_files_that_would_be_loaded_count(tmp_path):
    for name in ("model-1.safetensors", "model-2.safetensors", "consolidated.safetensors"):
        (tmp_path / name).write_bytes(b"")
    index = '{"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert [path.name for path in weight_files(tmp_path)] == [
        "model-1.safetensors",
        "model-2.safetensors",
    ]
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]


NEEDED = Footprint(GIB, 2 * GIB, GIB // 2, 4 * GIB, GIB // 2)


def refused(limit, ranks=1):
    with pytest.raises(StageError) as caught:
        require_room(NEEDED, limit, ranks=ranks)
    assert caught.value.failure is FailureClass.HOST_OUT_OF_MEMORY
    return caught.value.message


def test_what_has_no_room_is_refused_with_figures_and_remedy():
    said = refused(MemoryLimit(6 * GIB, "memory.max of the container says"))
    assert "about 8 GiB" in said
    assert "memory.max of the container says 6 GiB" in said
    assert "spec.compute.resources.limits.memory to 10Gi or more" in said
    assert "spec.training.maxSequenceTokens" in said
    assert len(said) < 400


def test_every_rank_needs_its_own():
    enough = MemoryLimit(8 * GIB, "the machine has")
    require_room(NEEDED, enough)
    assert refused(enough, ranks=2).startswith("2 processes need about 16 GiB")


def test_what_may_just_fit_is_let_in():
    require_room(NEEDED, MemoryLimit(8 * GIB * 91 // 100, "the machine has"))


def test_a_kernel_that_does_not_tell_refuses_nobody():
    require_room(NEEDED, None)


def test_the_stage_fails_before_it_reads_the_weights_and_goes_on_with_more_memory(
    tmp_path, monkeypatch
):
    line = Line(tmp_path)
    line.prepared()
    with monkeypatch.context() as patch:
        small = MemoryLimit(64 << 20, "memory.max of the container says")
        patch.setattr("trainer.train.footprint.memory_limit", lambda: small)
        patch.setattr("trainer.train.stage.load_base", lambda *_, **__: pytest.fail("read"))
        with pytest.raises(StageError, match=r"memory\.max of the container says 0\.06") as caught:
            line.trained()
    assert EXIT_CODES[caught.value.failure] == 137
    assert line.trained().trained


def test_large_blocks_are_mapped_apart():
    """Where the C library is glibc, as in our images."""
    assert map_large_blocks()
