"""An adapter is plain peft, and goes on the base that it was trained on and no other."""

import json

import pytest
import torch
from builders.architectures import make_family
from builders.tiny_weights import make_model
from builders.training import a_binding, prepared_rows
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, MixtralConfig

from trainer.contract.failures import FailureClass
from trainer.contract.spec import Lora
from trainer.errors import StageError
from trainer.model.adapter import (
    BINDING,
    adapter_digest,
    attach,
    load_adapter,
    save_adapter,
    trainable,
)
from trainer.model.load import load_base


@pytest.fixture
def saved(base, tmp_path):
    """A trained adapter's directory, and the logits of the model that wrote it."""
    model = attach(base, Lora(rank=4), seed=1)
    for each in trainable(model).values():
        each.data.add_(torch.randn_like(each) * 0.05)
    save_adapter(model, tmp_path / "adapter", a_binding())
    return tmp_path / "adapter", logits(model)


def logits(model):
    ids = torch.from_numpy(prepared_rows(1, seed=5)[0].input_ids.astype("int64"))[None]
    with torch.no_grad():
        return model(input_ids=ids).logits


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_plain_peft_loads_it_to_the_same_logits(saved, base_directory):
    directory, expected = saved
    plain = AutoModelForCausalLM.from_pretrained(base_directory)
    torch.testing.assert_close(logits(PeftModel.from_pretrained(plain, directory)), expected)


def test_it_loads_on_its_own_base_to_the_same_logits(saved, base_directory):
    directory, expected = saved
    base = load_base(base_directory, precision="FP32", device="cpu")
    moved = a_binding(source="another/place", revision="1" * 12)
    loaded = load_adapter(base, directory, binding=moved)
    torch.testing.assert_close(logits(loaded), expected)


def test_its_config_names_the_base_and_its_revision(saved):
    config = json.loads((saved[0] / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base"
    assert config["revision"] == "0" * 12


OTHER_BASES = [
    pytest.param({"contentDigest": "sha256:" + "1" * 64}, "content digest", id="other weights"),
    pytest.param({"vocabularySize": 129}, "vocabulary size is 129, not 128", id="vocabulary"),
    pytest.param({"configSha256": "x"}, r"config\.json", id="another config"),
    pytest.param({"tokenizerSha256": "x"}, "tokenizer", id="another tokenizer"),
    pytest.param({"templateSha256": "x"}, "chat template", id="another template"),
]


@pytest.mark.parametrize(("fields", "reason"), OTHER_BASES)
def test_another_base_is_refused_with_the_reason(saved, base, fields, reason):
    with pytest.raises(StageError, match=reason) as caught:
        load_adapter(base, saved[0], binding=a_binding(**fields))
    assert caught.value.failure is FailureClass.INVALID_SPEC


def test_an_adapter_without_binding_is_refused(saved, base):
    (saved[0] / BINDING).unlink()
    with pytest.raises(StageError, match=r"no base\.json"):
        load_adapter(base, saved[0], binding=a_binding())


def test_the_digest_changes_with_any_file(saved):
    before = adapter_digest(saved[0])
    assert before == adapter_digest(saved[0])
    binding = saved[0] / BINDING
    binding.write_text(binding.read_text() + " ")
    assert adapter_digest(saved[0]) != before


def test_every_linear_layer_but_the_head_is_adapted_in_fp32(base):
    model = attach(base.to(torch.bfloat16), Lora(rank=2), seed=1)
    names = {name.rsplit(".", 3)[0] for name in trainable(model)}
    assert len(names) == 2 * 7
    assert not any("lm_head" in name for name in names)
    assert {each.dtype for each in trainable(model).values()} == {torch.float32}


WRONG_TARGETS = [
    pytest.param(["q_prj"], "did you mean q_proj", id="a misspelt name"),
    pytest.param(["lm_head"], "lm_head", id="the head"),
    pytest.param(["AllLinear", "q_proj"], "alone", id="AllLinear and a name"),
]


@pytest.mark.parametrize(("targets", "message"), WRONG_TARGETS)
def test_wrong_targets_are_refused(base, targets, message):
    with pytest.raises(StageError, match=message) as caught:
        attach(base, Lora(target_modules=targets), seed=1)
    assert caught.value.failure is FailureClass.INVALID_SPEC


TARGETS = [
    pytest.param("Llama", ["q_proj", "v_proj"], 2 * 2, id="two names, in both layers"),
    pytest.param("Llama", ["layers.1.self_attn.q_proj"], 1, id="one layer of one block"),
    pytest.param("Llama", ["mlp.up_proj", "o_proj"], 2 * 2, id="a part of the path"),
    pytest.param("GPT-2", ["c_attn"], 2, id="GPT-2's fused attention"),
    pytest.param("GPT-2", ["c_proj"], 2 * 2, id="a name that attention and MLP share"),
    pytest.param("Gemma 2", ["gate_proj", "down_proj"], 2 * 2, id="Gemma's MLP"),
]


@pytest.mark.parametrize(("family", "targets", "count"), TARGETS)
def test_named_targets_are_the_only_ones_adapted(tmp_path, family, targets, count):
    base = load_base(make_family(tmp_path, family), precision="FP32", device="cpu")
    model = attach(base, Lora(rank=2, target_modules=targets), seed=1)
    names = {name.rpartition(".lora_")[0] for name in trainable(model)}
    assert len(names) == count
    assert all(any(name.endswith(f".{each}") for each in targets) for name in names)
    save_adapter(model, tmp_path / "adapter", a_binding())
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(targets)


def test_all_linear_is_refused_where_it_would_skip_fused_experts(tmp_path):
    config = MixtralConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_local_experts=2,
    )
    make_model(tmp_path, config)
    model = load_base(tmp_path, precision="FP32", device="cpu")
    with pytest.raises(StageError, match=r"fused expert weights.* out of: .*q_proj"):
        attach(model, Lora(), seed=1)
    attach(model, Lora(target_modules=["q_proj"]), seed=1)


def test_the_base_is_frozen_and_in_eval_mode(base):
    assert not any(each.requires_grad for each in base.parameters())
    assert not any(module.training for module in base.modules() if isinstance(module, nn.Module))
