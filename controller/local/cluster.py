"""A cluster made of processes and a folder: executes the core's actions, shows its children."""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Sequence

from controller.core.actions import Action, StartErrand, StartStage, StopStage
from controller.core.children import Child
from controller.core.watching.child import ErrandChild
from controller.local.process import (
    GRACE_S,
    AnyProcess,
    Clock,
    ErrandProcess,
    Places,
    StageProcess,
    spawn,
)

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
        self._errands: dict[str, ErrandProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        for folder in (places.logs, places.scratch, places.cache):
            folder.mkdir(parents=True, exist_ok=True)

    def children(self, uid: str) -> tuple[Child, ...]:
        """Every stage started for the object, oldest first."""
        own = (s for s in self._stages.values() if s.action.request.job.uid == uid)
        return tuple(stage.child() for stage in own)

    def errands(self, uid: str) -> tuple[ErrandChild, ...]:
        """Every errand started for the object, oldest first."""
        started = self._errands.values()
        own = (e for e in started if e.action.request.base_model.uid == uid)
        return tuple(errand.child() for errand in own)

    async def apply(self, actions: Sequence[Action]) -> None:
        """Execute in order."""
        for action in actions:
            match action:
                case StartStage() | StartErrand():
                    await self._start(action)
                case StopStage():
                    self._stop(action.name)

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
        alive = (stage for stage in self._stages.values() if stage.is_alive)
        await asyncio.gather(*(stage.poll() for stage in alive))

    def kill(self) -> None:
        """End everything now, without a checkpoint."""
        for stage in self._alive():
            stage.kill()

    async def close(self) -> None:
        """End what still runs and wait for it."""
        self.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _start(self, action: StartStage | StartErrand) -> None:
        if action.name in self._known():
            return
        spawned = await spawn(action, self._places, command=self._command, clock=self._clock)
        started: AnyProcess
        match action:
            case StartStage():
                started = self._stages[action.name] = StageProcess(spawned, action=action)
                if action.backstop_s is not None:
                    self._keep(started.end_overdue(action.backstop_s, self._grace_s))
            case StartErrand():
                started = self._errands[action.name] = ErrandProcess(spawned, action=action)
        self._keep(self._settle(started))

    def _stop(self, name: str) -> None:
        started = self._known().get(name)
        if started is not None and started.is_alive and not started.is_stopping:
            self._keep(started.stop(self._grace_s))

    async def _settle(self, started: AnyProcess) -> None:
        await started.settle(self._clock)
        self.wake()

    def _known(self) -> dict[str, AnyProcess]:
        return {**self._stages, **self._errands}

    def _keep(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _alive(self) -> list[AnyProcess]:
        return [started for started in self._known().values() if started.is_alive]
