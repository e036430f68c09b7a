"""Jobs, children and outcomes to decide about."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.api.reasons import Reason
from controller.core.actions import StartStage, StopStage
from controller.core.children import Child, ChildState, Obstacle
from controller.core.decide import Decision, decide
from controller.core.observed import Observed, Settings
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.request import Stage

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UID = "0b9d3a3e-7a52-4e0e-9f5a-6f6f0a3d1c11"
RUN_ID = "0123456789abcdef"
DIGEST = f"sha256:{'a' * 64}"

SPEC: dict[str, Any] = {
    "baseModel": {"directory": {"path": "/models/tiny"}},
    "dataset": {"train": {"uri": "file:///data/train.jsonl"}},
    "output": {"uri": "file:///out/intents"},
    "compute": {"gpus": 0},
}


def a_job(**spec: Any) -> FineTuneJob:
    """A valid job as an API server has it just after it was created."""
    metadata = {"name": "intents", "namespace": "ml", "uid": UID, "generation": 1}
    return FineTuneJob.model_validate({"metadata": metadata, "spec": {**SPEC, **spec}})


def digest_of(revision: str) -> str:
    """The content of a revision."""
    return f"sha256:{hashlib.sha256(revision.encode()).hexdigest()}"


def a_base_model(revision: str = "", name: str = "smol", **parts: Any) -> BaseModelObject:
    """A BaseModel that knows this revision as its newest; empty: none yet."""
    found = {
        "revision": revision,
        "contentDigest": digest_of(revision),
        "observedTime": "2026-03-01T12:00:00Z",
    }
    return BaseModelObject.model_validate(
        {
            "metadata": {"name": name, "namespace": "ml"},
            "spec": {
                "source": {"huggingFace": {"repo": f"owner/{name}"}},
                **parts.get("spec", {}),
            },
            "status": {**({"latest": found} if revision else {}), **parts.get("status", {})},
        }
    )


def an_outcome(child: Child, **fields: Any) -> Outcome:
    """The last word of a stage that did its work, unless ``fields`` say otherwise."""
    usual: dict[Stage, dict[str, Any]] = {
        Stage.PREPARE: {"base_revision": "abc", "base_digest": DIGEST, "dataset_digest": DIGEST},
        Stage.TRAIN: {"adapter_digest": DIGEST},
        Stage.JUDGE: {"verdict": "Promote", "evaluation_id": "e1", "sequence": 1},
        Stage.COLLECT: {"message": "there is no outcome"},
    }
    told = {"stage": child.stage, "run": child.run, "attempt": child.attempt, "uid": UID}
    return Outcome.model_validate({**told, "run_id": RUN_ID, **usual[child.stage], **fields})


@dataclass(frozen=True)
class Scene:
    """One object and its children, moved by decisions; time stands still until it is told."""

    job: FineTuneJob = field(default_factory=a_job)
    children: tuple[Child, ...] = ()
    now: datetime = START
    settings: Settings = field(default_factory=Settings)
    obstacle: Obstacle | None = None
    queue_position: int = 0
    base_model: BaseModelObject | None = None
    retrain_position: int = 0

    def observed(self) -> Observed:
        return Observed(
            self.job,
            self.now,
            self.children,
            base_model=self.base_model,
            settings=self.settings,
            obstacle=self.obstacle,
            queue_position=self.queue_position,
            retrain_position=self.retrain_position,
        )

    def decided(self) -> Decision:
        return decide(self.observed())

    def stepped(self) -> "Scene":
        """One decision, stored and executed; what stands in the way of a child is not overcome."""
        decision = self.decided()
        scene = replace(self, job=self.job.model_copy(update={"status": decision.status}))
        for action in decision.actions:
            if self.obstacle is None or isinstance(action, StopStage):
                scene = scene.done(action)
        return scene

    def settled(self) -> "Scene":
        """Decided and executed until nothing moves."""
        scene = self
        for _ in range(10):
            after = scene.stepped()
            if after == scene:
                return scene
            scene = after
        raise AssertionError("decisions do not come to rest")

    def moved(self, revision: str, name: str = "smol", **parts: Any) -> "Scene":
        """The BaseModel's newest revision is another one; its content is named after it."""
        return replace(self, base_model=a_base_model(revision, name, **parts))

    def run_through(self, **judge: Any) -> "Scene":
        """The run that is wanted now goes through its three stages."""
        scene = self.settled()
        while any(child.is_unfinished for child in scene.children):
            scene = scene.worked(**(judge if scene.live.stage is Stage.JUDGE else {})).settled()
        return scene

    def worked(self, **fields: Any) -> "Scene":
        """The live stage did its work, for the revision that the run is for."""
        live, told = self.live, self.job.status.run
        assert told is not None
        found: dict[str, Any] = {"run_id": f"{live.run:016x}"}
        if live.stage is Stage.PREPARE and told.base_model is not None:
            revision = told.base_model.revision
            found |= {"base_revision": revision, "base_digest": digest_of(revision)}
        return self.succeeded(**(found | fields))

    def passed(self, seconds: float) -> "Scene":
        return replace(self, now=self.now + timedelta(seconds=seconds))

    def edited(self, **spec: Any) -> "Scene":
        """Another spec, as `kubectl apply` would leave it."""
        written = self.job.spec.model_dump(mode="json", exclude_defaults=True)
        changed = a_job(**{**written, **spec}).spec
        metadata = self.job.metadata.model_copy(
            update={"generation": self.job.metadata.generation + 1}
        )
        return self._with_job(spec=changed, metadata=metadata)

    def annotated(self, **annotations: str) -> "Scene":
        named = {f"tunekeeper.dev/{name}": value for name, value in annotations.items()}
        return self._with_job(metadata=self.job.metadata.model_copy(update={"annotations": named}))

    @property
    def live(self) -> Child:
        """The one child that is not finished."""
        (child,) = [child for child in self.children if child.is_unfinished]
        return child

    def succeeded(self, details: Details | None = None, **fields: Any) -> "Scene":
        """The live stage did its work."""
        child = self.live
        word = an_outcome(self._teller(child), **fields)
        return self.ended(child, outcome=word, details=details or Details(), exit_code=0)

    def _teller(self, child: Child) -> Child:
        """Whose word a child leaves: a look that finds the lost one leaves that."""
        run = self.job.status.run
        if child.stage is not Stage.COLLECT or run is None or run.lost is None:
            return child
        return replace(child, stage=run.lost.stage, attempt=run.lost.attempt)

    def found_nothing(self) -> "Scene":
        """The live look into the store found no word."""
        child = self.live
        return self.ended(child, outcome=an_outcome(child), details=Details(), exit_code=0)

    def failed(self, failure: FailureClass, **fields: Any) -> "Scene":
        """The live stage said why it failed."""
        child = self.live
        outcome = an_outcome(child, failure=failure, message="because", **fields)
        return self.ended(child, outcome=outcome, exit_code=EXIT_CODES[failure])

    def crashed(self, exit_code: int = 1) -> "Scene":
        """The live stage ended without a word."""
        return self.ended(self.live, exit_code=exit_code)

    def ended(self, child: Child, **fields: Any) -> "Scene":
        over = replace(child, state=ChildState.FINISHED, finished=self.now, **fields)
        return replace(self, children=tuple(over if c is child else c for c in self.children))

    def hindered(self, reason: Reason | None, message: str = "in the way") -> "Scene":
        """The API server, or the events, say what stands in the way; None: nothing any more."""
        return replace(self, obstacle=Obstacle(reason, message) if reason else None)

    def vanished(self) -> "Scene":
        """The live child was deleted by hand, and its pods are gone with it."""
        return replace(self, children=tuple(c for c in self.children if c is not self.live))

    def tidied(self) -> "Scene":
        """Its finished Jobs are gone: their time is nothing to wake up for."""
        return replace(self, children=tuple(c for c in self.children if c.is_unfinished))

    def reporting(self, **fields: Any) -> "Scene":
        """The live child, seen with other fields."""
        child = self.live
        seen = replace(child, **fields)
        return replace(self, children=tuple(seen if c is child else c for c in self.children))

    def _with_job(self, **fields: Any) -> "Scene":
        return replace(self, job=self.job.model_copy(update=fields))

    def done(self, action: StartStage | StopStage) -> "Scene":
        if isinstance(action, StopStage):
            stopped = ((c, c.name == action.name) for c in self.children)
            return replace(
                self,
                children=tuple(
                    replace(c, state=ChildState.STOPPING, is_stopped=True) if is_told else c
                    for c, is_told in stopped
                    if c.is_unfinished or not is_told  # one that is over is simply deleted
                ),
            )
        request = action.request
        assert all(child.name != action.name for child in self.children), "a name used twice"
        child = Child(
            name=action.name,
            run=request.run,
            stage=request.stage,
            attempt=request.attempt,
            spec_hash=request.spec_hash,
            state=ChildState.RUNNING,
            started=self.now,
        )
        return replace(self, children=(*self.children, child))
