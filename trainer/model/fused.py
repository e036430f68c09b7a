"""Layers that pass over memory less often: an adapted linear layer, RMSNorm, and the gated MLP.

On a CPU a small model spends nearly half as long on sums and products of single numbers as on
products of matrices. Owns the layers' own backward passes, and the proof that each computes what
the layer that it stands in for does: one that does not agree on random numbers stays as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as AdaptedLinear
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import Linear, Module
from torch.nn.functional import linear, silu

ADAPTER = "default"
TOLERANCE = 1e-4
"""Relative, of outputs and gradients in FP32; a wrong formula is off by more than a hundredth."""
PROBE_TOKENS = 5
PROBE_SIZES = (1.0, 1e3)
"""The large ones meet what a layer clamps."""

Forward = Callable[[Any, Tensor], Tensor]


class _Adapted(torch.autograd.Function):
    """``x W' + b + s (x A') B'``; x is (tokens, width), W and b are frozen."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them by place
        ctx: Any,  # noqa: ANN401 - torch's context
        flat: Tensor,
        base: Linear,
        low: Tensor,
        high: Tensor,
        scale: float,
    ) -> Tensor:
        out, inner = _project(flat, base, low, high, scale)
        ctx.save_for_backward(flat, base.weight, low, high, inner)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's context
        flat, weight, low, high, inner = ctx.saved_tensors
        (gradient,) = outputs
        of_inner, of_high = _of_adapter(gradient, high, inner, ctx.scale)
        wanted = ctx.needs_input_grad[0]
        of_inputs = (gradient @ weight).addmm_(of_inner, low) if wanted else None
        return of_inputs, None, of_inner.t() @ flat, of_high, None


def _project(
    flat: Tensor, base: Linear, low: Tensor, high: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """The adapted layer's output, summed in place, and (tokens, rank) between A and B."""
    inner = flat @ low.t()
    return linear(flat, base.weight, base.bias).addmm_(inner, high.t(), alpha=scale), inner


def _of_adapter(
    gradient: Tensor, high: Tensor, inner: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Gradients of what lies between A and B, and of B."""
    return (gradient @ high).mul_(scale), (inner.t() @ gradient).t().mul(scale)


class _Norm(torch.autograd.Function):
    """``x / rms(x) * w`` for a frozen w."""

    @staticmethod
    def forward(ctx: FunctionCtx, inputs: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        mean = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True).square_()
        inverse = mean.div_(inputs.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(inputs, weight, inverse)
        out: Tensor = (inputs * inverse).mul_(weight)
        return out

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's context
        inputs, weight, inverse = ctx.saved_tensors
        weighted = outputs[0] * weight
        along = (weighted * inputs).sum(-1, keepdim=True)
        along = along.mul_(inverse * inverse).div_(inputs.shape[-1])
        return weighted.addcmul_(inputs, along, value=-1).mul_(inverse), None, None


class _Product(torch.autograd.Function):
    """``silu(gate) * up``; silu is computed again in the backward pass instead of being kept."""

    @staticmethod
    def forward(ctx: FunctionCtx, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's context
        gate, up = ctx.saved_tensors
        of_gate = torch.ops.aten.silu_backward(outputs[0] * up, gate)
        return of_gate, silu(gate).mul_(outputs[0])


class _Gated(torch.autograd.Function):
    """The adapted layer over that product, which is computed again too."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them by place
        ctx: Any,  # noqa: ANN401 - torch's context
        gate: Tensor,
        up: Tensor,
        base: Linear,
        low: Tensor,
        high: Tensor,
        scale: float,
    ) -> Tensor:
        out, inner = _project(silu(gate).mul_(up), base, low, high, scale)
        ctx.save_for_backward(gate, up, base.weight, low, high, inner)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's context
        gate, up, weight, low, high, inner = ctx.saved_tensors
        (gradient,) = outputs
        of_inner, of_high = _of_adapter(gradient, high, inner, ctx.scale)
        of_product = (gradient @ weight).addmm_(of_inner, low)
        open_gate = silu(gate)
        of_low = of_inner.t() @ (open_gate * up)
        of_up = open_gate.mul_(of_product)
        of_gate = torch.ops.aten.silu_backward(of_product.mul_(up), gate)
        return of_gate, of_up, None, of_low, of_high, None


def adapted(layer: AdaptedLinear, inputs: Tensor) -> Tensor:
    """What an adapted linear layer computes."""
    out: Tensor = _Adapted.apply(inputs.flatten(0, -2), *_parts(layer))
    # A view that a Function returns could not be written into, as Falcon does
    return out.view(*inputs.shape[:-1], out.shape[-1])


def normed(layer: Any, inputs: Tensor) -> Tensor:  # noqa: ANN401 - every family has its own class
    """What RMSNorm computes."""
    out: Tensor = _Norm.apply(inputs, layer.weight, layer.variance_epsilon)
    return out


def gated(layer: Any, inputs: Tensor) -> Tensor:  # noqa: ANN401 - every family has its own class
    """What a gated MLP computes."""
    gate, up, down = layer.gate_proj(inputs), layer.up_proj(inputs), layer.down_proj
    if not isinstance(down, AdaptedLinear) or _is_off(down) or not _is_plain(down):
        product: Tensor = down(_Product.apply(gate, up))
        return product
    out: Tensor = _Gated.apply(gate.flatten(0, -2), up.flatten(0, -2), *_parts(down))
    return out.view(*inputs.shape[:-1], out.shape[-1])


def fuse(model: PeftModel) -> int:
    """Let the model's layers compute in the way above while gradients are wanted; returns how many.

    Layers with a formula of their own, with dropout or with other numbers than the adapter's stay.
    """
    fresh = [layer for layer in model.modules() if "forward" not in vars(layer)]
    found = [(layer, way) for layer in fresh for way in ways(layer)]
    chosen = [(layer, way) for layer, way in found if agrees(layer, way)]
    for layer, way in chosen:
        layer.forward = MethodType(_switched(way), layer)
    return len(chosen)


def ways(layer: Module) -> Iterator[Forward]:
    """What may stand in for a layer, by its looks."""
    if isinstance(layer, AdaptedLinear) and _is_plain(layer):
        yield adapted
    if hasattr(layer, "variance_epsilon") and not _learns(layer):
        yield normed
    if all(hasattr(layer, f"{name}_proj") for name in ("gate", "up", "down")):
        yield gated


def agrees(layer: Module, way: Forward) -> bool:
    """Whether outputs and all gradients are the layer's own, tried on small and large numbers."""
    try:
        with _away_from_zero(layer):
            return all(_agrees(layer, MethodType(way, layer), size) for size in PROBE_SIZES)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001 - it only looked like one, and may raise whatever it likes
        return False


def _agrees(layer: Module, forward: Callable[[Tensor], Tensor], size: float) -> bool:
    pairs = zip(_tried(layer, layer, size), _tried(forward, layer, size), strict=True)
    return all(bool((a - b).norm() <= TOLERANCE * a.norm()) for a, b in pairs)


def _switched(way: Forward) -> Callable[..., Any]:
    """Without gradients, or without its adapter, a layer computes as its class does."""

    def switched(layer: Any, *inputs: Any, **named: Any) -> Any:  # noqa: ANN401 - as the layer's own
        is_usual = len(inputs) == 1 and not named and torch.is_grad_enabled()
        if is_usual and not _is_off(layer):
            return way(layer, *inputs)
        return type(layer).forward(layer, *inputs, **named)

    return switched


def _is_plain(layer: AdaptedLinear) -> bool:
    base, numbers = layer.get_base_layer(), {each.dtype for each in layer.parameters()}
    return (
        isinstance(base, Linear)
        and not _learns(base)
        and layer.active_adapters == [ADAPTER]
        and not layer.lora_variant
        and layer.lora_B[ADAPTER].bias is None
        and isinstance(layer.lora_dropout[ADAPTER], torch.nn.Identity)
        and len(numbers) == 1
    )


def _parts(layer: AdaptedLinear) -> tuple[Linear, Tensor, Tensor, float]:
    """The frozen layer, A, B and the scale."""
    halves = (layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight)
    low, high = cast("tuple[Tensor, Tensor]", halves)
    return cast("Linear", layer.get_base_layer()), low, high, layer.scaling[ADAPTER]


def _is_off(layer: Any) -> bool:  # noqa: ANN401 - only an adapted layer can be
    if not isinstance(layer, AdaptedLinear):
        return False
    return layer.disable_adapters or layer.merged or layer.active_adapters != [ADAPTER]


def _learns(layer: Module) -> bool:
    return any(each.requires_grad for each in layer.parameters())


@contextmanager
def _away_from_zero(layer: Module) -> Iterator[None]:
    """A new adapter's B is 0, which would hide what is wrong with it; inside the block none is."""
    zeros = [each for each in layer.parameters() if each.requires_grad and not each.any()]
    with torch.no_grad():
        for each in zeros:
            each.copy_(torch.linspace(-1, 1, each.numel()).view_as(each))
    try:
        yield
    finally:
        for each in zeros:
            each.detach().zero_()


def _tried(forward: Callable[[Tensor], Tensor], layer: Module, size: float) -> list[Tensor]:
    """The output, and the gradients of inputs and adapter for a gradient that is no constant."""
    first, noise = next(layer.parameters()), torch.Generator().manual_seed(0)
    inputs = size * torch.randn(1, PROBE_TOKENS, first.shape[-1], generator=noise).to(first)
    learnt = [inputs.requires_grad_(), *(each for each in layer.parameters() if each.requires_grad)]
    with torch.enable_grad():
        out = forward(inputs)
    weights = torch.linspace(-1, 1, out.numel(), device=out.device, dtype=out.dtype).view_as(out)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), learnt)]
