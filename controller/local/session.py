"""Runs the jobs of one file, one after the other."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.core.observed import Settings
from controller.local.cluster import TRAINER, ProcessCluster
from controller.local.ends import End, exit_of
from controller.local.places import open_places
from controller.local.process import Clock
from controller.local.runner import SETTINGS, LocalRun, StopRequest, fresh, translated_signals
from controller.local.statusfile import StatusFile
from controller.local.view.live import View, open_view
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
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

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
        meta = job.metadata
        places = open_places(self.environ, label=f"{meta.namespace}-{meta.name}-{meta.uid[:8]}")
        cluster = ProcessCluster(places, clock=self.clock, command=self.command)
        view = open_view(self.console, meta.uid)
        stop = StopRequest(kill=cluster.kill, wake=_announcing(view, cluster))
        run = self._local_run(job, cluster, view, stop)
        try:
            with translated_signals(stop):
                ended = await run.finish()
        finally:
            await cluster.close()
            view.close()
        interrupted = stop.count > 0
        code = exit_of(ended, was_interrupted=interrupted)
        return End(ended, code, was_interrupted=interrupted, log=_last_log(cluster, meta.uid))

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


def _announcing(view: View, cluster: ProcessCluster) -> Callable[[], None]:
    def wake() -> None:
        view.say("stopping: the stage writes a checkpoint (Ctrl-C again: stop at once)")
        cluster.wake()

    return wake


def _last_log(cluster: ProcessCluster, uid: str) -> str:
    children = cluster.children(uid)
    return children[-1].log if children else ""
