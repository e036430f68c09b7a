"""``python -m trainer report [--json] [--html FILE] [--storage JSON] TARGET``: print a report.

The target is a URI or a directory: a job's output, one run, one evaluation, or a file in it.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.lastword import secret_files
from trainer.report.html import render
from trainer.report.model import Report
from trainer.report.names import VERDICTS
from trainer.report.read import latest_report
from trainer.store.base import Store
from trainer.store.open import open_store


def print_report(arguments: Sequence[str]) -> int:
    """Find the newest report and print it; returns the exit code."""
    options = _options(arguments)
    try:
        report = latest_report(_opened(options))
        if options.html is not None:
            _write(options.html, render(report))
    except StageError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODES[error.failure]
    sys.stdout.write(f"{report.model_dump_json(indent=1) if options.json else _told(report)}\n")
    return 0


def _options(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m trainer report", description="Print a report.")
    parser.add_argument("target", help="URI or directory of an output, a run or an evaluation")
    parser.add_argument("--json", action="store_true", help="print report.json")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write the page to FILE")
    parser.add_argument(
        "--storage",
        type=Storage.model_validate_json,
        default=Storage(),
        metavar="JSON",
        help="the job's spec.output.storage; else the AWS_* environment says where and who",
    )
    return parser.parse_args(arguments)


def _opened(options: Namespace) -> Store:
    """A person reads what that person may read; the stages' root is no limit here."""
    return open_store(
        _uri(options.target),
        options.storage,
        file_root=Path("/"),
        secrets=secret_files(os.environ),
        field="report",
    )


def _uri(target: str) -> str:
    if "://" in target:
        return target
    path = Path(target).resolve()
    return (path.parent if path.is_file() else path).as_uri()


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        message = f"--html {path}: {error.strerror}; choose a file that can be written"
        raise StageError(FailureClass.INVALID_SPEC, message) from error


def _told(report: Report) -> str:
    judgement = report.judgement
    return f"{report.first_line}\n{VERDICTS[judgement.verdict].text}: {judgement.reason}"
