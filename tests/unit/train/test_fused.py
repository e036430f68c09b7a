"""Layers that pass over memory less often compute what they computed before."""

from copy import deepcopy

import pytest
import torch
from builders.architectures import FAMILIES, make_family
from builders.training import documents
from torch.nn import Module
from torch.nn.functional import rms_norm

from trainer.contract.spec import Lora
from trainer.model import fused
from trainer.model.adapter import attach, base_of, trainable
from trainer.model.load import load_base
from trainer.train.corpus import corpus_for
from trainer.train.loss import loss_sum

EXACT = 1e-10
"""Relative, in float64."""
EVERY = {"Llama": "ANG", "Qwen 2": "ANG", "Qwen 3": "ANG", "Mistral": "ANG"}
"""Which families have adapted layers, norms and gated MLPs that can be fused."""
SOME = {"GPT-2": "", "Gemma 2": "A"}
"""GPT-2's layers are transposed; Gemma's norms add 1 to their weights, its gate is no SiLU."""


@pytest.fixture(scope="session")
def families(tmp_path_factory):
    return tmp_path_factory.mktemp("families")


def adapted(families, family, **lora):
    """In float64, with an adapter that is not 0."""
    base = load_base(make_family(families, family), precision="FP32", device="cpu")
    model = attach(base, Lora(rank=4, **lora), seed=1).double()
    noise = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for each in trainable(model).values():
            each.copy_(torch.randn(each.shape, generator=noise) / 8)
    return model


@pytest.fixture
def exact_norms(monkeypatch):
    """Those of transformers compute in FP32 even in float64."""

    def forward(layer, inputs):
        return rms_norm(inputs, layer.weight.shape, layer.weight, layer.variance_epsilon)

    def give(model):
        for kind in {type(each) for each in model.modules() if hasattr(each, "variance_epsilon")}:
            monkeypatch.setattr(kind, "forward", forward)
        return model

    return give


def learnt(model):
    """The loss and every gradient."""
    base = base_of(model)
    rows = sorted(documents(7, shared=24), key=len)
    batches = list(corpus_for(base, rows, dropout=0.0).batches(range(7), 10_000))
    loss = sum(loss_sum(base, batch) for batch in batches)
    own = trainable(model)
    return [loss.detach(), *torch.autograd.grad(loss, list(own.values()))]


def kinds(model):
    """How many layers of each kind look as if they could be fused, and are not."""
    ways = [(layer, way) for layer in model.modules() for way in fused.ways(layer)]
    return {name for layer, way in ways for name in [way.__name__] if fused.agrees(layer, way)}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("variant", ["LoRA", "RSLoRA"])
def test_losses_and_gradients_are_the_same(families, exact_norms, family, variant):
    model = exact_norms(adapted(families, family, variant=variant))
    before = learnt(model)
    fused.fuse(model)
    assert fused.fuse(model) == 0  # once is enough
    for one, other in zip(learnt(model), before, strict=True):
        assert float((one - other).norm()) <= EXACT * float(other.norm())


@pytest.mark.parametrize(("family", "letters"), [*EVERY.items(), *SOME.items()])
def test_each_family_has_the_layers_that_it_can_have(families, family, letters):
    names = {"A": "adapted", "N": "normed", "G": "gated"}
    assert kinds(adapted(families, family)) == {names[letter] for letter in letters}


@pytest.mark.parametrize(
    "lora",
    [pytest.param({"variant": "DoRA"}, id="DoRA"), pytest.param({"dropout": "0.1"}, id="dropout")],
)
def test_an_adapter_with_a_formula_of_its_own_stays(families, lora):
    assert "adapted" not in kinds(adapted(families, "Llama", **lora))


@pytest.mark.parametrize(
    "lora",
    [
        pytest.param({"targetModules": ["up_proj"]}, id="none"),
        pytest.param({"variant": "DoRA"}, id="DoRA"),
    ],
)
def test_a_gated_mlp_without_a_plain_adapter_at_its_end(families, exact_norms, lora):
    model = exact_norms(adapted(families, "Llama", **lora))
    before = learnt(model)
    assert fused.fuse(model)
    assert "gated" in kinds(adapted(families, "Llama", **lora))
    for one, other in zip(learnt(model), before, strict=True):
        assert float((one - other).norm()) <= EXACT * float(other.norm())


def test_a_merged_model_has_gradients_too(families):
    model, ids = adapted(families, "Llama"), torch.arange(9)[None]
    fused.fuse(model)
    merged = model.merge_and_unload()
    merged.model.embed_tokens.weight.requires_grad_()
    merged(ids).logits.sum().backward()
    assert merged.model.embed_tokens.weight.grad.any()


def test_an_adapter_in_other_numbers_than_its_base_stays(families):
    base = load_base(make_family(families, "Llama"), precision="BF16", device="cpu")
    assert "adapted" not in kinds(attach(base, Lora(rank=4), seed=1))


@pytest.mark.parametrize("is_off", [False, True])
def test_answers_are_those_of_the_layer_itself_to_the_bit(families, is_off):
    """Without gradients nothing is kept, so nothing is saved; and a base arm has no adapter."""
    model, ids = adapted(families, "Llama"), torch.arange(9)[None]
    with torch.no_grad():
        before = answered(model, ids, is_off=is_off)
        fused.fuse(model)
        assert torch.equal(answered(model, ids, is_off=is_off), before)


def answered(model, ids, *, is_off):
    if not is_off:
        return model(ids).logits
    with model.disable_adapter():
        return model(ids).logits


def test_a_base_arm_with_gradients_has_no_adapter_either(families, exact_norms):
    model, ids = exact_norms(adapted(families, "Llama")), torch.arange(9)[None]
    with model.disable_adapter():
        before = model(ids).logits
        fused.fuse(model)
        assert torch.allclose(model(ids).logits, before, rtol=EXACT, atol=EXACT)


class Doubled(Module):
    """Looks like RMSNorm."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(8), requires_grad=False)
        self.variance_epsilon = 1e-6

    def forward(self, inputs):
        return 2 * rms_norm(inputs, (8,), self.weight, self.variance_epsilon)


class Learning(Doubled):
    """Has a weight that learns, of which the fused one knows no gradient."""

    def __init__(self):
        super().__init__()
        self.weight.requires_grad_()


def test_a_layer_that_only_looks_the_same_is_found_out():
    layer = Doubled()
    assert list(fused.ways(layer)) == [fused.normed]
    assert not fused.agrees(layer, fused.normed)
    assert not list(fused.ways(Learning()))


def test_a_gated_mlp_that_clamps_is_found_out(families, monkeypatch):
    """As DeepSeek's fourth: small numbers do not show it."""
    mlp = adapted(families, "Llama").get_base_model().model.layers[0].mlp

    def forward(layer, inputs):
        gate, up = layer.gate_proj(inputs), layer.up_proj(inputs)
        return layer.down_proj(layer.act_fn(gate.clamp(max=1e2)) * up.clamp(-1e2, 1e2))

    assert fused.agrees(mlp, fused.gated)
    monkeypatch.setattr(type(mlp), "forward", forward)
    assert not fused.agrees(mlp, fused.gated)


def a_layer(families):
    """An adapted layer of a new adapter, whose B is 0."""
    base = load_base(make_family(families, "Llama"), precision="FP32", device="cpu")
    return attach(base, Lora(rank=4), seed=1).get_base_model().model.layers[0].self_attn.q_proj


def half(layer, inputs):
    """Right where B is 0, wrong as soon as it moves."""
    return (fused.adapted(layer, inputs) + layer.get_base_layer()(inputs)) / 2


def test_a_new_adapter_hides_no_mistake_and_is_new_afterwards(families):
    layer = a_layer(families)
    before = {name: each.clone() for name, each in layer.state_dict().items()}
    assert fused.agrees(layer, fused.adapted)
    assert not fused.agrees(layer, half)
    for name, each in layer.state_dict().items():
        assert torch.equal(each, before[name])


def test_what_a_layer_gives_may_be_written_into(families):
    """As Falcon and OLMo do."""
    layer, inputs = a_layer(families), torch.ones(1, 3, 32)
    out = fused.adapted(layer, inputs)
    out += 1
    out.sum().backward()
    assert torch.equal(out, layer(inputs) + 1)


def test_a_copy_has_its_own_weights(families):
    model = adapted(families, "Llama")
    fused.fuse(model)
    copy, ids = deepcopy(model), torch.arange(9)[None]
    with torch.no_grad():
        for each in trainable(copy).values():
            each.zero_()
    with model.disable_adapter():
        for context in (torch.no_grad(), torch.enable_grad()):
            with context:
                assert torch.allclose(copy(ids).logits, model(ids).logits, rtol=1e-5, atol=1e-5)
