"""Only an adapter that vLLM serves is published."""

import json

import pytest
import torch
from builders.architectures import FAMILIES, make_family
from builders.training import Bench, a_binding
from safetensors.torch import load_file, save_file

from trainer.contract.failures import FailureClass
from trainer.contract.spec import Lora
from trainer.errors import StageError
from trainer.model.adapter import WEIGHTS, attach, save_adapter
from trainer.model.load import load_base
from trainer.model.servable import check_servable, refusals
from trainer.model.targets import linear_names
from trainer.report.serving import max_lora_rank, serving

Q = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture
def saved(base, tmp_path):
    linear = linear_names(base)
    save_adapter(attach(base, Lora(rank=4), seed=1), tmp_path, a_binding())
    return tmp_path, linear


@pytest.mark.parametrize("variant", ["LoRA", "RSLoRA", "DoRA"])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_training_writes_passes(tmp_path, family, variant):
    base = load_base(make_family(tmp_path, family), precision="FP32", device="cpu")
    linear = linear_names(base)
    model = attach(base, Lora(rank=4, variant=variant), seed=1)
    save_adapter(model, tmp_path / "adapter", a_binding())
    assert refusals(tmp_path / "adapter", linear) == []
    assert linear_names(base) == linear  # with the adapter on


CONFIGS = [
    pytest.param({"r": 513}, "rank 513 is above 512", id="a rank above the largest"),
    pytest.param({"modules_to_save": ["embed_tokens"]}, "modules_to_save", id="modules_to_save"),
    pytest.param({"bias": "lora_only"}, "bias is 'lora_only'", id="trained biases"),
    pytest.param({"peft_type": "LOHA"}, "peft_type", id="another kind of adapter"),
    pytest.param({"rank_pattern": {"q_proj": 8}}, "rank_pattern", id="ranks of their own"),
    pytest.param({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern", id="scales of their own"),
    pytest.param({"target_modules": "all-linear"}, "pattern", id="a pattern of modules"),
    pytest.param({"target_parameters": ["experts"]}, "target_parameters", id="fused experts"),
]


@pytest.mark.parametrize(("fields", "reason"), CONFIGS)
def test_a_config_that_vllm_refuses_is_not_published(saved, fields, reason):
    directory, linear = saved
    path = directory / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(StageError, match=reason) as caught:
        check_servable(directory, linear)
    assert caught.value.failure is FailureClass.UNEXPECTED


WEIGHTS_OF = [
    pytest.param(
        {"base_model.model.model.embed_tokens.lora_embedding_A": (4, 128)},
        "embed_tokens.lora_embedding_A is no LoRA weight",
        id="LoRA on the embedding",
    ),
    pytest.param(
        {"base_model.model.model.embed_tokens.weight": (128, 32)},
        "embed_tokens.weight is no LoRA weight",
        id="a whole embedding",
    ),
    pytest.param(
        {"base_model.model.lm_head.lora_A.weight": (4, 32)},
        "lm_head is no linear layer",
        id="the head",
    ),
    pytest.param({f"{Q}.lora_A.default.weight": (4, 32)}, "is no LoRA weight", id="an inner name"),
    pytest.param({f"{Q}.lora_A.weight": (8, 32)}, "not of rank 4", id="another rank"),
    pytest.param({f"{Q}.lora_B.weight": None}, "q_proj has only lora_A", id="half a pair"),
    pytest.param({f"{Q}.lora_magnitude_vector": (32,)}, "is no LoRA weight", id="a magnitude"),
]


@pytest.mark.parametrize(("changes", "reason"), WEIGHTS_OF)
def test_weights_that_vllm_refuses_are_not_published(saved, changes, reason):
    directory, linear = saved
    weights = load_file(directory / WEIGHTS)
    for name, shape in changes.items():
        if shape is None:
            del weights[name]
        else:
            weights[name] = torch.zeros(shape)
    save_file(weights, directory / WEIGHTS)
    assert any(reason in one for one in refusals(directory, linear)), refusals(directory, linear)


def test_an_empty_adapter_is_not_published(saved):
    save_file({}, saved[0] / WEIGHTS)
    assert refusals(*saved) == ["it has no weights"]


def test_training_asks_before_it_leaves_anything_to_publish(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.model.servable.MAX_LORA_RANKS", (1,))
    monkeypatch.setattr("trainer.model.servable.max_lora_rank", lambda _rank: None)
    with pytest.raises(StageError, match="it is not published: rank 4 is above 1"):
        Bench(tmp_path).run()


RANKS = [
    pytest.param(1, 1, id="the smallest"),
    pytest.param(4, 8, id="between two values"),
    pytest.param(16, 16, id="a value itself"),
    pytest.param(257, 320, id="above 256"),
    pytest.param(512, 512, id="the largest that a spec may ask for"),
    pytest.param(513, None, id="beyond all"),
]


@pytest.mark.parametrize(("rank", "value"), RANKS)
def test_the_setting_that_serves_a_rank(rank, value):
    assert max_lora_rank(rank) == value


def test_the_card_says_how_it_is_served_and_that_dora_is_not():
    assert "--max-lora-rank 64" in serving(Lora(rank=48))
    assert "serves no DoRA" in serving(Lora(variant="DoRA"))
