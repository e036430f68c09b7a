"""Events with an end: what was recorded can be waited for before the process goes."""

import asyncio

from controller.kube.client import Client
from controller.kube.events import EventRecorder, _Series


class Recorder(EventRecorder):
    """Knows when nothing is left to write."""

    def __init__(self, client: Client, *, controller: str, instance: str) -> None:
        super().__init__(client, controller=controller, instance=instance)
        self._is_writing = False
        self._has_written = asyncio.Event()

    async def flush(self) -> None:
        """Return when everything recorded so far was written or given up."""
        while self._waiting or self._is_writing:
            self._has_written.clear()
            await self._has_written.wait()

    async def _write(self, series: _Series) -> None:
        self._is_writing = True
        try:
            await super()._write(series)
        finally:
            self._is_writing = False
            self._has_written.set()
