"""One decision in the making: what was observed, and what the steps have made of it so far."""

from dataclasses import dataclass, replace
from typing import Any

from controller.api.conditions import ConditionStatus, ConditionType
from controller.api.reasons import Reason
from controller.api.status import FineTuneJobStatus, RunStatus, Trigger
from controller.core.children import Child
from controller.core.conditions import Stamp, State, put, put_state
from controller.core.draft import Draft
from controller.core.intent import Intent, Want
from controller.core.naming import short_hash
from controller.core.observed import Observed
from trainer.contract.request import Stage


@dataclass(frozen=True, kw_only=True)
class Turn(Draft[FineTuneJobStatus]):
    """Steps take one and return one; nothing in it is changed in place."""

    observed: Observed
    intent: Intent

    @property
    def run(self) -> RunStatus:
        """The run; only asked for where there is one."""
        assert self.status.run is not None  # noqa: S101 - ours, not the user's
        return self.status.run

    @property
    def stage(self) -> Stage:
        """The stage of the recorded attempt; only asked for where there is one."""
        assert self.run.stage is not None  # noqa: S101 - ours, not the user's
        return self.run.stage

    @property
    def is_under_way(self) -> bool:
        """Whether a run is recorded that has not ended and is still what the spec asks for."""
        run = self.status.run
        return run is not None and run.end_time is None and self.intent.want is not Want.NEW_RUN

    @property
    def child(self) -> Child | None:
        """The child of the recorded attempt; one of another spec is never adopted."""
        asked = short_hash(self.run.spec_hash or "")
        child = self.namesake
        return child if child is not None and short_hash(child.spec_hash) == asked else None

    @property
    def namesake(self) -> Child | None:
        """The child that bears the name of the recorded attempt, whatever it was started for."""
        run = self.run
        key = (run.number, run.stage, run.attempt)
        return next((c for c in self.observed.children if (c.run, c.stage, c.attempt) == key), None)

    @property
    def unfinished(self) -> tuple[Child, ...]:
        """Everything of the object that may still be alive."""
        return tuple(child for child in self.observed.children if child.is_unfinished)

    def wanting(self, want: Want, trigger: Trigger = "Spec") -> "Turn":
        """With another idea of what is lacking."""
        return replace(self, intent=replace(self.intent, want=want, trigger=trigger))

    def running(self, **fields: Any) -> "Turn":  # noqa: ANN401 - fields of the run
        """With other fields in the next status's run."""
        return self.saying(run=self.run.model_copy(update=fields))

    def in_state(self, state: State, reason: Reason, message: str = "") -> "Turn":
        """With the phase and the four state conditions of one row of the table."""
        conditions = put_state(self.status.conditions, self._stamp(), state, reason, message)
        return self.saying(phase=state.value, conditions=conditions)

    def holding(
        self, kind: ConditionType, truth: ConditionStatus, reason: Reason, message: str = ""
    ) -> "Turn":
        """With one condition set."""
        held = put(self.status.conditions, self._stamp(), kind, truth, reason, message=message)
        return self.saying(conditions=held)

    def _stamp(self) -> Stamp:
        return Stamp(self.observed.job.metadata.generation, self.observed.now)
