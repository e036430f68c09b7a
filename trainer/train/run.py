"""One attempt at training: start or go on, follow the plan, leave the best adapter."""

import resource
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import torch
from peft import PeftModel

from trainer.contract.failures import FailureClass
from trainer.contract.limit import PartialTraining
from trainer.contract.request import StageRequest
from trainer.contract.verdict import OverfittingResult
from trainer.data.plan import PreparedPlan
from trainer.errors import StageError
from trainer.model.adapter import base_of, save_adapter
from trainer.model.servable import check_servable
from trainer.model.targets import linear_names
from trainer.progress import ProgressTracker
from trainer.pulse import beat
from trainer.store.base import Store
from trainer.store.manifest import BaseBinding, TrainingSummary
from trainer.train.allowance import Allowance
from trainer.train.begin import Splits, begin, notes_on, validation_groups
from trainer.train.checkpoint import keep_until, newest_checkpoint, write_checkpoint
from trainer.train.corpus import mean_loss
from trainer.train.divergence import DivergedError
from trainer.train.flops import full_speed, utilisation
from trainer.train.lineage import library_versions
from trainer.train.loop import Training
from trainer.train.ranks import ALONE, Ranks
from trainer.train.settings import MAX_TRAIN_PROBE_ROWS, settings_of

ACTIVITY = "training"
"""Name in the progress; its unit is steps."""
READING, EVALUATING, SAVING = "reading rows", "evaluating", "writing a checkpoint"
"""What it is at beside that, for whoever reads why it stood still."""


class Stop(Enum):
    """Why training ends before its last step."""

    TOLD = "Told"
    """By a signal: another attempt goes on."""
    LIMIT = "Limit"
    """By the run's deadline or budget: what there is is evaluated."""


@dataclass(frozen=True)
class TrainIO:
    """Where an attempt reads and writes."""

    store: Store
    run_id: str
    epoch: int
    """Of the claim; checkpoints go below it."""
    work: Path
    binding: BaseBinding
    check_claim: Callable[[], object]
    """Raises FencedError when a newer attempt has taken over."""


@dataclass(frozen=True)
class Trained:
    """What an attempt leaves in its work directory."""

    adapter_dir: Path
    metrics_path: Path
    summary: TrainingSummary
    notes: list[str]


def train_adapter(
    model: PeftModel,
    prepared: Splits,
    request: StageRequest,
    *,
    plan: PreparedPlan,
    io: TrainIO,
    progress: ProgressTracker,
    stop: threading.Event,
    clock: Callable[[], float],
    allowance: Allowance | None = None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train from the furthest checkpoint of any attempt; leaves the best adapter in ``model``.

    When the allowance is over, what was trained so far is the result, and partial. Of several
    ranks the first one writes; each has the adapter in its model.

    Raises:
        StageError: INTERRUPTED after ``stop``, with a checkpoint written; DIVERGED; the class of
            the limit, where it allows no step.
        FencedError: a newer attempt has taken over.
    """
    beat(READING)
    settings = settings_of(request.spec, plan)
    training = begin(model, prepared, settings, plan=plan, clock=clock, ranks=ranks)
    notes = notes_on(training, validation_groups(prepared))
    notes += _resume(training, io)
    _require_same_step(training)
    allowed = _remembered(training, allowance)
    partial = _Attempt(training, io, progress, stop, clock, allowed).follow()
    training.finish()
    return _leave(training, io, notes, partial, gpus=request.spec.gpus)


def _resume(training: Training, io: TrainIO) -> list[str]:
    checkpoint, notes = newest_checkpoint(
        io.store, io.run_id, fingerprint=training.state.fingerprint
    )
    if checkpoint is None:
        return notes
    training.thaw(checkpoint)
    return [*notes, f"Training went on from the checkpoint of step {training.state.step}."]


def _require_same_step(training: Training) -> None:
    """Each rank reads the checkpoint itself; one that read another one would train another model.

    Raises:
        StageError: they did.
    """
    step, ranks = training.state.step, training.ranks
    if ranks.largest(step) != -ranks.largest(-step):
        message = "the ranks read checkpoints of different steps; the output changed meanwhile"
        raise StageError(FailureClass.UNAVAILABLE, message)


def _remembered(training: Training, allowance: Allowance | None) -> Allowance | None:
    """With the evaluation's time as an earlier attempt knew it, where this one timed nothing."""
    if allowance is None:
        return None
    known_s = max(training.state.evaluation_s, allowance.evaluation_s)
    training.state = training.state.model_copy(update={"evaluation_s": known_s})
    return replace(allowance, evaluation_s=known_s)


@dataclass
class _Attempt:
    """Follows the plan from where the training stands."""

    training: Training
    io: TrainIO
    progress: ProgressTracker
    stop: threading.Event
    clock: Callable[[], float]
    allowance: Allowance | None = None

    def __post_init__(self) -> None:
        self.saved_step, self.saved_at = self.training.state.step, self.clock()
        self.is_saved = False
        self.longest_s = self.step_s = 0.0
        training = self.training
        self.full_speed = full_speed(
            base_of(training.model), training.train.documents, devices=training.ranks.world
        )

    def follow(self) -> PartialTraining | None:
        """To the end, or to the limit; an error says up to which step the work is safe."""
        try:
            self.progress.start(ACTIVITY, len(self.training.steps), done=self.training.state.step)
            self.progress.checkpoint(self.training.settings.checkpoint_period_s)
            if self.training.state.step:  # known before the first step of this attempt is done
                self._show()
            partial = self._follow()
        except DivergedError as error:
            self._show()  # the number that is none, for who scrapes it now
            self._keep_good(error)
            raise
        except StageError as error:
            error.checkpoint_step = self.saved_step
            raise
        self.progress.finish()
        self.progress.checkpoint(None)
        return partial

    def _follow(self) -> PartialTraining | None:
        training = self.training
        while training.is_evaluation_due or not training.is_finished:
            match self.should_stop():
                case Stop.TOLD:
                    raise self._interrupted()
                case Stop.LIMIT:
                    return self._ended_by_limit()
                case None:
                    self._act()
        return None

    def should_stop(self) -> Stop | None:
        """Asked before every action: the one place where it is decided that training ends early.

        What is left to do after the last step is done whatever the limit says. All ranks get the
        same answer.
        """
        ranks = self.training.ranks
        if ranks.any(self.stop.is_set()):
            return Stop.TOLD
        if self.allowance is None or self.training.is_finished:
            return None
        return Stop.LIMIT if ranks.any(self.allowance.is_over(self.longest_s)) else None

    def _act(self) -> None:
        """One evaluation or one optimizer step, and its checkpoint where that is due."""
        started_s, self.is_saved = self.clock(), False
        if self.training.is_evaluation_due:
            beat(EVALUATING)
            self.training.evaluate()
        else:
            beat(ACTIVITY)
            self._step()
        self._show()
        self._save_when_due()
        self.longest_s = max(self.longest_s, self.clock() - started_s)

    def _step(self) -> None:
        before_s = self.training.state.step_seconds
        self.training.step()
        self.step_s = self.training.state.step_seconds - before_s
        self.progress.advance()

    def _keep_good(self, error: DivergedError) -> None:
        """Leave no checkpoint that may hold what went wrong, and say which one there is."""
        training, io = self.training, self.io
        if training.ranks.is_first:
            io.check_claim()
            fingerprint = training.state.fingerprint
            kept = keep_until(io.store, io.run_id, error.good_step, fingerprint=fingerprint)
            error.tell_kept(kept)
        training.ranks.any(False)  # the first rank has the last word: nobody ends before it

    def _interrupted(self) -> StageError:
        self.training.settle()  # all ranks fail by it, or none
        self._save()
        self.training.ranks.any(False)  # nobody ends before the checkpoint is kept
        message = (
            f"training was stopped at step {self.training.state.step} of "
            f"{len(self.training.steps)}; the checkpoint is kept and the next attempt goes on there"
        )
        return StageError(FailureClass.INTERRUPTED, message)

    def _ended_by_limit(self) -> PartialTraining:
        """The checkpoint is what a raised limit trains on from."""
        assert self.allowance is not None  # noqa: S101 - what ended it
        self.training.settle()
        limit, step = self.allowance.limit, self.training.state.step
        assert limit.limit is not None  # noqa: S101 - what ended it
        if not step:
            raise limit.error(
                "there was no time for one optimizer step and the evaluation after it"
            )
        self._save()
        return PartialTraining(
            step=step, max_steps=len(self.training.steps), limit=limit.limit.failure
        )

    def _save_when_due(self) -> None:
        """After a step's evaluation, not before it as well: that would overwrite a checkpoint.

        All ranks settle their figures or none: what they find then must find all of them.
        """
        training = self.training
        is_late = self.clock() - self.saved_at >= training.settings.checkpoint_period_s
        is_due = is_late and training.ranks.is_first and not training.is_evaluation_due
        if not training.ranks.any(is_due):
            return
        training.settle()
        if not training.state.exploded:  # what is doubtful would push out a good one
            self._save()

    def _save(self) -> None:
        """Once between two actions: what is whole is never written anew."""
        if self.is_saved or not self.training.ranks.is_first:
            return
        beat(SAVING)
        self.io.check_claim()
        write_checkpoint(self.io.store, self.io.run_id, self.io.epoch, self.training.freeze())
        self.saved_step, self.saved_at = self.training.state.step, self.clock()
        self.progress.checkpoint(self.training.settings.checkpoint_period_s)
        self.is_saved = True

    def _show(self) -> None:
        state = self.training.state
        held, most = gpu_memory_bytes()
        self.progress.measure(
            step=state.step,
            max_steps=len(self.training.steps),
            train_loss=self.training.train_loss,
            eval_loss=state.last_loss,
            tokens_per_second=_tokens_per_second(self.training),
            mfu=utilisation(_tokens_per_second(self.training), self.full_speed),
            learning_rate=self.training.learning_rate,
            gradient_norm=self.training.gradient_norm,
            initial_loss=state.first_loss,
            tokens=state.trained_tokens,
            step_seconds=self.step_s or None,
            gpu_memory_bytes=held,
            gpu_memory_peak_bytes=most,
        )


def _tokens_per_second(training: Training) -> float:
    """Tokens as the data has them, in the time that optimizer steps took."""
    state = training.state
    return state.trained_tokens / state.step_seconds if state.step_seconds else 0.0


def _leave(
    training: Training,
    io: TrainIO,
    notes: list[str],
    partial: PartialTraining | None,
    *,
    gpus: int,
) -> Trained:
    adapter_dir, metrics_path = io.work / "adapter", io.work / "metrics.jsonl"
    summary = _summary(training, gpus).model_copy(update={"partial": partial})
    if training.ranks.is_first:
        save_adapter(training.model, adapter_dir, io.binding)
        check_servable(adapter_dir, linear_names(base_of(training.model)))
        metrics_path.write_bytes(training.metrics)
    return Trained(adapter_dir, metrics_path, summary, notes)


def _summary(training: Training, gpus: int) -> TrainingSummary:
    state = training.state
    return TrainingSummary(
        overfitting=_overfitting(training),
        tokens_per_second=_tokens_per_second(training),
        wall_seconds=state.seconds,
        gpu_seconds=state.seconds * gpus,
        trained_tokens=state.trained_tokens,
        trainable_parameters=sum(each.numel() for each in training.parameters.values()),
        precision=state.precision,
        peak_memory_bytes=int(training.ranks.largest(peak_memory_bytes())),
        versions=library_versions(),
    )


def _overfitting(training: Training) -> OverfittingResult:
    state = training.state
    rows = len(training.validation.documents) or MAX_TRAIN_PROBE_ROWS
    probe = training.train.sample(min(rows, MAX_TRAIN_PROBE_ROWS), training.settings.seed)
    return OverfittingResult(
        best_validation_loss=state.best_loss,
        last_validation_loss=state.last_loss,
        train_loss=mean_loss(base_of(training.model), probe, state.micro_tokens, training.ranks),
        best_step=state.best_step,
        steps=state.step,
        stopped_early=state.stopped_early,
    )


def peak_memory_bytes() -> int:
    """Largest memory of this rank's GPU, or of this process where there is none."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def gpu_memory_bytes() -> tuple[int, int]:
    """What this rank's process holds of its GPU, and the most that was in use; 0 on a CPU."""
    if not torch.cuda.is_available():
        return 0, 0
    return torch.cuda.memory_reserved(), torch.cuda.max_memory_allocated()
