"""``python -m trainer history|diff|verify``: each prints one JSON document.

Exit codes: those of the failure classes; 2 from ``verify`` when the document says that something
is not as it should be.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.contract.base import Wire
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.lineage import VerifyProgress
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.lastword import secret_files
from trainer.lineage.diff import Side, diff, side
from trainer.lineage.history import read_history
from trainer.lineage.target import Place, inventory, one_run, opened, place_of
from trainer.lineage.verify import silent, verify
from trainer.store.base import Store

NOT_OK = 2


def print_history(arguments: Sequence[str]) -> int:
    """Print the history of an output; returns the exit code."""
    parser = _parser("history", "Print every run of an output.")
    parser.add_argument("target", help="URI or directory of an output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page to FILE")
    return _answering(parser.parse_args(arguments), _history)


def print_diff(arguments: Sequence[str]) -> int:
    """Print two runs side by side; returns the exit code."""
    parser = _parser("diff", "Print two runs side by side.")
    parser.add_argument("a", help="id (or a beginning of it) or URI of a run")
    parser.add_argument("b", help="the run to compare it with")
    parser.add_argument("--output", default="", help="where runs given by id are")
    return _answering(parser.parse_args(arguments), _diff)


def print_verification(arguments: Sequence[str]) -> int:
    """Hash an output or a run and print what is wrong; returns the exit code."""
    parser = _parser("verify", "Hash every file that a manifest vouches for.")
    parser.add_argument("target", help="URI or directory of an output or of one run")
    parser.add_argument("--progress", action="store_true", help="JSON lines on standard error")
    return _answering(parser.parse_args(arguments), _verification)


def _parser(name: str, description: str) -> ArgumentParser:
    parser = ArgumentParser(prog=f"python -m trainer {name}", description=description)
    parser.add_argument(
        "--storage",
        type=Storage.model_validate_json,
        default=Storage(),
        metavar="JSON",
        help="the job's spec.output.storage; else the AWS_* environment says where and who",
    )
    return parser


def _answering(options: Namespace, answer: Callable[[Namespace], tuple[Wire, int]]) -> int:
    try:
        document, code = answer(options)
    except StageError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODES[error.failure]
    sys.stdout.write(f"{document.model_dump_json(indent=1)}\n")
    return code


def _history(options: Namespace) -> tuple[Wire, int]:
    place = place_of(options.target)
    found = read_history(_store(place.output, options))
    if options.html is not None:
        from trainer.lineage.page import render  # noqa: PLC0415 - nobody else needs it

        _write(options.html, render(found))
    return found, 0


def _diff(options: Namespace) -> tuple[Wire, int]:
    return diff(_side(options.a, options), _side(options.b, options)), 0


def _side(named: str, options: Namespace) -> Side:
    place = _place(named, options.output)
    return side(_store(place.output, options), place.run)


def _place(named: str, output: str) -> Place:
    """A run by its own URI, or by its id in the output.

    Raises:
        StageError: it is named by id, and nothing says where.
    """
    if "/" in named:
        place = place_of(named)
        if place.run:
            return place
        message = f"{named}: is no run; give .../runs/<id>, or an id and --output"
        raise StageError(FailureClass.INVALID_SPEC, message)
    if not output:
        message = f"{named}: say where the run is, by --output, or give its URI .../runs/<id>"
        raise StageError(FailureClass.INVALID_SPEC, message)
    return Place(place_of(output).output, named)


def _verification(options: Namespace) -> tuple[Wire, int]:
    place = place_of(options.target)
    store = _store(place.output, options)
    runs = one_run(store, place.run) if place.run else inventory(store)
    tell = _tell if options.progress else silent
    found = verify(store, runs, whole=not place.run, tell=tell)
    return found, 0 if found.ok else NOT_OK


def _tell(progress: VerifyProgress) -> None:
    sys.stderr.write(f"{progress.model_dump_json()}\n")
    sys.stderr.flush()


def _store(output: str, options: Namespace) -> Store:
    return opened(output, options.storage, secret_files(os.environ))


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        message = f"--html {path}: {error.strerror}; choose a file that can be written"
        raise StageError(FailureClass.INVALID_SPEC, message) from error
