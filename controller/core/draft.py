"""A decision in the making, whatever kind of object it is about: steps take one, return one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Self, TypeVar

from controller.api.basemodel import BaseModelStatus
from controller.api.reasons import Reason
from controller.api.status import FineTuneJobStatus
from controller.core.actions import Action, Event, StopStage
from controller.core.children import AnyChild, ChildState

StatusT = TypeVar("StatusT", FineTuneJobStatus, BaseModelStatus)


@dataclass(frozen=True)
class Decision(Generic[StatusT]):
    """What the shell executes: actions in order, then one status write, then the events.

    ``requeue_after_s`` of 0 means: once the status is stored, decide again at once.
    """

    actions: tuple[Action, ...]
    status: StatusT
    events: tuple[Event, ...]
    requeue_after_s: float | None


@dataclass(frozen=True, kw_only=True)
class Draft(Generic[StatusT]):
    """What the steps have made of it so far; nothing in it is changed in place."""

    status: StatusT
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after_s: float | None = None
    is_over: bool = False

    def over(self) -> Self:
        """No later step has anything to say."""
        return self._with(is_over=True)

    def doing(self, *actions: Action) -> Self:
        """With more to do."""
        return self._with(actions=(*self.actions, *actions)) if actions else self

    def stopping(self, children: Iterable[AnyChild], why: str) -> Self:
        """With each of the children told to stop, once; what has ended keeps its Job and log."""
        told = {action.name for action in self.actions if isinstance(action, StopStage)}
        alive = (c for c in children if not (c.state is ChildState.STOPPING or c.has_ended))
        new = [child for child in alive if child.name not in told]
        return self.doing(*(StopStage(child.name, why) for child in new))

    def telling(self, kind: Literal["Normal", "Warning"], reason: Reason, message: str) -> Self:
        """With one more event."""
        return self._with(events=(*self.events, Event(kind, reason, message)))

    def after(self, seconds: float) -> Self:
        """To be decided again after ``seconds``, or earlier."""
        known = self.requeue_after_s
        soonest = seconds if known is None else min(seconds, known)
        return self._with(requeue_after_s=max(0.0, soonest))

    def saying(self, **fields: Any) -> Self:  # noqa: ANN401 - fields of the status
        """With other fields in the next status."""
        return self._with(status=self.status.model_copy(update=fields))

    def _with(self, **fields: Any) -> Self:  # noqa: ANN401 - fields of the draft
        """As ``dataclasses.replace``, which reads every field of the class: half of a decision."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), **fields)
        return other

    def decided(self, generation: int) -> Decision[StatusT]:
        """The decision, about that generation of the spec."""
        seen = max(generation, self.status.observed_generation)
        status = self.status.model_copy(update={"observed_generation": seen})
        return Decision(self.actions, status, self.events, self.requeue_after_s)
