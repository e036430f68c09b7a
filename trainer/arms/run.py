"""One arm's answers to the whole test split, with their scores.

Owns the order of the work: prompts, batches of the fixed plan, what an earlier attempt left, the
scores. The plan is the same for all arms and does not depend on what is left to do, nor on how
many processes share the work: each does whole batches and finds the others' in the store.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from transformers import PreTrainedModel

from trainer.arms.finished import FinishedBatches
from trainer.arms.free import majority_label, nearest_row
from trainer.arms.generate import STOP, Decoder, Generated, Pace, generate, pace_for, plan_batches
from trainer.arms.grading import UNGRADED, Grading
from trainer.arms.metrics import score
from trainer.arms.prompts import PromptRules, arm_prompts, zero_shot
from trainer.contract.failures import FailureClass
from trainer.data.prepared import PreparedRow, Rows
from trainer.errors import StageError
from trainer.progress import ProgressTracker
from trainer.store.manifest import TUNED, ArmAnswer

UNLIMITED_CONTEXT = 1 << 20
"""For models without a table of positions."""

FREE_ARMS = {"MajorityLabel": majority_label, "NearestRow": nearest_row}


class Peers(Protocol):
    """The processes that answer together."""

    @property
    def rank(self) -> int:
        """Which of them this is, from 0."""

    @property
    def world(self) -> int:
        """How many there are."""

    def meet(self, place: str) -> None:
        """Wait for the others."""


class Nobody:
    """A process that answers by itself."""

    rank, world = 0, 1

    def meet(self, place: str) -> None:
        """Nobody to wait for."""


@dataclass(frozen=True)
class Examination:
    """The test split and everything that is the same for all arms."""

    rules: PromptRules
    train: Rows
    test: Sequence[PreparedRow]
    batches: FinishedBatches
    progress: ProgressTracker
    stop: threading.Event
    pace: Pace | None = None
    peers: Peers = field(default_factory=Nobody)
    grading: Grading | None = None
    """By a program of the user's; None: by a metric of ours, as the answers come."""
    one_line: bool = field(init=False)

    def __post_init__(self) -> None:
        """Read the rule off the training rows once."""
        object.__setattr__(self, "one_line", answers_end_with_line(self.rules, self.train))

    def graded(self, arm: str, row: PreparedRow, answer: str, finish: str, count: int) -> ArmAnswer:
        """The answer, trimmed, with its score by a metric of ours."""
        trimmed = answer.strip()
        if self.one_line and "\n" in trimmed:
            trimmed, finish = trimmed.partition("\n")[0].rstrip(), STOP
        return ArmAnswer(
            arm=arm,
            id=row.id,
            answer=trimmed,
            score=self._score(trimmed, row.reference),
            finish=finish,
            tokens=count,
        )

    def _score(self, answer: str, reference: str) -> float:
        if self.grading is not None:
            return UNGRADED
        return score(self.rules.plan.metric, answer, reference)

    def with_grades(self, key: str, answers: list[ArmAnswer]) -> list[ArmAnswer]:
        """An arm's answers as they are judged: a grader is asked once, by the first process."""
        if self.grading is None:
            return answers
        if self.peers.rank == 0:
            answers = self.grading.grade(key, answers)
        if self.peers.world > 1:
            self.peers.meet(f"grades of {key}")
        return answers if self.peers.rank == 0 else self.grading.gather(key, answers)


def answers_end_with_line(rules: PromptRules, train: Rows) -> bool:
    """Whether what follows the first line of an answer is not part of it, in any arm.

    A model without a chat template goes on after its answer with a question of its own, in the
    manner of the examples; that says nothing about the answer.
    """
    return not rules.renderer.has_template and not any("\n" in row.reference for row in train)


def context_tokens(model: PreTrainedModel) -> int:
    """Longest text that the model has positions for."""
    config = model.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or UNLIMITED_CONTEXT)


def free_answers(arm: str, examination: Examination) -> list[ArmAnswer]:
    """The answers of an arm that needs no model, in the order of the test rows."""
    examination.progress.start(arm, total=len(examination.test))
    answers = FREE_ARMS[arm](examination.train, examination.test)
    examination.progress.advance(len(answers))
    graded = [
        examination.graded(arm, row, answer, STOP, 0)
        for row, answer in zip(examination.test, answers, strict=True)
    ]
    return examination.with_grades(arm, graded)


def answer_arm(
    arm: str, model: PreTrainedModel, examination: Examination, *, adapter_digest: str = ""
) -> list[ArmAnswer]:
    """A model arm's answers in the order of the test rows; goes on from finished batches.

    For the tuned arm ``model`` has the adapter on and ``adapter_digest`` names it, so that
    answers of another adapter are never taken for its own.

    Raises:
        StageError: INTERRUPTED, when stopped between two tokens; finished batches are kept.
    """
    if arm == TUNED and not adapter_digest:
        raise ValueError("the tuned arm's answers need the adapter's digest")
    work = _ArmWork.plan(arm, model, examination, adapter_digest)
    examination.progress.start(arm, total=len(examination.test), done=len(work.answers))
    work.finish(model)
    if examination.peers.world > 1:
        examination.peers.meet(f"answers of {work.key}")
        work.gather()
    return examination.with_grades(work.key, [work.answers[row.id] for row in examination.test])


@dataclass(frozen=True)
class _ArmWork:
    """One arm: its prompts, the plan, and the answers so far."""

    arm: str
    key: str
    examination: Examination
    pace: Pace
    batches: list[list[int]]
    answers: dict[str, ArmAnswer]
    left: list[int]
    """Batches that no earlier attempt finished."""

    @classmethod
    def plan(
        cls, arm: str, model: PreTrainedModel, examination: Examination, digest: str
    ) -> "_ArmWork":
        """The plan by length of the bare question, and what is left of it to do."""
        pace = examination.pace or pace_for(model)
        test = examination.test
        lengths = [len(ids) for ids in zero_shot(examination.rules, [], test)]
        batches = plan_batches(lengths, [row.id for row in test], rows=pace.rows)
        key = f"{arm}-{digest.removeprefix('sha256:')[:16]}" if digest else arm
        found = {
            number: examination.batches.read(key, number, [test[at].id for at in batch])
            for number, batch in enumerate(batches)
        }
        answers = {answer.id: answer for kept in found.values() for answer in kept or []}
        left = [number for number, kept in found.items() if kept is None]
        return cls(arm, key, examination, pace, batches, answers, left)

    @property
    def own(self) -> list[int]:
        """What is this process's of the batches that are left.

        By their numbers in the plan: another process may have finished some before this one looks.
        """
        peers = self.examination.peers
        return [number for number in self.left if number % peers.world == peers.rank]

    def finish(self, model: PreTrainedModel) -> None:
        """Answer this process's batches."""
        if not self.own:
            return
        examination = self.examination
        rules = examination.rules
        decoder = Decoder(
            model=model,
            stop_ids=rules.renderer.stop_ids,
            max_new_tokens=rules.plan.max_new_tokens,
            stop=examination.stop,
            pace=self.pace,
        )
        prompts = arm_prompts(self.arm, rules, examination.train, examination.test)
        others = frozenset(range(len(self.batches))).difference(self.own)
        generate(decoder, prompts, self.batches, self.keep, done=others)

    def gather(self) -> None:
        """Read what the others answered.

        Raises:
            StageError: UNAVAILABLE, a batch is not there although its process went on.
        """
        for number in set(self.left).difference(self.own):
            ids = [self.examination.test[at].id for at in self.batches[number]]
            kept = self.examination.batches.read(self.key, number, ids)
            if kept is None:
                message = f"batch {number} of {self.key} is not in the output any more; run again"
                raise StageError(FailureClass.UNAVAILABLE, message)
            self.answers.update((answer.id, answer) for answer in kept)

    def keep(self, number: int, generated: Sequence[Generated]) -> None:
        """Score a finished batch and store it."""
        examination = self.examination
        rows = [examination.test[at] for at in self.batches[number]]
        text = examination.rules.renderer.text
        answers = [
            examination.graded(self.arm, row, text(one.ids), one.finish, len(one.ids))
            for row, one in zip(rows, generated, strict=True)
        ]
        examination.batches.write(self.key, number, answers)
        self.answers.update((answer.id, answer) for answer in answers)
        examination.progress.advance(self._turn(number))

    def _turn(self, number: int) -> int:
        """Answers that all processes have given meanwhile, as far as one can tell from here."""
        sizes = {other: len(self.batches[other]) for other in self.left}
        own = sum(sizes[other] for other in self.own)
        before = sum(sizes[other] for other in self.own if other < number)
        after, whole = before + sizes[number], sum(sizes.values())
        return whole * after // own - whole * before // own
