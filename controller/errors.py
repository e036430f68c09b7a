"""Mistakes of the user: printed as they are, without a traceback, and ended with exit code 2."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in what the user wrote."""

    place: str
    """File, line and field: ``job.yaml:12 spec.dataset.trian``; as much of it as is known."""
    message: str
    """What is wrong, the value, and what to do."""

    def __str__(self) -> str:
        """As it is printed."""
        return f"{self.place}: {self.message}" if self.place else self.message


class UserError(Exception):
    """The user can put it right; the message says how."""

    def __init__(self, place: str, message: str) -> None:
        self.problems: tuple[Problem, ...] = (Problem(place, message),)
        super().__init__(str(self.problems[0]))


class SpecError(UserError):
    """A document that cannot be used: every problem of it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        found = tuple(problems)
        assert found, "a SpecError needs a problem"  # noqa: S101 - our mistake, not the user's
        super().__init__(found[0].place, found[0].message)
        self.problems = found

    def __str__(self) -> str:
        """As it is printed."""
        return "\n".join(str(problem) for problem in self.problems)
