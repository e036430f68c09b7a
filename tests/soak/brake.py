"""Stops the process it is set in at an exact place, before its next write to the run's store.

Looked at from outside, a place that lasts a millisecond is missed on a busy machine now and then.
"""

import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soak.sight import Sight, look

FILES, REQUEST = frozenset({"open", "os.rename", "os.remove"}), "http.client.send"
"""CPython's audit events, raised before the deed."""


@dataclass
class Brake:
    """One place; a process that is let go on from there is not stopped again."""

    is_here: Callable[[Sight], bool]
    folder: Path
    epoch: int
    is_used: bool = False

    def set(self) -> None:
        """In this process, from now to its end."""
        lock = threading.Lock()

        def hook(event: str, told: tuple[Any, ...]) -> None:
            if self.concerns(event, told):
                with lock:
                    self.check()

        sys.addaudithook(hook)

    def concerns(self, event: str, told: tuple[Any, ...]) -> bool:
        """Whether something may happen to the run's files now."""
        is_ours = event in FILES and str(told[0]).startswith(str(self.folder))
        return not self.is_used and (is_ours or event == REQUEST)

    def check(self) -> None:
        """Stop here, if this is the place."""
        if not self.is_used and self.is_here(look(self.folder, self.epoch)):
            self.is_used = True
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
