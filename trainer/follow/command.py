"""``python -m trainer follow OUTPUT``: keeps a vLLM server at the promoted adapter, until SIGTERM.

Only its arguments can make it fail. Whatever else is wrong is said once, on standard error, and
tried again; meanwhile the server keeps what it has.
"""

import math
import os
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.follow.copies import Copies
from trainer.follow.follower import Follower, Look
from trainer.follow.vllm import Vllm
from trainer.lastword import secret_files
from trainer.lineage.target import opened, place_of
from trainer.store.base import Store

MAX_PAUSE_S = 60.0


def follow(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Follow until a signal comes; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        follower = _follower(options, environ)
        check_place(follower.open_store)
    except StageError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODES[error.failure]
    stop = threading.Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
    keep_following(follower.look, options.period, stop.wait)
    return 0


def check_place(open_store: Callable[[], Store]) -> None:
    """Raises StageError for an output that no later look could open."""
    try:
        open_store()
    except StageError as error:
        if error.failure is FailureClass.INVALID_SPEC:
            raise


def keep_following(
    look: Callable[[], Look], period_s: float, wait: Callable[[float], bool]
) -> None:
    """Look every period until ``wait`` says that it is over; what is said again is not repeated."""
    said: list[str] = []
    refusals = 0
    is_over = False
    while not is_over:
        found = look()
        sys.stderr.writelines(f"{note}\n" for note in found.notes if note not in said)
        said = found.notes
        refusals = refusals + 1 if found.is_refused else 0
        is_over = wait(pause_s(period_s, refusals))


def pause_s(period_s: float, refusals: int) -> float:
    """A server that has refused an adapter is bothered less often: each time it reads it whole."""
    return max(period_s, min(MAX_PAUSE_S, period_s * 2.0 ** min(refusals, 10)))


def _follower(options: Namespace, environ: Mapping[str, str]) -> Follower:
    """Raises StageError for an output or a directory that cannot be used."""
    secrets = secret_files(environ)
    output = place_of(options.output).output

    def open_output() -> Store:
        return opened(output, options.storage, secrets)

    return Follower(
        name=options.name,
        base=options.base,
        open_store=open_output,
        copies=Copies(options.directory, options.base),
        server=Vllm(options.server),
    )


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m trainer follow",
        description="Keep a vLLM server at the adapter that an output has promoted.",
    )
    parser.add_argument("output", help="the job's spec.output.uri")
    parser.add_argument("--name", required=True, help="model name that requests ask for")
    parser.add_argument(
        "--base", required=True, help="revision, or content digest, of the server's base model"
    )
    parser.add_argument("--server", default="http://127.0.0.1:8000", metavar="URL")
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path("/adapters"),
        help="for adapters; the server sees it under the same path",
    )
    parser.add_argument(
        "--period", type=_seconds, default=10.0, metavar="SECONDS", help="between two looks"
    )
    parser.add_argument(
        "--storage",
        type=Storage.model_validate_json,
        default=Storage(),
        metavar="JSON",
        help="the job's spec.output.storage; else the AWS_* environment says where and who",
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value
