"""The loop that a controller is: observe, decide, publish, apply; here for one object at a time.

Nothing is kept between invocations but logs: an object is new each time, and finds what was done
before in its output.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from controller.api.basemodel import BaseModelObject
from controller.api.conditions import ConditionType
from controller.api.finetunejob import FineTuneJob
from controller.api.status import FineTuneJobStatus
from controller.core.actions import Action, StartStage
from controller.core.conditions import State, is_true
from controller.core.decide import decide
from controller.core.draft import Decision
from controller.core.observed import Observed, Settings
from controller.local.cluster import ProcessCluster
from controller.local.process import Clock
from controller.local.stopping import StopRequest
from controller.local.view.live import View
from trainer.contract.request import Stage

SETTINGS = Settings(retry_base_s=2.0, retry_cap_s=60.0, waits_heal=False)
"""A person is waiting: shorter pauses than on a cluster, and none for what only they can bring."""

ObjectT = TypeVar("ObjectT", FineTuneJob, BaseModelObject)

Publish = Callable[[FineTuneJob], None]


@dataclass
class LocalRun:
    """One object on its way to the end of its run."""

    job: FineTuneJob
    cluster: ProcessCluster
    view: View
    clock: Clock
    publish: Publish
    base_model: BaseModelObject | None = None
    settings: Settings = field(default_factory=lambda: SETTINGS)
    last_stage: Stage | None = None
    """The run is left alone after this stage: what ``check`` wants."""
    stop: StopRequest = field(default_factory=StopRequest)

    async def finish(self) -> FineTuneJob:
        """Decide until there is nothing left to decide; returns the object as it is then."""
        while True:
            decision = self._decide()
            self._publish(decision)
            if self._is_at_rest(decision):
                return self.job
            await self.cluster.apply(decision.actions)
            self._show()
            await self._pause(decision)

    def _decide(self) -> Decision[FineTuneJobStatus]:
        return decide(
            Observed(
                job=self._as_asked(),
                now=self.clock(),
                children=self.cluster.children(self.job.metadata.uid),
                base_model=self.base_model,
                settings=self.settings,
            )
        )

    def _as_asked(self) -> FineTuneJob:
        """Ctrl-C is ``spec.suspend``: stages checkpoint and end, by the same rules."""
        if not self.stop.count:
            return self.job
        spec = self.job.spec.model_copy(update={"suspend": True})
        return self.job.model_copy(update={"spec": spec})

    def _publish(self, decision: Decision[FineTuneJobStatus]) -> None:
        if decision.status != self.job.status:
            self.job = self.job.model_copy(update={"status": decision.status})
            self.publish(self.job)

    def _is_at_rest(self, decision: Decision[FineTuneJobStatus]) -> bool:
        """Finished, suspended with nothing alive, or past the last stage that was asked for."""
        self._show()
        alive = any(c.is_unfinished for c in self.cluster.children(self.job.metadata.uid))
        if alive:
            return False
        if is_true(self.job.status.conditions, ConditionType.FINISHED):
            return True
        if self.job.status.phase == State.SUSPENDED:
            return True
        return self.last_stage is not None and any(map(self._is_too_far, decision.actions))

    def _is_too_far(self, action: Action) -> bool:
        return isinstance(action, StartStage) and action.request.stage is not self.last_stage

    def _show(self) -> None:
        self.view.show(self.cluster.children(self.job.metadata.uid), self.clock())

    async def _pause(self, decision: Decision[FineTuneJobStatus]) -> None:
        """Until a process ends, it is time to look again, or the person asks to stop."""
        if decision.requeue_after_s == 0:
            return
        await self.cluster.wait(self._timeout_s(decision))
        await self.cluster.poll()

    def _timeout_s(self, decision: Decision[FineTuneJobStatus]) -> float | None:
        waits = [decision.requeue_after_s]
        if any(c.is_unfinished for c in self.cluster.children(self.job.metadata.uid)):
            waits.append(self.view.poll_s)
        known = [wait for wait in waits if wait is not None]
        return min(known) if known else None


def fresh(obj: ObjectT) -> ObjectT:
    """The object as an API server would have just created it."""
    metadata = obj.metadata.model_copy(update={"uid": str(uuid.uuid4()), "generation": 1})
    return obj.model_copy(update={"metadata": metadata, "status": type(obj.status)()})
