"""Asks the trainer, as a process, a question about an output; the answer is one JSON document."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any

from trainer.contract.source import Storage

OURS, USERS, INTERRUPTED = 1, 2, 130
"""Exit codes that say whose fault it is."""
USERS_CODES = frozenset({2, *range(10, 18)})
"""Exit codes of the trainer that say: the user's error."""

OnLine = Callable[[str], bool]
"""Takes a line of standard error; False: it was none of those that it waits for."""


class AnswerError(Exception):
    """There is no answer, or it cannot be read; ``code`` is the exit code that says why."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def ignore(_line: str) -> bool:
    """Nobody waits for a line."""
    return False


def ask(
    command: Sequence[str],
    question: Sequence[str],
    *,
    about: str,
    accepted: frozenset[int] = frozenset({0}),
    on_line: OnLine = ignore,
) -> dict[str, Any]:
    """Run ``<command> <question>`` to its end.

    Args:
        command: How the trainer is started.
        question: Its arguments.
        about: What a message names when there is no answer.
        accepted: Exit codes that come with a document.
        on_line: Hears standard error while it is written.

    Raises:
        AnswerError: it ended without a document.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as answer:
        try:
            code, said = _run([*command, *question], answer, on_line)
        except OSError as error:
            raise AnswerError(f"{about}: cannot be read: {error}", OURS) from None
        answer.seek(0)
        text = answer.read()
    if code not in accepted or not text:
        reason = said[-1].removeprefix("error: ") if said else f"{about}: exit code {code}"
        raise AnswerError(reason, USERS if code in USERS_CODES else OURS)
    return _object(about, text)


def _run(command: Sequence[str], answer: IO[str], on_line: OnLine) -> tuple[int, list[str]]:
    """Exit code and what it said; Ctrl-C ends it too."""
    said: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
        command, stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        try:
            said += [line.strip() for line in process.stderr if line.strip() and not on_line(line)]
            return process.wait(), said
        except KeyboardInterrupt:
            process.terminate()
            raise AnswerError("interrupted; nothing was changed", INTERRUPTED) from None


def _object(about: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    raise unreadable(about)


def unreadable(about: str) -> AnswerError:
    """The answer is another than this release knows."""
    return AnswerError(f"{about}: the answer is not one that this release reads", OURS)


def storage_options(storage: Storage | None) -> list[str]:
    """How a job reaches its object store; nothing: the environment says."""
    if storage is None or storage == Storage():
        return []
    return ["--storage", storage.model_dump_json(exclude_none=True)]
