"""The axes of the decision table: where a run stands, what the spec asks for, what else lives."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from builders.jobs import Scene, a_job

from controller.api.reasons import Reason
from controller.core.actions import StartStage, StopStage
from controller.core.children import Child, ChildState, Ending
from controller.core.conditions import find
from trainer.contract.request import Stage

Act = Callable[[Scene], Scene]

OLD = "intents-00000-r1-prepare-9"


@cache
def training() -> Scene:
    """The first run, at its train stage."""
    return Scene(job=a_job(retry={"maxAttempts": 3})).settled().succeeded().settled()


@cache
def judging() -> Scene:
    return training().succeeded().settled()


def ended(kind: str) -> Scene:
    """The train stage ended like that, and nobody has looked."""
    scene = training()
    return scene.ended(scene.live, ending=Ending(Reason(kind), "because"))


STATES: dict[str, Callable[[], Scene]] = {
    "none": Scene,
    "recorded": lambda: training().vanished(),
    "pending": lambda: training().reporting(state=ChildState.PENDING),
    "running": training,
    "stopping": lambda: training().reporting(state=ChildState.STOPPING, is_stopped=True),
    "prepared": lambda: Scene().settled().succeeded(),
    "trained": lambda: training().succeeded(),
    "judged": lambda: judging().succeeded(),
    "succeeded": lambda: judging().succeeded().settled(),
    "failed": lambda: ended("Diverged").settled(),
}
SPECS: dict[str, Act] = {
    "same": lambda scene: scene,
    "identity": lambda scene: scene.edited(lora={"rank": 8}),
    "generation": lambda scene: scene.edited(evaluation={"fewShotExamples": 3}),
    "judge": lambda scene: scene.edited(evaluation={"minDelta": "0.1"}),
    "suspended": lambda scene: scene.edited(suspend=True),
    "invalid": lambda scene: scene.edited(quantization="NF4"),
    "pin": lambda scene: scene.edited(promotion={"pin": "1" * 16}),
}


def beside(scene: Scene, **fields: object) -> Scene:
    """With another child of the object."""
    child = Child(
        name=OLD,
        run=1,
        stage=Stage.PREPARE,
        attempt=9,
        spec_hash="0" * 16,
        state=ChildState.RUNNING,
    )
    return replace(scene, children=(*scene.children, replace(child, **fields)))  # type: ignore[arg-type]


CHILDREN: dict[str, Act] = {
    "no other": lambda scene: scene,
    "an old one that is over": lambda scene: beside(scene, state=ChildState.FINISHED),
    "an old one that lives": beside,
    "an orphan": lambda scene: beside(scene, state=ChildState.STOPPING, is_stopped=True),
    "a foreign Job": lambda scene: scene.hindered(Reason.NAME_CONFLICT),
}


def decided(scene: Scene) -> str:
    """What is done, where the object stands then, and which attempt is recorded, in short."""
    decision = scene.decided()
    status, done = decision.status, []
    for action in decision.actions:
        if isinstance(action, StartStage):
            request = action.request
            done.append(f"start {request.run}.{request.stage}.{request.attempt}")
        elif isinstance(action, StopStage):
            done.append("stop" + (" old" if action.name == OLD else ""))
    said, run = find(status.conditions, "Finished"), status.run
    place = f"{run.number}.{run.stage}.{run.attempt}" if run else "-"
    told = f"{status.phase}/{said.reason}" if said else "-"
    return " ".join([",".join(done) or "-", told, place])
