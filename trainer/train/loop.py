"""The optimisation, one action at a time: a step, an evaluation, a checkpoint.

Owns what changes during training. Where checkpoints are kept, how an attempt starts and what is
published is decided in ``run``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from peft import PeftModel
from torch import Tensor
from torch.optim import AdamW

from trainer.model.adapter import base_of, copy_weights, restore_weights, trainable
from trainer.model.fused import fuse
from trainer.model.hardware import choices_of
from trainer.report.model import LossPoint
from trainer.train.checkpoint import Checkpoint, restore_rng, rng_state
from trainer.train.corpus import Corpus, mean_loss
from trainer.train.divergence import after_evaluation, after_step
from trainer.train.feed import feed
from trainer.train.fitting import sum_that_fits
from trainer.train.late import Late
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
        self.choices = choices_of(base_of(self.model))
        if self.choices.fused:
            fuse(self.model)
        self.figures: Late[LossPoint] = Late(self.choices.steps_late)
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
        """One optimizer step; its loss and norm are known when they have arrived.

        Raises:
            DivergedError: see ``divergence``.
            StageError: one row is too large for the GPU.
        """
        started, now = self.clock(), self.steps[self.state.step]
        loss = self._accumulate(now)
        rate = self._learning_rate()
        norm = clip(self.parameters, self.settings.max_grad_norm)
        step, tokens = self.state.step + 1, self.state.trained_tokens + self._tokens(now)
        self.figures.ask(self._point(step, tokens, learning_rate=rate), loss, norm)
        self._learn(self.figures.due())  # waits for the step before: a GPU's time counts too
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._update(
            step=step,
            trained_tokens=tokens,
            step_seconds=self.state.step_seconds + self.clock() - started,
        )

    def settle(self) -> None:
        """Wait for the figures of all steps so far; before anything is made of their adapter.

        Raises:
            DivergedError: see ``divergence``.
        """
        if self.figures:
            started = self.clock()
            self._learn(self.figures.all())
            self._update(step_seconds=self.state.step_seconds + self.clock() - started)

    def evaluate(self) -> None:
        """Validation loss of the adapter as it is; keeps the adapter if it is the best so far."""
        self.settle()
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
        self._record(self._point(self.state.step, self.state.trained_tokens, eval_loss=loss))

    def finish(self) -> None:
        """Put the best adapter into the model; without validation that is the last one."""
        self.settle()
        if not self.best:
            self._keep_best(self.state.best_loss)
        restore_weights(self.model, self.best)

    def freeze(self) -> Checkpoint:
        """Everything an unbroken run would go on with."""
        self.settle()
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

    def _accumulate(self, step: Step) -> Tensor:
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
        self._update(micro_tokens=micro_tokens)
        self.ranks.sum_gradients(self.parameters.values())
        return loss

    def _backward(self, step: Step, members: Sequence[int], limit: int) -> Tensor:
        base, total = base_of(self.model), max(1, self.train.targets(step.documents))
        loss = torch.zeros((), dtype=torch.float64, device=base.device)
        self.ranks.seed_noise(self.settings.seed, self.state.step)
        with _AdapterDropout(self.model, self.settings.dropout):
            for batch in feed(self.train.batches(members, limit), base.device, self.choices):
                part = loss_sum(base, batch) / total
                part.backward()  # type: ignore[no-untyped-call]
                loss += part.detach()
        return loss

    def _learn(self, arrived: Iterable[tuple[LossPoint, list[float]]]) -> None:
        """Take note of figures that have arrived."""
        rate = self.settings.learning_rate
        vocabulary = base_of(self.model).config.get_text_config().vocab_size
        for point, (loss, norm) in arrived:
            self.train_loss, self.gradient_norm = loss, norm
            self.learning_rate = point.learning_rate
            found = after_step(
                self.state, point.step, loss, norm, vocabulary=vocabulary, learning_rate=rate
            )
            self._update(**found)
            self._record(point.model_copy(update={"train_loss": loss}))

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

    def _tokens(self, step: Step) -> int:
        return sum(len(self.train.documents[i]) for i in step.documents)

    def _point(self, step: int, tokens: int, **values: float) -> LossPoint:
        return LossPoint(
            step=step,
            epoch=self.steps[step - 1].epoch,
            tokens=tokens,
            seconds=self.state.seconds,
            **values,
        )

    def _record(self, point: LossPoint) -> None:
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
