"""The user's grader: what it is asked, what it may answer, and what is wrong with what it did.

JSON lines in, JSON lines out. It is told no arm, so it cannot favour one, and it gets no
credentials. What it prints to standard error goes to the stage's log and nowhere else: it may hold
values of rows, which no message of ours does.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

from trainer.arms.bounded import Bound, Bounds, Ran, run_bounded
from trainer.contract.failures import FailureClass
from trainer.data.message import Message
from trainer.errors import StageError

FIELD = "spec.evaluation.grader"
ROOM_PER_GRADE = 1024
"""Bytes of output for each answer, beyond what it was given: ids are given."""
MAX_FLAGS = 4
MAX_FLAG_CHARACTERS = 32
KEYS = {"id", "score", "flags"}
SEE_LOG = "its standard error is in the stage's log"

KEPT_ENVIRONMENT = (
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
)
"""All that a grader needs of the stage's environment; no credential has one of these names."""


@dataclass(frozen=True)
class Question:
    """One answer to grade."""

    id: str
    prompt: Sequence[Message]
    """The row's own conversation, the same for every arm: no examples, no system prompt."""
    reference: str
    answer: str

    def line(self) -> str:
        """ASCII, so that no locale of the grader's matters."""
        document = {
            "id": self.id,
            "prompt": self.prompt,
            "references": [self.reference],
            "answer": self.answer,
        }
        return json.dumps(document) + "\n"


@dataclass(frozen=True)
class Grade:
    """What the grader says of one answer."""

    score: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grader:
    """The command, and where and how long it may run."""

    command: Sequence[str]
    work: Path
    limit_s: float
    """For each call."""
    stop: threading.Event
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def grade(self, questions: Sequence[Question]) -> list[Grade]:
        """The grades, in the order of the questions.

        Raises:
            StageError: INVALID_SPEC, the grader did not do what it is there for; INTERRUPTED.
        """
        given = "".join(question.line() for question in questions).encode()
        bounds = Bounds(self.limit_s, len(given) + ROOM_PER_GRADE * len(questions))
        ran = self._run(given, bounds)
        log(ran.err)
        self._require_good_end(ran, len(questions))
        grades = read_grades(ran.out, {question.id for question in questions})
        return [grades[question.id] for question in questions]

    def _run(self, given: bytes, bounds: Bounds) -> Ran:
        self.work.mkdir(parents=True, exist_ok=True)
        try:
            return run_bounded(
                self.command,
                given,
                bounds,
                cwd=self.work,
                environ=environment(self.environ, self.work),
                stop=self.stop,
            )
        except (OSError, ValueError) as error:  # ValueError: a null byte in an argument
            why = getattr(error, "strerror", None) or str(error)
            message = (
                f"{FIELD}.command: {self.command[0]!r} cannot be started: {why}; name a program of "
                "the trainer image by its path, or one that is on its PATH"
            )
            raise StageError(FailureClass.INVALID_SPEC, message) from None

    def _require_good_end(self, ran: Ran, count: int) -> None:
        if ran.broken is not None:
            refuse(
                {
                    Bound.TIME: f"did not end within {self.limit_s:g} s "
                    f"(spec.training.stallSeconds) for {count} answers",
                    Bound.OUTPUT: "wrote far more to standard output than the grades of "
                    f"{count} answers",
                    Bound.STDERR: "floods standard error",
                }[ran.broken]
            )
        if ran.code < 0:
            refuse(f"was killed by {signal_name(-ran.code)}; it may need more memory")
        if ran.code > 0:
            refuse(f"exited with {ran.code}")


def environment(environ: Mapping[str, str], work: Path) -> dict[str, str]:
    """What the grader is started with."""
    kept = {name: value for name, value in environ.items() if name in KEPT_ENVIRONMENT}
    return kept | {"HOME": str(work), "TMPDIR": str(work)}


def log(err: bytes) -> None:
    """Pass on what the grader printed for people."""
    if err:
        sys.stderr.write(f"the grader's standard error, its end:\n{err.decode(errors='replace')}\n")


def refuse(what: str, *, also: str = SEE_LOG) -> Never:
    """Raises the failure that says what the grader did."""
    raise StageError(FailureClass.INVALID_SPEC, f"{FIELD}: the grader {what}; {also}")


def signal_name(number: int) -> str:
    """Its name, where it has one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def read_grades(out: bytes, ids: set[str]) -> dict[str, Grade]:
    """One grade for each id.

    Raises:
        StageError: there are too few, too many or others, or a line is no grade.
    """
    found: dict[str, Grade] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(out.splitlines(), start=1):
        if not line.strip():
            continue
        name, grade = read_grade(line, number)
        if name not in ids:
            complain(number, "has an id that was not asked for")
        if name in found:
            complain(number, f"has the id of line {lines[name]} again")
        found[name], lines[name] = grade, number
    if len(found) < len(ids):
        refuse(f"graded {len(found)} of {len(ids)} answers; every id needs one line")
    return found


def read_grade(line: bytes, number: int) -> tuple[str, Grade]:
    """Id and grade of one line.

    Raises:
        StageError: it is none.
    """
    document = _object(line, number)
    if document.keys() - KEYS:
        complain(number, "has a key that is none of id, score and flags")
    name = document.get("id")
    if not isinstance(name, str):
        complain(number, "has no id, which is a string")
    return name, Grade(_score(document.get("score"), number), _flags(document, number))


def complain(number: int, what: str) -> Never:
    """Raises the failure that names a line of the output, and never what stands in it."""
    what = f"wrote what is no grade: line {number} of its standard output {what}"
    refuse(what, also='write one {"id": ..., "score": ...} a line, anything else to standard error')


def _object(line: bytes, number: int) -> dict[str, object]:
    try:
        document = json.loads(line, parse_constant=float)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        complain(number, "is not a JSON object")
    return document


def _score(value: object, number: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        complain(number, "has no score, which is a number from 0 to 1")
    if not 0 <= value <= 1:  # NaN is not either
        complain(number, "has a score that is not from 0 to 1")
    return float(value)


def _flags(document: Mapping[str, object], number: int) -> tuple[str, ...]:
    flags = document.get("flags", [])
    is_list = isinstance(flags, list) and len(flags) <= MAX_FLAGS
    if not is_list or not all(_is_flag(flag) for flag in _each(flags)):
        complain(
            number,
            f"has flags that are no list of at most {MAX_FLAGS} words of letters, digits and -, "
            f"up to {MAX_FLAG_CHARACTERS} characters each",
        )
    return tuple(dict.fromkeys(str(flag) for flag in _each(flags)))


def _each(flags: object) -> Iterator[object]:
    return iter(flags) if isinstance(flags, list) else iter(())


def _is_flag(flag: object) -> bool:
    """A word of the grader's own: flags are counted and shown, values of rows never are."""
    return (
        isinstance(flag, str)
        and 0 < len(flag) <= MAX_FLAG_CHARACTERS
        and flag.isascii()
        and flag.replace("-", "").isalnum()
    )
