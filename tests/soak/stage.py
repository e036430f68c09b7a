"""The product's train stage by a clock that runs a thousand times faster.

A step of the tiny model takes milliseconds, on this clock seconds: a checkpoint is due after each.
Nothing else is changed.
"""

import os
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace

from soak.brake import Brake

from trainer.__main__ import main
from trainer.train import stage

FASTER = 1000


def train(environ: Mapping[str, str], log: str, brake: Brake | None) -> None:
    """As ``python -m trainer train`` would, in this process, which it ends."""
    with open(log, "ab") as file:  # noqa: PTH123 - kept open as the process's output
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environ)
    stage.time = SimpleNamespace(monotonic=lambda: FASTER * time.monotonic())  # type: ignore[misc]
    if brake:
        brake.set()
    sys.exit(main(["train"]))
