"""Everything the optimisation depends on, as plain numbers: the spec with its Autos filled in."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from trainer.contract.spec import RunSpec
from trainer.data.plan import PreparedPlan

MAX_VALIDATION_ROWS = 500
"""Of a larger validation split a fixed subset is read at each evaluation."""
MIN_VALIDATION_GROUPS = 30
"""With fewer, validation loss is too uncertain to stop on."""
MAX_TRAIN_PROBE_ROWS = 200
"""Rows that the training loss of the best adapter is taken on."""

MICRO_TOKENS = {"cpu": 256, "cuda": 16384}
"""Tokens computed at a time: what bounds the memory of activations.

On a CPU more of them were no faster (137 tokens per CPU second at 512, 130 at 256 and 1,024, before
layers were fused), and each keeps 1 MB on a model of 135 M parameters.
"""
PREFIX_SHARE = 10
"""A shared prefix is computed in every part: at most one in so many tokens may be of it, ..."""
MAX_MICRO_TOKENS = 1024
"""... but no part is larger for its sake than this, on a CPU."""


def micro_tokens(device: str, prefix: int) -> int:
    """Tokens to compute at a time, of rows that share ``prefix`` tokens."""
    usual = MICRO_TOKENS.get(device, MICRO_TOKENS["cpu"])
    return max(usual, min(PREFIX_SHARE * prefix, MAX_MICRO_TOKENS))


@dataclass(frozen=True)
class TrainSettings:
    """One optimisation."""

    epochs: int
    max_steps: int | None
    batch_tokens: int
    learning_rate: float
    scheduler: Literal["Cosine", "Linear", "Constant"]
    warmup_percent: int
    weight_decay: float
    max_grad_norm: float
    seed: int
    patience: int
    min_delta: float
    checkpoint_period_s: float
    dropout: float

    def fingerprint(self, split_digests: dict[str, str]) -> str:
        """Names what a checkpoint must agree on to be gone on from."""
        fixed = {k: v for k, v in vars(self).items() if k != "checkpoint_period_s"}
        text = repr((sorted(fixed.items()), sorted(split_digests.items())))
        return sha256(text.encode()).hexdigest()


def settings_of(spec: RunSpec, plan: PreparedPlan) -> TrainSettings:
    """The spec's training section with prepare's resolved values."""
    training = spec.training
    return TrainSettings(
        epochs=plan.epochs,
        max_steps=training.max_steps,
        batch_tokens=plan.batch_tokens,
        learning_rate=plan.learning_rate,
        scheduler=training.scheduler,
        warmup_percent=training.warmup_percent,
        weight_decay=float(training.weight_decay),
        max_grad_norm=float(training.max_grad_norm),
        seed=training.seed,
        patience=training.early_stopping.patience,
        min_delta=float(training.early_stopping.min_delta),
        checkpoint_period_s=float(training.checkpoint_period_seconds),
        dropout=float(spec.lora.dropout),
    )
