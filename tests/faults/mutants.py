"""``mutants.py NAME FLAGS...``: the operator with one of its safeguards taken out.

The suite must turn red with each of them; a test says so. Nothing of this is in the product.
"""

import sys
from collections.abc import Callable
from typing import Any

import msgspec

import controller.__main__ as operator
from controller.core import begin
from controller.shell import publish
from controller.shell.apply import Applier


def without_live_look() -> None:
    """A Job is created without a last look at its object."""

    async def no_look(_self: Applier, _stored: object) -> None:
        return

    Applier._check_live = no_look  # type: ignore[method-assign] # noqa: SLF001 - what is taken out


def without_write_ahead() -> None:
    """A Job is created in the same decision that records its attempt, before the status write."""
    begin._is_stored = lambda _turn: True  # noqa: SLF001 - what is taken out


def without_precondition() -> None:
    """A status is written whatever version is stored."""
    body_of = publish.status_body

    def any_version(*arguments: Any) -> bytes:
        document = msgspec.json.decode(body_of(*arguments))
        del document["metadata"]["resourceVersion"]
        return msgspec.json.encode(document)

    publish.status_body = any_version


MUTANTS: dict[str, Callable[[], None]] = {
    "no-live-look": without_live_look,
    "no-write-ahead": without_write_ahead,
    "no-precondition": without_precondition,
}


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    sys.exit(operator.main())
