"""BaseModels, errands and outcomes to decide about."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from builders.jobs import START

from controller.api.basemodel import BaseModelObject
from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.core.actions import Action, Event, StartErrand, StopStage
from controller.core.children import ChildState, Obstacle
from controller.core.conditions import find
from controller.core.draft import Decision
from controller.core.watching.child import ErrandChild
from controller.core.watching.decide import decide_base_model
from controller.core.watching.observed import ObservedBase, WatchSettings
from controller.core.watching.source import look_hash
from trainer.contract.errand import Cause, ErrandDetails, ErrandOutcome, ModelRevision
from trainer.contract.failures import EXIT_CODES, FailureClass

UID = "5f0a3d1c-7a52-4e0e-9f5a-0b9d3a3e6f6f"

BASE_SPEC: dict[str, Any] = {
    "source": {"huggingFace": {"repo": "acme/tiny"}},
    "pollPeriodSeconds": 3600,
    "settleSeconds": 600,
}
WRITE_BACK: dict[str, Any] = {"git": {"url": "https://git.acme.dev/manifests"}}


def a_base_model(**spec: Any) -> BaseModelObject:
    """A valid base model as an API server has it just after it was created."""
    metadata = {"name": "tiny", "namespace": "ml", "uid": UID, "generation": 1}
    return BaseModelObject.model_validate({"metadata": metadata, "spec": {**BASE_SPEC, **spec}})


def content(name: str) -> str:
    """The digest of what is called by one character from a to f."""
    return f"sha256:{name * 64}"


def a_revision(name: str, *, digest: str = "") -> ModelRevision:
    """``a`` with the content a; or ``a2`` with it, after an edit of the README."""
    return ModelRevision(revision=f"rev-{name}", content_digest=content(digest or name[0]))


@dataclass(frozen=True)
class BaseScene:
    """One object and its errands, moved by decisions; time stands still until it is told."""

    base: BaseModelObject = field(default_factory=a_base_model)
    children: tuple[ErrandChild, ...] = ()
    now: datetime = START
    settings: WatchSettings = field(default_factory=lambda: WatchSettings(image="tunekeeper:1"))
    obstacle: Obstacle | None = None
    position: int = 0
    """Among those that wait to look."""
    told: tuple[Event, ...] = ()
    """Every event so far."""
    started: tuple[StartErrand, ...] = ()
    writes: int = 0
    """How often the status was stored."""

    def decided(self) -> Decision[Any]:
        return decide_base_model(
            ObservedBase(
                self.base, self.now, self.children, self.settings, self.obstacle, self.position
            )
        )

    def stepped(self) -> "BaseScene":
        """One decision, stored and executed; what stands in the way is not overcome."""
        decision = self.decided()
        is_new = decision.status != self.base.status
        scene = replace(
            self,
            base=self.base.model_copy(update={"status": decision.status}),
            told=(*self.told, *(decision.events if is_new else ())),
            writes=self.writes + is_new,
        )
        for action in decision.actions:
            if self.obstacle is None or isinstance(action, StopStage):
                scene = scene.done(action)
        return scene

    def settled(self) -> "BaseScene":
        """Decided and executed until nothing moves."""
        scene = self
        for _ in range(10):
            after = scene.stepped()
            if after == scene:
                return scene
            scene = after
        raise AssertionError("decisions do not come to rest")

    def passed(self, seconds: float) -> "BaseScene":
        return replace(self, now=self.now + timedelta(seconds=seconds)).settled()

    def waited(self) -> "BaseScene":
        """The time until the next decision has passed, to the second."""
        after_s = self.decided().requeue_after_s
        assert after_s, "nothing is planned"
        return self.passed(after_s)

    # The source

    def found(self, name: str, memo: str = "") -> "BaseScene":
        """The live look found that revision."""
        return self.succeeded(memo=memo, found=a_revision(name))

    def looked(self, name: str) -> "BaseScene":
        """The next look, whenever it is due, found that revision."""
        scene = self.settled()
        scene = scene if scene.has_live else scene.waited()
        return scene.found(name)

    def succeeded(self, *, memo: str = "", **fields: Any) -> "BaseScene":
        return self.ended(details=ErrandDetails(memo=memo), exit_code=0, **self.word(**fields))

    def failed(
        self, failure: FailureClass, cause: Cause | None = None, **fields: Any
    ) -> "BaseScene":
        word = self.word(failure=failure, cause=cause, message="because", **fields)
        return self.ended(exit_code=EXIT_CODES[failure], **word)

    def crashed(self, exit_code: int = 1) -> "BaseScene":
        """It ended without a word."""
        return self.ended(exit_code=exit_code)

    def word(self, **fields: Any) -> dict[str, Any]:
        child = self.live
        told = {"errand": child.errand, "number": child.number, **fields}
        told["uid"] = self.base.metadata.uid
        return {"outcome": ErrandOutcome.model_validate(told)}

    def ended(self, **fields: Any) -> "BaseScene":
        child = self.live
        over = replace(child, state=ChildState.FINISHED, finished=self.now, **fields)
        return self.with_children(over if c is child else c for c in self.children).settled()

    # What people and the cluster do

    def edited(self, **spec: Any) -> "BaseScene":
        """Another spec, as `kubectl apply` would leave it."""
        written = self.base.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        kept = {name: value for name, value in {**written, **spec}.items() if value is not None}
        generation = self.base.metadata.generation + 1
        metadata = self.base.metadata.model_copy(update={"generation": generation})
        changed = {"spec": a_base_model(**kept).spec, "metadata": metadata}
        return replace(self, base=self.base.model_copy(update=changed))

    def annotated(self, check: str) -> "BaseScene":
        annotations = {"annotations": {"tunekeeper.dev/check": check}}
        metadata = self.base.metadata.model_copy(update=annotations)
        return replace(self, base=self.base.model_copy(update={"metadata": metadata}))

    def wiped(self) -> "BaseScene":
        """Somebody restored the object without its status."""
        return replace(self, base=self.base.model_copy(update={"status": a_base_model().status}))

    def hindered(self, reason: Reason | None) -> "BaseScene":
        found = Obstacle(reason, "in the way", "change spec.compute") if reason else None
        return replace(self, obstacle=found)

    def in_line(self, position: int) -> "BaseScene":
        """That many others look first, itself counted; 0: it is its turn."""
        return replace(self, position=position)

    def reporting(self, **fields: Any) -> "BaseScene":
        """The live errand, seen with other fields."""
        child = self.live
        seen = replace(child, **fields)
        return self.with_children(seen if c is child else c for c in self.children)

    def vanished(self) -> "BaseScene":
        """The live child was deleted by hand, and its pods are gone with it."""
        return self.with_children(c for c in self.children if c is not self.live)

    def with_children(self, children: Any) -> "BaseScene":
        return replace(self, children=tuple(children))

    def done(self, action: Action) -> "BaseScene":
        match action:
            case StopStage():
                return self.with_children(_stopped(self.children, action.name))
            case StartErrand():
                return self._with_errand(action)
        raise AssertionError(action)

    def _with_errand(self, action: StartErrand) -> "BaseScene":
        assert all(child.name != action.name for child in self.children), "a name used twice"
        child = ErrandChild(
            name=action.name,
            errand=action.request.errand,
            number=action.request.number,
            source_hash=action.source_hash,
            state=ChildState.RUNNING,
            started=self.now,
        )
        started = (*self.started, action)
        return replace(self, children=(*self.children, child), started=started)

    # What is seen

    @property
    def live(self) -> ErrandChild:
        """The one errand that is not finished."""
        (child,) = [child for child in self.children if child.is_unfinished]
        return child

    @property
    def has_live(self) -> bool:
        return any(child.is_unfinished for child in self.children)

    @property
    def status(self) -> Any:
        return self.base.status

    @property
    def latest(self) -> str:
        return self.status.latest.revision if self.status.latest else ""

    @property
    def events(self) -> list[str]:
        return [event.reason for event in self.told]

    @property
    def conditions(self) -> dict[str, str]:
        return {condition.type.value: condition.status for condition in self.status.conditions}

    @property
    def ready(self) -> tuple[str, str]:
        """Status and reason of Ready."""
        found = find(self.status.conditions, ConditionType.READY)
        assert found is not None
        return found.status, found.reason.value

    @property
    def message(self) -> str:
        found = find(self.status.conditions, ConditionType.READY)
        return found.message if found else ""


def _stopped(children: tuple[ErrandChild, ...], name: str) -> list[ErrandChild]:
    """What lives is told to end; one that is over is simply deleted."""
    told = {"state": ChildState.STOPPING, "is_stopped": True}
    kept = [child for child in children if child.name != name or child.is_unfinished]
    return [replace(child, **told) if child.name == name else child for child in kept]


def hash_of(scene: BaseScene) -> str:
    """What a look would be about now."""
    return look_hash(scene.base.spec.source)
