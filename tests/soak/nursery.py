"""Starts attempts: processes forked from one that has loaded the libraries, and no more than that.

Loading them takes seconds of CPU, a step of the tiny model milliseconds. Each attempt is a process
of its own, with its own environment and signals, as ``python -m trainer train`` is.
"""

import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock

from builders.ranked import Outpost
from soak.brake import Brake
from soak.stage import train

TESTS = Path(__file__).parents[1]
ENVIRON = {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
"""Of the process that forks: torch counts its threads when it is loaded."""

Process = ForkServerProcess


def start(post: Outpost, brake: Brake | None = None) -> Process:
    """The train stage, under way; with a brake it comes to a stand by itself."""
    context = multiprocessing.get_context("forkserver")
    with mock.patch.dict(os.environ, ENVIRON):
        context.set_forkserver_preload([train.__module__])
        forkserver.ensure_running()
    told = {**os.environ, **post.told("train")}
    process = context.Process(target=train, args=(told, str(post.root / "log"), brake), daemon=True)
    process.start()
    return process
