"""One pod of a child: its last word, what ended it, what keeps it from running. Pure.

Everything in here was written by somebody else; what makes no sense says nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from controller.api.reasons import Reason
from controller.core.children import Ending, Obstacle
from controller.core.failures import hindrance
from controller.core.last_word import ErrandWord, Word, parse_errand_word, parse_last_word
from controller.shell.records import Pod, PodCondition, Terminated, Waiting
from controller.shell.template import CONTAINER
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import MAX_MESSAGE_BYTES

MAX_WORDS = 300

KILLED = EXIT_CODES[FailureClass.HOST_OUT_OF_MEMORY]
"""128 + SIGKILL: from the kernel when it is out of memory, and from anybody else."""

R = Reason

DISRUPTIONS: Mapping[str, Ending] = {
    "PreemptionByScheduler": Ending(R.PREEMPTED, "preempted by a pod of higher priority"),
    "EvictionByEvictionAPI": Ending(
        R.EVICTED, "evicted through the API, as when its node is drained"
    ),
    "DeletionByTaintManager": Ending(R.EVICTED, "evicted because of a taint on its node"),
    "DeletionByPodGC": Ending(R.NODE_LOST, "its node is gone"),
    "TerminationByKubelet": Ending(R.EVICTED, "evicted by its node"),
}
"""By the reason of the condition DisruptionTarget."""

TAKEN: Mapping[str, Ending] = {
    "Evicted": Ending(R.EVICTED, "evicted by its node"),
    "NodeLost": Ending(R.NODE_LOST, "its node does not answer"),
    "NodeShutdown": Ending(R.EVICTED, "its node was shut down"),
    "Preempting": Ending(R.PREEMPTED, "preempted by a critical pod on its node"),
    "Terminated": Ending(R.EVICTED, "its node was shut down"),
}
"""By the reason that a pod itself gives, where nobody has set the condition."""

BY_SOMEBODY = Ending(R.INTERRUPTED, "disrupted by the cluster")

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


def disruption_of(pod: Pod) -> Ending | None:
    """How the cluster took it away; None when it did not."""
    found = _condition(pod, "DisruptionTarget")
    if found is None or found.status != "True":
        return _taken(pod)
    known = DISRUPTIONS.get(found.reason, BY_SOMEBODY)
    if found.reason == "DeletionByTaintManager" and terminated(pod) is None:
        return Ending(R.NODE_LOST, "its node did not answer, and nobody saw it end")
    return _in_words(known, found.message) if found.reason == "TerminationByKubelet" else known


def _taken(pod: Pod) -> Ending | None:
    """By its own word alone; that it broke its own disk limit is told by ``ending_of``."""
    known = TAKEN.get(pod.status.reason)
    if known is None or "storage" in pod.status.message.lower():
        return None
    return _in_words(known, pod.status.message)


def _in_words(known: Ending, message: str) -> Ending:
    return replace(known, message=f"{known.message} ({short(message)})") if message else known


def wait_of(pod: Pod) -> Obstacle | None:
    """What keeps it from running, and what to do about it."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and (scheduled.status, scheduled.reason) == ("False", "Unschedulable"):
        text = f"no node takes the pod: {short(scheduled.message)}"
        return hindrance(R.UNSCHEDULABLE, text)
    statuses = pod.status.container_statuses
    waiting = next((s.state.waiting for s in statuses if s.name == CONTAINER), None)
    return _container_wait(waiting) if waiting is not None else None


def _container_wait(waiting: Waiting) -> Obstacle | None:
    # The kubelet alternates between the error and its back-off from it: said as the same.
    said = short(waiting.message.rpartition("ErrImagePull: ")[2])
    if waiting.reason in IMAGE_REASONS:
        return hindrance(R.IMAGE_PULL, f"the image cannot be had: {said}")
    if waiting.reason in CONFIG_REASONS:
        text = f"the container cannot be made: {said}"
        return hindrance(R.CONTAINER_CONFIG, text)
    return None


def _condition(pod: Pod, kind: str) -> PodCondition | None:
    return next((c for c in pod.status.conditions if c.type == kind), None)


def short(text: str) -> str:
    """One line, and no more of it than helps."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}..."
