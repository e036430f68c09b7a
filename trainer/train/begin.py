"""A training put together: prepared rows, model and settings, before the first step."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from peft import PeftModel

from trainer.data.plan import PreparedPlan
from trainer.model.adapter import base_of, trainable
from trainer.train.corpus import Corpus, check_head, corpus_for
from trainer.train.documents import StoredDocuments, StoredRows
from trainer.train.loop import Training
from trainer.train.optimizer import adamw
from trainer.train.plan import Step, plan_steps
from trainer.train.ranks import Ranks
from trainer.train.settings import (
    MAX_VALIDATION_ROWS,
    MIN_VALIDATION_GROUPS,
    TrainSettings,
    micro_tokens,
)
from trainer.train.state import TrainState


class GroupedRow(Protocol):
    """A row of a prepared split, as far as its group goes."""

    @property
    def group(self) -> str:
        """Rows of one group are never in two splits."""


class Split(StoredRows, Protocol):
    """A prepared split."""

    def __len__(self) -> int:
        """Rows."""

    def __iter__(self) -> Iterator[GroupedRow]:
        """Each row in turn."""


class Splits(Protocol):
    """What training reads of the prepared data."""

    @property
    def train(self) -> Split:
        """Rows to learn."""

    @property
    def validation(self) -> Split:
        """Rows to choose the adapter by; may be empty."""


def begin(
    model: PeftModel,
    prepared: Splits,
    settings: TrainSettings,
    *,
    plan: PreparedPlan,
    clock: Callable[[], float],
    ranks: Ranks,
) -> Training:
    """A training at step 0.

    Raises:
        StageError: the model's logits are not understood.
    """
    base = base_of(model)
    train = corpus_for(base, StoredDocuments(prepared.train), dropout=settings.dropout)
    check_head(base, train.documents[0])
    validation = corpus_for(base, StoredDocuments(prepared.validation), dropout=0.0)
    steps = _steps(train, settings)
    torch.manual_seed(settings.seed)
    return Training(
        model=model,
        settings=settings,
        train=train,
        validation=validation.sample(MAX_VALIDATION_ROWS, settings.seed),
        steps=steps,
        optimizer=adamw(trainable(model), weight_decay=settings.weight_decay),
        state=_first_state(base, train.prefix, settings, plan, len(steps)),
        clock=clock,
        can_stop_early=validation_groups(prepared) >= MIN_VALIDATION_GROUPS,
        ranks=ranks,
    )


def validation_groups(prepared: Splits) -> int:
    """Independent groups of validation rows."""
    split = prepared.validation
    return len({row.group for row in split})


def notes_on(training: Training, groups: int) -> list[str]:
    """What a reader of the report should know about how training was done."""
    notes = []
    if not groups:
        notes.append("There are no validation rows: the last adapter was kept, not the best.")
    elif not training.can_stop_early and training.settings.patience:
        notes.append(
            f"Early stopping was off: {groups} validation groups are fewer than the "
            f"{MIN_VALIDATION_GROUPS} that it takes to trust validation loss."
        )
    if not training.train.packs:
        notes.append("Rows were padded, not packed: not every layer attends to all tokens.")
    return notes


def _steps(train: Corpus, settings: TrainSettings) -> list[Step]:
    return plan_steps(
        train.lengths,
        epochs=settings.epochs,
        batch_tokens=settings.batch_tokens,
        max_steps=settings.max_steps,
        seed=settings.seed,
    )


def _first_state(
    base: torch.nn.Module, prefix: int, settings: TrainSettings, plan: PreparedPlan, steps: int
) -> TrainState:
    first = next(base.parameters())
    return TrainState(
        fingerprint=settings.fingerprint(plan.split_digests),
        precision="BF16" if first.dtype == torch.bfloat16 else "FP32",
        device=first.device.type,
        threads=torch.get_num_threads(),
        micro_tokens=micro_tokens(first.device.type, prefix),
        max_steps=steps,
    )
