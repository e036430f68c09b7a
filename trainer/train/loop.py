"""The optimisation, one action at a time: a step, an evaluation, a checkpoint.

Owns what changes during training. Where checkpoints are kept, how an attempt starts and what is
published is decided in ``run``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from peft import PeftModel
from torch import Tensor
from torch.optim import AdamW

from trainer.model.adapter import base_of, copy_weights, restore_weights, trainable
from trainer.report.model import LossPoint
from trainer.train.checkpoint import Checkpoint, restore_rng, rng_state
from trainer.train.corpus import Corpus, mean_loss
from trainer.train.divergence import after_evaluation, after_step
from trainer.train.fitting import sum_that_fits
from trainer.train.loss import loss_sum
from trainer.train.optimizer import clip, moments, restore_moments, set_rate
from trainer.train.plan import Step, evaluation_steps
from trainer.train.ranks import ALONE, Ranks
from trainer.train.schedule import rate_factor
from trainer.train.settings import TrainSettings
from trainer.train.state import TrainState


@dataclass
class Training:
    """A run under way."""

    model: PeftModel
    settings: TrainSettings
    train: Corpus
    validation: Corpus
    steps: Sequence[Step]
    optimizer: AdamW
    state: TrainState
    clock: Callable[[], float]
    can_stop_early: bool = True
    ranks: Ranks = ALONE
    best: dict[str, Tensor] = field(default_factory=dict)
    metrics: bytearray = field(default_factory=bytearray)
    train_loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None

    def __post_init__(self) -> None:
        """Derive what follows from the fields."""
        self.parameters = trainable(self.model)
        self.evaluations = evaluation_steps(len(self.steps))
        self._clock_at = self.clock()

    @property
    def is_finished(self) -> bool:
        """Whether no step is left to do."""
        return self.state.stopped_early or self.state.step >= len(self.steps)

    @property
    def is_evaluation_due(self) -> bool:
        """Whether this step's adapter is still to be evaluated."""
        due = self.state.step in self.evaluations and self.state.evaluated_step < self.state.step
        return due and bool(self.validation.documents)

    def step(self) -> None:
        """One optimizer step.

        Raises:
            DivergedError: see ``divergence``.
            StageError: one row is too large for the GPU.
        """
        started, now = self.clock(), self.steps[self.state.step]
        loss = self._accumulate(now)
        rate = self._learning_rate()
        norm = clip(self.parameters, self.settings.max_grad_norm)
        found = after_step(
            self.state,
            loss,
            norm,
            vocabulary=base_of(self.model).config.get_text_config().vocab_size,
            learning_rate=self.settings.learning_rate,
        )
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.train_loss, self.learning_rate, self.gradient_norm = loss, rate, float(norm)
        tokens = sum(len(self.train.documents[i]) for i in now.documents)
        self._update(
            step=self.state.step + 1,
            trained_tokens=self.state.trained_tokens + tokens,
            step_seconds=self.state.step_seconds + self.clock() - started,
            **found,
        )
        self._record(train_loss=loss, learning_rate=rate)

    def evaluate(self) -> None:
        """Validation loss of the adapter as it is; keeps the adapter if it is the best so far."""
        loss = mean_loss(base_of(self.model), self.validation, self.state.micro_tokens, self.ranks)
        found = after_evaluation(self.state, loss, learning_rate=self.settings.learning_rate)
        best = self.state.best_loss
        is_gain = best is None or loss < best - self.settings.min_delta
        stale = 0 if is_gain else self.state.stale_evaluations + 1
        patience = self.settings.patience if self.can_stop_early else 0
        self._update(
            last_loss=loss,
            evaluated_step=self.state.step,
            stale_evaluations=stale,
            stopped_early=bool(patience) and stale >= patience and not self.is_finished,
            **found,
        )
        if best is None or loss < best:
            self._keep_best(loss)
        self._record(eval_loss=loss)

    def finish(self) -> None:
        """Put the best adapter into the model; without validation that is the last one."""
        if not self.best:
            self._keep_best(self.state.best_loss)
        restore_weights(self.model, self.best)

    def freeze(self) -> Checkpoint:
        """Everything an unbroken run would go on with."""
        rng, device_rng = rng_state()
        self._update(rng=rng, device_rng=device_rng)
        return Checkpoint(
            state=self.state,
            adapter=copy_weights(self.model),
            optimizer=moments(self.optimizer, self.parameters),
            best=self.best,
            metrics=bytes(self.metrics),
        )

    def thaw(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; lines of metrics.jsonl after it are gone."""
        self.state = checkpoint.state
        torch.set_num_threads(self.state.threads)
        restore_weights(self.model, checkpoint.adapter)
        restore_moments(self.optimizer, self.parameters, checkpoint.optimizer)
        restore_rng(checkpoint.state)
        self.best = dict(checkpoint.best)
        self.metrics = bytearray(checkpoint.metrics)

    def _accumulate(self, step: Step) -> float:
        """Gradients of the mean loss over the step's supervised tokens.

        When the GPU's memory runs out, on any rank, the step's gradients are dropped and it is done
        again in smaller parts; the sum, and so the gradient, stays the same.
        """
        members = self.train.share(step.documents, self.ranks)
        loss, micro_tokens = sum_that_fits(
            lambda limit: self._backward(step, members, limit),
            self.train.parts(members),
            self.state.micro_tokens,
            self.ranks,
            drop=self.optimizer.zero_grad,
            what=f"one row at step {self.state.step + 1}",
        )
        self.state = self.state.model_copy(update={"micro_tokens": micro_tokens})
        self.ranks.sum_gradients(self.parameters.values())
        return loss

    def _backward(self, step: Step, members: Sequence[int], limit: int) -> float:
        base, total = base_of(self.model), max(1, self.train.targets(step.documents))
        loss = 0.0
        self.ranks.seed_noise(self.settings.seed, self.state.step)
        with _AdapterDropout(self.model, self.settings.dropout):
            for batch in self.train.batches(members, limit):
                part = loss_sum(base, batch.to(base.device)) / total
                part.backward()  # type: ignore[no-untyped-call]
                loss += part.item()
        return loss

    def _learning_rate(self) -> float:
        factor = rate_factor(
            self.state.step,
            steps=len(self.steps),
            warmup_percent=self.settings.warmup_percent,
            scheduler=self.settings.scheduler,
        )
        return factor * self.settings.learning_rate

    def _keep_best(self, loss: float | None) -> None:
        self.best = copy_weights(self.model)
        self._update(best_loss=loss, best_step=self.state.step)

    def _update(self, **changes: object) -> None:
        now = self.clock()
        seconds = self.state.seconds + now - self._clock_at
        self._clock_at = now
        self.state = self.state.model_copy(update={"seconds": seconds, **changes})

    def _record(self, **values: float) -> None:
        point = LossPoint(
            step=self.state.step,
            epoch=self.steps[self.state.step - 1].epoch,
            tokens=self.state.trained_tokens,
            seconds=self.state.seconds,
            **values,
        )
        self.metrics += point.model_dump_json(exclude_defaults=True).encode() + b"\n"


class _AdapterDropout:
    """Turns on the adapter's own dropout; the base model's stays off, it is not being trained."""

    def __init__(self, model: PeftModel, rate: float) -> None:
        names = model.named_modules() if rate > 0 else ()
        self._layers = [module for name, module in names if ".lora_dropout." in name]

    def __enter__(self) -> None:
        for layer in self._layers:
            layer.train()

    def __exit__(self, *_: object) -> None:
        for layer in self._layers:
            layer.eval()
