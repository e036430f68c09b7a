"""What a running stage answers about its progress: hostile input, checked before it counts."""

from dataclasses import dataclass

from pydantic import ValidationError

from trainer.contract.progress import Progress
from trainer.contract.request import Stage

MAX_PROGRESS_BYTES = 8192
MAX_STEPS = 1 << 53
"""A number that every reader of JSON can hold."""
MAX_ETA_S = 1e9
"""About 30 years; also refuses infinity, which has no decimal."""


@dataclass(frozen=True)
class Speaker:
    """The attempt that was asked, and the pod it was asked in; a process has no pod."""

    uid: str
    run: int
    stage: Stage
    attempt: int
    pod_uid: str = ""


def heard_progress(body: bytes, asked: Speaker) -> Progress | None:
    """The progress in an answer, if it is one and speaks for exactly the one asked."""
    if len(body) > MAX_PROGRESS_BYTES:
        return None
    try:
        progress = Progress.model_validate_json(body)
    except ValidationError:
        return None
    told = Speaker(progress.uid, progress.run, progress.stage, progress.attempt, progress.pod_uid)
    return progress if told == asked and _is_plausible(progress) else None


def _is_plausible(progress: Progress) -> bool:
    eta_s = progress.eta_seconds
    steps = (progress.step, progress.max_steps)
    return all(0 <= n <= MAX_STEPS for n in steps) and (eta_s is None or abs(eta_s) <= MAX_ETA_S)
