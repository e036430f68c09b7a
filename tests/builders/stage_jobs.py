"""The Job of a stage as the operator would make it, and the parts of it."""

from typing import Any

from builders.jobs import Scene, a_job

from controller.api.finetunejob import FineTuneJob
from controller.api.status import Images
from controller.core.actions import StartStage
from controller.core.observed import Settings
from controller.shell.template import PodSettings, job_manifest

SETTINGS = Settings(images=Images(cpu="registry/small:1", trainer="registry/big:1"))


def scene_at(stage: str, job: FineTuneJob) -> Scene:
    scene = Scene(job=job, settings=SETTINGS).stepped()
    for _ in range(["prepare", "train", "judge"].index(stage)):
        scene = scene.stepped().succeeded().stepped()
    return scene


def asked(stage: str = "train", **spec: Any) -> tuple[FineTuneJob, StartStage]:
    """A job at a stage, and the action that asks for it."""
    scene = scene_at(stage, a_job(**spec))
    (action,) = scene.decided().actions
    assert isinstance(action, StartStage)
    return scene.job, action


def manifest(stage: str = "train", pods: PodSettings | None = None, **spec: Any) -> dict[str, Any]:
    return job_manifest(*asked(stage, **spec), pods or PodSettings())


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["spec"]["template"]["spec"]


def container_of(document: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(document)["containers"]
    return container


def env_of(document: dict[str, Any]) -> dict[str, str]:
    return {v["name"]: v["value"] for v in container_of(document)["env"] if "value" in v}
