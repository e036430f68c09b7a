"""The adapter: put on a base model, written beside proof of which base it belongs to, read back."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from trainer.contract.failures import FailureClass
from trainer.contract.spec import Lora
from trainer.errors import StageError
from trainer.model.targets import has_transposed_layers, resolve_targets
from trainer.store.manifest import ADAPTER_FILES, BaseBinding

CONFIG, WEIGHTS, BINDING = FILES = ADAPTER_FILES


def attach(model: PreTrainedModel, lora: Lora, seed: int) -> PeftModel:
    """A fresh fp32 adapter on a frozen base; the same seed gives the same adapter.

    Raises:
        StageError: the target modules do not fit the model.
    """
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=float(lora.dropout),
        target_modules=resolve_targets(model, lora.target_modules),
        fan_in_fan_out=has_transposed_layers(model),
        use_rslora=lora.variant == "RSLoRA",
        use_dora=lora.variant == "DoRA",
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), _quiet():
        torch.manual_seed(seed)
        return get_peft_model(model, config).eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Peft reads names that transformers is about to drop; nothing a user can do about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def base_of(model: PeftModel) -> PreTrainedModel:
    """The base model that carries the adapter's layers inside."""
    return cast("PreTrainedModel", model.get_base_model())


def trainable(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by name, in a fixed order."""
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def copy_weights(model: PeftModel) -> dict[str, Tensor]:
    """The adapter's parameters as they are now, on the CPU."""
    return {name: each.detach().to("cpu", copy=True) for name, each in trainable(model).items()}


def restore_weights(model: PeftModel, weights: Mapping[str, Tensor]) -> None:
    """Set the adapter's parameters to a copy taken earlier."""
    with torch.no_grad():
        for name, each in trainable(model).items():
            each.copy_(weights[name])


def save_adapter(model: PeftModel, directory: Path, binding: BaseBinding) -> None:
    """Write a directory that peft loads, and the binding that ``load_adapter`` checks."""
    directory.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"]
    assert isinstance(config, LoraConfig)  # noqa: S101 - attach() makes no other
    config.base_model_name_or_path = binding.source
    config.revision = binding.revision
    config.inference_mode = True
    # A set: its order, and with it the adapter's digest, would differ from process to process.
    config.target_modules = sorted(config.target_modules or ())
    config.save_pretrained(str(directory))
    # "auto" would ask a hub whether the vocabulary was resized; it never is.
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
    (directory / BINDING).write_text(binding.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_adapter(model: PreTrainedModel, directory: Path, *, binding: BaseBinding) -> PeftModel:
    """Put a saved adapter on ``model``, whose identity ``binding`` states.

    Raises:
        StageError: the adapter has no binding, or was trained on another base.
    """
    own = _read_binding(directory)
    difference = base_difference(own, binding)
    if difference:
        message = (
            f"the adapter in {directory.name} belongs to {own.source} ({own.revision}), and the "
            f"base model here is another: {difference}; load it on the base that it was trained on"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)
    with _quiet():
        return PeftModel.from_pretrained(model, str(directory), local_files_only=True).eval()


def base_difference(adapter: BaseBinding, base: BaseBinding) -> str:
    """What tells two bases apart; empty when they are the same, wherever they came from."""
    named = {
        "vocabulary size": "vocabulary_size",
        "tokenizer": "tokenizer_sha256",
        "chat template": "template_sha256",
        "config.json": "config_sha256",
        "content digest": "content_digest",
    }
    for label, field in named.items():
        trained_on, here = getattr(adapter, field), getattr(base, field)
        if trained_on != here:
            return f"its {label} is {str(here)[:23]}, not {str(trained_on)[:23]}"
    return ""


def adapter_digest(directory: Path) -> str:
    """sha256 over the names and contents of the adapter's files."""
    lines = [f"{name}\0{sha256((directory / name).read_bytes()).hexdigest()}\n" for name in FILES]
    return f"sha256:{sha256(''.join(sorted(lines)).encode()).hexdigest()}"


def _read_binding(directory: Path) -> BaseBinding:
    path = directory / BINDING
    try:
        return BaseBinding.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        message = f"the adapter in {directory.name} has no {BINDING}, which names its base model"
        raise StageError(FailureClass.NOT_FOUND, message) from None
    except ValidationError:
        message = f"{BINDING} of the adapter in {directory.name} is not what Tunekeeper writes"
        raise StageError(FailureClass.INVALID_SPEC, message) from None
