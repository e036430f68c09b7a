"""One pod of a child: its last word, what ended it, what keeps it from running. Pure.

Everything in here was written by somebody else; what makes no sense says nothing.
"""

from datetime import datetime

from controller.api.reasons import Reason
from controller.core.children import Ending, Obstacle
from controller.core.last_word import ErrandWord, Word, parse_errand_word, parse_last_word
from controller.shell.records import Pod, PodCondition, Terminated, Waiting
from controller.shell.template import CONTAINER
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import MAX_MESSAGE_BYTES

MAX_WORDS = 300

KILLED = EXIT_CODES[FailureClass.HOST_OUT_OF_MEMORY]
"""128 + SIGKILL: from the kernel when it is out of memory, and from anybody else."""

DISRUPTIONS = {
    "PreemptionByScheduler": "preempted by a pod of higher priority",
    "EvictionByEvictionAPI": "evicted through the API, as when its node is drained",
    "DeletionByTaintManager": "evicted because of a taint on its node",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "evicted by its node",
}

DEADLINE = "DeadlineExceeded"
"""The kubelet's reason where it ended a pod at its activeDeadlineSeconds."""

IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
CONFIG_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
IMAGE_REMEDY = (
    "check the name of the image, that the node can reach its registry, and"
    " spec.compute.imagePullSecrets"
)
CONFIG_REMEDY = (
    "check the image, which has to run as a user other than root, given by number, and spec.compute"
)
NODE_REMEDY = (
    "check spec.compute (gpus, resources, nodeSelector, tolerations, affinity,"
    " cacheVolumeClaim) against the nodes, or add one"
)


def is_over(pod: Pod) -> bool:
    """Whether nothing of it is alive."""
    return pod.status.phase in ("Succeeded", "Failed")


def terminated(pod: Pod) -> Terminated | None:
    """How the stage's container ended."""
    statuses = pod.status.container_statuses
    return next((s.state.terminated for s in statuses if s.name == CONTAINER), None)


def word_of(pod: Pod) -> Word:
    """The stage's last word, or nothing."""
    return parse_last_word(_message_of(pod))


def errand_word_of(pod: Pod) -> ErrandWord:
    """An errand's last word, or nothing."""
    return parse_errand_word(_message_of(pod))


def _message_of(pod: Pod) -> bytes:
    end = terminated(pod)
    return end.message.encode(errors="replace")[:MAX_MESSAGE_BYTES] if end is not None else b""


def ended_at(pod: Pod) -> datetime | None:
    """When the stage's container ended."""
    end = terminated(pod)
    return end.finished_at if end is not None else None


def ending_of(pod: Pod) -> Ending | None:
    """What ended it, where its exit code alone would mislead."""
    end = terminated(pod)
    if end is not None and end.reason == "OOMKilled":
        text = "the container was killed for using more memory than its limit, or its node has"
        return Ending(FailureClass.HOST_OUT_OF_MEMORY, text)
    if pod.status.reason == DEADLINE:
        return Ending(FailureClass.DEADLINE_EXCEEDED, "ended at its backstop")
    if pod.status.reason == "Evicted" and "storage" in pod.status.message.lower():
        return Ending(FailureClass.HOST_STORAGE_EXCEEDED, short(pod.status.message))
    return killed() if end is not None and end.exit_code == KILLED else None


def killed() -> Ending:
    """SIGKILL, and nobody says that it was for memory."""
    text = f"killed from outside (exit code {KILLED}), not for its memory as far as is known"
    return Ending(FailureClass.INTERRUPTED, text)


def disruption_of(pod: Pod) -> str:
    """How the cluster took it away; empty when it did not."""
    found = _condition(pod, "DisruptionTarget")
    if found is None or found.status != "True":
        return ""
    return disruption(found.reason, found.message)


def disruption(reason: str, message: str = "") -> str:
    """The words for one of Kubernetes' reasons."""
    said = DISRUPTIONS.get(reason, "disrupted by the cluster")
    if reason == "TerminationByKubelet" and message:
        return f"{said} ({short(message)})"
    return said


def wait_of(pod: Pod) -> Obstacle | None:
    """What keeps it from running, and what to do about it."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and (scheduled.status, scheduled.reason) == ("False", "Unschedulable"):
        text = f"no node takes the pod: {short(scheduled.message)}"
        return Obstacle(Reason.UNSCHEDULABLE, text, NODE_REMEDY)
    statuses = pod.status.container_statuses
    waiting = next((s.state.waiting for s in statuses if s.name == CONTAINER), None)
    return _container_wait(waiting) if waiting is not None else None


def _container_wait(waiting: Waiting) -> Obstacle | None:
    # The kubelet alternates between the error and its back-off from it: said as the same.
    said = short(waiting.message.rpartition("ErrImagePull: ")[2])
    if waiting.reason in IMAGE_REASONS:
        return Obstacle(Reason.IMAGE_PULL, f"the image cannot be had: {said}", IMAGE_REMEDY)
    if waiting.reason in CONFIG_REASONS:
        text = f"the container cannot be made: {said}"
        return Obstacle(Reason.CONTAINER_CONFIG, text, CONFIG_REMEDY)
    return None


def _condition(pod: Pod, kind: str) -> PodCondition | None:
    return next((c for c in pod.status.conditions if c.type == kind), None)


def short(text: str) -> str:
    """One line, and no more of it than helps."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}..."
