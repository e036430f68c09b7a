"""Looks at the base models of one file, then runs its jobs, one after the other."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.api.meta import ObjectMeta
from controller.core.observed import Settings
from controller.core.watching.observed import WatchSettings
from controller.local.cluster import TRAINER, ProcessCluster
from controller.local.ends import BaseEnd, End, Exit, exit_of, exit_of_look
from controller.local.places import open_places
from controller.local.process import Clock
from controller.local.runner import SETTINGS, LocalRun, fresh
from controller.local.statusfile import StatusFile
from controller.local.stopping import StopRequest, translated_signals
from controller.local.view.live import View, open_view
from controller.local.watching import WATCH_SETTINGS, LocalLook
from trainer.contract.request import Stage


def wall_clock() -> datetime:
    """The time, in the one place that reads it for local runs."""
    return datetime.now(UTC)


@dataclass
class Session:
    """What every job of one invocation shares."""

    console: Console
    base_models: Mapping[tuple[str, str], BaseModelObject] = field(default_factory=dict)
    status_file: StatusFile | None = None
    last_stage: Stage | None = None
    command: Sequence[str] = TRAINER
    clock: Clock = wall_clock
    settings: Settings = SETTINGS
    watch_settings: WatchSettings = field(default_factory=lambda: WATCH_SETTINGS)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def look(self, bases: Sequence[BaseModelObject], *, writes: bool = True) -> list[BaseEnd]:
        """Every base model's end, up to the first without a revision; jobs use what was found.

        Without ``writes`` nothing is written back, whatever the specs say.

        Raises:
            OSError: a folder or file of ours cannot be written.
        """
        return asyncio.run(self._look(bases, writes=writes))

    async def _look(self, bases: Sequence[BaseModelObject], *, writes: bool) -> list[BaseEnd]:
        ends: list[BaseEnd] = []
        for base in bases:
            ends.append(await self._one_look(fresh(base if writes else without_writing(base))))
            if ends[-1].code is not Exit.DONE:
                break
        found = {(end.base.metadata.namespace, end.base.metadata.name): end.base for end in ends}
        self.base_models = {**self.base_models, **found}
        return ends

    async def _one_look(self, base: BaseModelObject) -> BaseEnd:
        with self._at_work(base.metadata) as (cluster, view, stop):
            publish = self.status_file.put if self.status_file else lambda _: None
            look = LocalLook(base, cluster, view, self.clock, publish, self.watch_settings, stop)
            try:
                ended = await look.finish()
            finally:
                await cluster.close()
        code = exit_of_look(ended, was_interrupted=stop.count > 0)
        errands = cluster.errands(base.metadata.uid)
        return BaseEnd(ended, code, log=errands[-1].log if errands else "")

    @contextmanager
    def _at_work(self, meta: ObjectMeta) -> Iterator[tuple[ProcessCluster, View, StopRequest]]:
        """Folders, a cluster and a view for one object, with Ctrl-C translated."""
        places = open_places(self.environ, label=f"{meta.namespace}-{meta.name}-{meta.uid[:8]}")
        cluster = ProcessCluster(places, clock=self.clock, command=self.command)
        view = open_view(self.console, meta.uid)
        stop = StopRequest(kill=cluster.kill, wake=_announcing(view, cluster))
        try:
            with translated_signals(stop):
                yield cluster, view, stop
        finally:
            view.close()

    def run(self, jobs: Sequence[FineTuneJob]) -> list[End]:
        """Every job's end, up to the one that was interrupted.

        Raises:
            OSError: a folder or file of ours cannot be written.
        """
        return asyncio.run(self._run(jobs))

    async def _run(self, jobs: Sequence[FineTuneJob]) -> list[End]:
        ends: list[End] = []
        for job in jobs:
            ends.append(await self._one(fresh(job)))
            if ends[-1].was_interrupted:
                break
        return ends

    async def _one(self, job: FineTuneJob) -> End:
        with self._at_work(job.metadata) as (cluster, view, stop):
            run = self._local_run(job, cluster, view, stop)
            try:
                ended = await run.finish()
            finally:
                await cluster.close()
        interrupted = stop.count > 0
        code = exit_of(ended, was_interrupted=interrupted)
        log = _last_log(cluster, job.metadata.uid)
        return End(ended, code, was_interrupted=interrupted, log=log)

    def _local_run(
        self, job: FineTuneJob, cluster: ProcessCluster, view: View, stop: StopRequest
    ) -> LocalRun:
        key = (job.metadata.namespace, job.spec.base_model.name or "")
        return LocalRun(
            job=job,
            cluster=cluster,
            view=view,
            clock=self.clock,
            publish=self.status_file.put if self.status_file else lambda _: None,
            base_model=self.base_models.get(key),
            settings=self.settings,
            last_stage=self.last_stage,
            stop=stop,
        )


def without_writing(base: BaseModelObject) -> BaseModelObject:
    """The base model as a check looks at it: what is asked about is not changed by it."""
    spec = base.spec.model_copy(update={"write_back": None})
    return base.model_copy(update={"spec": spec})


def _announcing(view: View, cluster: ProcessCluster) -> Callable[[], None]:
    def wake() -> None:
        view.say("stopping: the stage writes a checkpoint (Ctrl-C again: stop at once)")
        cluster.wake()

    return wake


def _last_log(cluster: ProcessCluster, uid: str) -> str:
    children = cluster.children(uid)
    return children[-1].log if children else ""
