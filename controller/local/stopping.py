"""Ctrl-C while a local run is under way: once suspends, twice kills."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class StopRequest:
    """Whether the person asked to stop; asking again means now."""

    count: int = 0
    wake: Callable[[], None] = lambda: None
    kill: Callable[[], None] = lambda: None

    def ask(self) -> None:
        """Once: suspend. Twice: kill."""
        self.count += 1
        if self.count > 1:
            self.kill()
        self.wake()


@contextmanager
def translated_signals(stop: StopRequest) -> Iterator[None]:
    """Signals of the terminal become requests to stop while the loop runs."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.ask)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
