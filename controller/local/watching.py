"""A BaseModel on this machine: looked at once, and written back, before the jobs that name it.

The same decisions as on a cluster, until nothing is left to do now: what would be looked at again
later is not waited for. A person waits here, so little is tried again, and not for long.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from controller.api.basemodel import BaseModelObject, BaseModelStatus, ErrandFailure
from controller.core.actions import StartErrand
from controller.core.draft import Decision
from controller.core.watching.decide import decide_base_model
from controller.core.watching.failures import is_users
from controller.core.watching.observed import ObservedBase, WatchSettings
from controller.local.cluster import ProcessCluster
from controller.local.process import Clock
from controller.local.stopping import StopRequest
from controller.local.view.live import View

WATCH_SETTINGS = WatchSettings(retry_base_s=2.0, is_local=True)
MAX_TRIES = 3
MAX_PAUSE_S = 30.0
"""A source that asks for a longer pause has nobody waiting for it."""


@dataclass
class LocalLook:
    """One object on its way to a revision."""

    base: BaseModelObject
    cluster: ProcessCluster
    view: View
    clock: Clock
    publish: Callable[[BaseModelObject], None]
    settings: WatchSettings = WATCH_SETTINGS
    stop: StopRequest = field(default_factory=StopRequest)

    async def finish(self) -> BaseModelObject:
        """Decide until there is nothing left to do now; returns the object as it is then."""
        while True:
            decision = self._decide()
            self._publish(decision)
            if self._is_at_rest(decision):
                return self.base
            await self.cluster.apply(decision.actions)
            self._show()
            if decision.requeue_after_s != 0:
                await self.cluster.wait(decision.requeue_after_s)

    def _decide(self) -> Decision[BaseModelStatus]:
        uid = self.base.metadata.uid
        children = self.cluster.errands(uid)
        return decide_base_model(
            ObservedBase(self._as_asked(), self.clock(), children, self.settings)
        )

    def _as_asked(self) -> BaseModelObject:
        """Ctrl-C is ``spec.suspend``, by the same rules."""
        if not self.stop.count:
            return self.base
        spec = self.base.spec.model_copy(update={"suspend": True})
        return self.base.model_copy(update={"spec": spec})

    def _publish(self, decision: Decision[BaseModelStatus]) -> None:
        if decision.status != self.base.status:
            self.base = self.base.model_copy(update={"status": decision.status})
            self.publish(self.base)

    def _is_at_rest(self, decision: Decision[BaseModelStatus]) -> bool:
        """Nothing lives, and what is planned is not for now."""
        self._show()
        if any(child.is_unfinished for child in self.cluster.errands(self.base.metadata.uid)):
            return False
        is_starting = any(isinstance(action, StartErrand) for action in decision.actions)
        if decision.requeue_after_s == 0 or is_starting:
            return False
        return not self._is_retried(decision)

    def _is_retried(self, decision: Decision[BaseModelStatus]) -> bool:
        pause_s, failure = decision.requeue_after_s, failure_of(decision.status)
        if failure is None or pause_s is None or is_final(failure):
            return False
        return pause_s <= MAX_PAUSE_S

    def _show(self) -> None:
        self.view.show(self.cluster.errands(self.base.metadata.uid), self.clock())


def failure_of(status: BaseModelStatus) -> ErrandFailure | None:
    """What stands in the way, if anything does."""
    return status.look_failure or status.write_back_failure


def is_final(failure: ErrandFailure) -> bool:
    """Whether another try now would end the same way."""
    return is_users(failure.reason) or failure.failures >= MAX_TRIES
