"""A cluster made of processes and a folder: executes the core's actions, shows its children."""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Sequence

from controller.core.actions import Action, StartErrand, StartStage, StopStage
from controller.core.children import Child
from controller.local.process import GRACE_S, Clock, Places, StageProcess, spawn

TRAINER = (sys.executable, "-P", "-m", "trainer")
"""``-P``: a folder named trainer where the user happens to be is not the trainer."""


class ProcessCluster:
    """Stages as processes. One event loop owns it; ``close`` leaves nothing alive."""

    def __init__(
        self,
        places: Places,
        *,
        clock: Clock,
        command: Sequence[str] = TRAINER,
        grace_s: float = GRACE_S,
    ) -> None:
        self._places = places
        self._clock = clock
        self._command = tuple(command)
        self._grace_s = grace_s
        self._stages: dict[str, StageProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        for folder in (places.logs, places.scratch, places.cache):
            folder.mkdir(parents=True, exist_ok=True)

    def children(self, uid: str) -> tuple[Child, ...]:
        """Every stage started for the object, oldest first."""
        own = (s for s in self._stages.values() if s.action.request.job.uid == uid)
        return tuple(stage.child() for stage in own)

    async def apply(self, actions: Sequence[Action]) -> None:
        """Execute in order."""
        for action in actions:
            match action:
                case StartStage():
                    await self._start(action)
                case StopStage():
                    self._stop(action.name)
                case StartErrand():
                    raise NotImplementedError

    async def wait(self, timeout_s: float | None) -> None:
        """Return when a stage ended, when ``wake`` was called, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        self._changed.clear()

    def wake(self) -> None:
        """Let ``wait`` return now."""
        self._changed.set()

    async def poll(self) -> None:
        """Refresh the progress of everything that runs."""
        await asyncio.gather(*(stage.poll() for stage in self._alive()))

    def kill(self) -> None:
        """End everything now, without a checkpoint."""
        for stage in self._alive():
            stage.kill()

    async def close(self) -> None:
        """End what still runs and wait for it."""
        self.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _start(self, action: StartStage) -> None:
        if action.name in self._stages:
            return
        stage = await spawn(action, self._places, command=self._command, clock=self._clock)
        self._stages[action.name] = stage
        self._keep(self._settle(stage))

    def _stop(self, name: str) -> None:
        stage = self._stages.get(name)
        if stage is not None and stage.is_alive and not stage.is_stopping:
            self._keep(stage.stop(self._grace_s))

    async def _settle(self, stage: StageProcess) -> None:
        await stage.settle(self._clock)
        self.wake()

    def _keep(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _alive(self) -> list[StageProcess]:
        return [stage for stage in self._stages.values() if stage.is_alive]
