"""The merged model answers as the base does with the adapter on it, and is whole by itself."""

import json

import pytest
import torch
from builders.architectures import FAMILIES, make_family
from builders.tiny_model import make_tokenizer
from builders.tiny_weights import make_model
from builders.training import a_binding, documents
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.contract.failures import FailureClass
from trainer.contract.spec import Lora
from trainer.errors import StageError
from trainer.model.adapter import attach, save_adapter, trainable
from trainer.model.load import load_base
from trainer.model.merge import check_mergeable, write_merged

FP32, BF16 = 1e-5, 2e-2
"""How far the logits of a merged model may be from those of base and adapter, relative; a weight
of BF16 has 8 bits, and the sum is rounded to them once."""


@pytest.fixture(scope="session")
def families(tmp_path_factory):
    return tmp_path_factory.mktemp("merged-families")


def adapted(base, *, variant="LoRA", precision="FP32"):
    """A base model with an adapter that does something."""
    model = attach(
        load_base(base, precision=precision, device="cpu"), Lora(rank=4, variant=variant), seed=1
    )
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(3)
        for name, each in trainable(model).items():
            each.add_(torch.randn_like(each) * (0.05 if "magnitude" not in name else 0.01))
    return model


def logits(model):
    ids = torch.from_numpy(documents(1, shared=24)[0].tokens)[None]
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


def relative(one, other):
    return float((one - other).norm() / other.norm())


def plain(directory, **options):
    """As a user loads it."""
    return AutoModelForCausalLM.from_pretrained(directory, dtype="auto", **options).eval()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_plain_peft_loads_the_adapter_of_every_family_to_the_same_logits(
    families, family, tmp_path
):
    base = make_family(families, family)
    model = adapted(base)
    save_adapter(model, tmp_path, a_binding())
    assert relative(logits(PeftModel.from_pretrained(plain(base), tmp_path)), logits(model)) < FP32
    assert relative(logits(plain(base)), logits(model)) > 100 * FP32


@pytest.mark.parametrize("family", FAMILIES)
def test_the_merged_model_of_every_family_has_the_logits_of_base_and_adapter(
    families, family, tmp_path
):
    model = adapted(make_family(families, family))
    expected = logits(model)
    write_merged(model, make_family(families, family), tmp_path)
    assert relative(logits(plain(tmp_path)), expected) < FP32


@pytest.mark.parametrize("variant", ["RSLoRA", "DoRA"])
@pytest.mark.parametrize("family", ["Llama", "GPT-2"])
def test_the_other_variants_merge_as_well(families, family, variant, tmp_path):
    model = adapted(make_family(families, family), variant=variant)
    expected = logits(model)
    write_merged(model, make_family(families, family), tmp_path)
    assert relative(logits(plain(tmp_path)), expected) < FP32


@pytest.mark.parametrize("precision", ["FP32", "BF16"])
def test_a_base_that_is_stored_in_bf16_is_merged_into_bf16(families, tmp_path, precision):
    base = tmp_path / "base"
    plain(make_family(families, "Llama")).to(torch.bfloat16).save_pretrained(base)
    model = adapted(base, precision=precision)
    expected = logits(model)
    write_merged(model, base, tmp_path / "merged")
    merged = plain(tmp_path / "merged")
    assert merged.dtype == torch.bfloat16
    assert relative(logits(merged), expected) < BF16


def test_it_has_all_that_it_needs_and_no_word_of_where_it_was_made(tmp_path):
    base = make_tokenizer(tmp_path / "base", weights=False)
    make_model(base)
    (base / "README.md").write_text("the base's own")
    (base / "LICENSE").write_text("as free as the base")
    written = write_merged(adapted(base), base, tmp_path / "merged")
    names = {path.name for path in written}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"}
    assert "LICENSE" in names
    assert "README.md" not in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".py"))]
    assert str(tmp_path) not in (tmp_path / "merged" / "config.json").read_text()
    asked = [{"role": "user", "content": "where is my card"}]
    ids = AutoTokenizer.from_pretrained(tmp_path / "merged").apply_chat_template(asked)
    assert ids == AutoTokenizer.from_pretrained(base).apply_chat_template(asked)


def test_a_quantised_base_is_refused_by_name(families):
    model = load_base(make_family(families, "Llama"), precision="FP32", device="cpu")
    check_mergeable(model)
    model.config.quantization_config = {"quant_method": "gptq", "bits": 4}
    with pytest.raises(StageError, match=r"spec\.output\.merged: .*quantised") as caught:
        check_mergeable(model)
    assert caught.value.failure is FailureClass.INVALID_SPEC


def test_the_vocabulary_is_never_resized(families, tmp_path):
    base = make_family(families, "Llama")
    model = adapted(base)
    write_merged(model, base, tmp_path)
    sizes = [json.loads((at / "config.json").read_text())["vocab_size"] for at in (base, tmp_path)]
    assert sizes[0] == sizes[1] == plain(tmp_path).get_input_embeddings().num_embeddings
