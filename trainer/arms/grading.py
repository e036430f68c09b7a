"""Grades of one arm's answers: asked of the user's grader once, and kept with the answers.

Owns what is graded when, what an earlier attempt left, and the check that the same answers get the
same grades. A metric of ours scores each answer as it is given; there is nothing to do here then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainer.arms.finished import FinishedBatches
from trainer.arms.grader import FIELD, Grader, Question
from trainer.contract.failures import FailureClass
from trainer.data.prepared import PreparedRow
from trainer.errors import StageError
from trainer.progress import ProgressTracker
from trainer.store.manifest import ArmAnswer

METRIC = "Grader"
"""The metric that is not computed here."""
UNGRADED = 0.0
"""Stands in a batch of answers until they are graded; nobody else reads it."""
CALL_ANSWERS = 256
"""Answers of one call: a grader that loads a model does so a few times only, and one that is slow
has the whole time limit for that many."""
SAMPLE_ANSWERS = 16
SAMPLE = "GraderSample"
"""Name under which the sample's grades are kept, and of the check in the progress."""
SAME = 1e-6
"""A grader that computes on a GPU may differ in the last digits."""


@dataclass(frozen=True)
class Grading:
    """The grader at its work for one run."""

    grader: Grader
    test: Sequence[PreparedRow]
    batches: FinishedBatches
    progress: ProgressTracker

    def check(self) -> None:
        """Grade a sample of right and wrong answers before any model is asked for one.

        The first attempt grades it twice, each later one compares with the first: arms whose
        grades differ for another reason than their answers cannot be compared.

        Raises:
            StageError: of the grader; or it says something else than before.
        """
        answers = sample(self.test)
        self.progress.start(SAMPLE, len(answers))
        before, now = self._kept(SAMPLE, 0, answers), self._grade(answers)
        when = "the second time" if before is None else "in an earlier attempt, whose grades stand"
        require_same(now, before or self._grade(answers), when)
        if before is None:
            self.batches.write(_place(SAMPLE), 0, now)
        self.progress.advance(len(answers))

    def grade(self, key: str, answers: Sequence[ArmAnswer]) -> list[ArmAnswer]:
        """The arm's answers with their grades; what an earlier attempt graded is not asked again.

        Raises:
            StageError: of the grader, or INTERRUPTED.
        """
        parts = list(calls(answers))
        found = [self._kept(key, number, part) for number, part in enumerate(parts)]
        done = sum(len(part) for part in found if part)
        self.progress.start(activity(answers[0].arm), len(answers), done=done)
        return [
            answer
            for number, (part, kept) in enumerate(zip(parts, found, strict=True))
            for answer in kept or self._grade_and_keep(key, number, part)
        ]

    def gather(self, key: str, answers: Sequence[ArmAnswer]) -> list[ArmAnswer]:
        """The same, as another process left it.

        Raises:
            StageError: UNAVAILABLE, a part is not there.
        """
        found: list[ArmAnswer] = []
        for number, part in enumerate(calls(answers)):
            kept = self._kept(key, number, part)
            if kept is None:
                message = f"grades of {key} are not in the output any more; run again"
                raise StageError(FailureClass.UNAVAILABLE, message)
            found += kept
        return found

    def _grade_and_keep(self, key: str, number: int, part: Sequence[ArmAnswer]) -> list[ArmAnswer]:
        answers = self._grade(part)
        self.batches.write(_place(key), number, answers)
        self.progress.advance(len(part))
        return answers

    def _grade(self, answers: Sequence[ArmAnswer]) -> list[ArmAnswer]:
        rows = {row.id: row for row in self.test}
        asked = [
            Question(one.id, rows[one.id].prompt, rows[one.id].reference, one.answer)
            for one in answers
        ]
        return [
            answer.model_copy(update={"score": grade.score, "flags": list(grade.flags)})
            for answer, grade in zip(answers, self.grader.grade(asked), strict=True)
        ]

    def _kept(self, key: str, number: int, part: Sequence[ArmAnswer]) -> list[ArmAnswer] | None:
        """Grades that are there already, if they are of these very answers."""
        found = self.batches.read(_place(key), number, [answer.id for answer in part])
        if found is None or [one.answer for one in found] != [one.answer for one in part]:
            return None
        return found


def activity(arm: str) -> str:
    """Name of an arm's grading in the progress."""
    return f"grade {arm}"


def calls(answers: Sequence[ArmAnswer]) -> Iterator[Sequence[ArmAnswer]]:
    """The parts that the grader is asked about at a time, the same items in every arm."""
    for start in range(0, len(answers), CALL_ANSWERS):
        yield answers[start : start + CALL_ANSWERS]


def sample(test: Sequence[PreparedRow]) -> list[ArmAnswer]:
    """Rows from all over the split; every other one has the answer of another row."""
    rows = test[:: max(1, len(test) // SAMPLE_ANSWERS)][:SAMPLE_ANSWERS]
    given = [rows[(at + at % 2) % len(rows)].reference for at in range(len(rows))]
    return [
        ArmAnswer(arm=SAMPLE, id=row.id, answer=text.strip(), score=UNGRADED, finish="stop")
        for row, text in zip(rows, given, strict=True)
    ]


def require_same(now: Sequence[ArmAnswer], before: Sequence[ArmAnswer], when: str) -> None:
    """Raises StageError where the grades of the same answers differ."""
    changed = sum(
        abs(one.score - other.score) > SAME or one.flags != other.flags
        for one, other in zip(now, before, strict=True)
    )
    if changed:
        message = (
            f"{FIELD}: the grader gave {changed} of {len(now)} answers of a sample other grades "
            f"than {when}; the same answers need the same grades: let it draw nothing at random, "
            "or, where the program is another one now, change its command, and all is graded anew"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)


def _place(key: str) -> str:
    """Beside the arm's answers."""
    return f"{key}-graded"
