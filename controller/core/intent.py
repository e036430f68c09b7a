"""What the spec asks for now, compared with what the status says was done."""

from dataclasses import dataclass
from enum import StrEnum

from controller.api.finetunejob import FineTuneJob, FineTuneJobSpec
from controller.api.identity import SpecHashes, spec_hashes
from controller.api.meta import RERUN_ANNOTATION
from controller.api.status import FineTuneJobStatus, Trigger
from controller.core.remainder import is_raised

NO_PIN = "none"
MAX_RERUN = 256
"""Of the annotation's value; an API server bounds only all annotations together."""


class Want(StrEnum):
    """What an object lacks when its run is over, or when it has none."""

    NOTHING = "Nothing"
    NEW_RUN = "NewRun"
    TRAIN = "Train"
    """The train stage again: other generation settings, the adapter that is there; or a raised
    limit, and the checkpoint of a partial run."""
    JUDGE = "Judge"
    """Another judgement of the answers that are there."""
    PIN = "Pin"
    """What promotion.pin asks for, although the run failed: a person may need the way back."""
    RETRY = "Retry"
    """The failed stage again: the spec around the run was changed."""


@dataclass(frozen=True)
class Intent:
    """The hashes of the spec as it is now, and what they lead to."""

    spec_hash: str
    identity_hash: str
    generation_hash: str
    judge_hash: str
    retry_hash: str
    rerun: str
    want: Want
    trigger: Trigger = "Spec"
    """What makes it a new run, where it is one."""


def read_intent(job: FineTuneJob) -> Intent:
    """Hash the spec by field class and compare it with the recorded run."""
    handled = job.status.last_handled_rerun or ""
    asked = job.metadata.annotations.get(RERUN_ANNOTATION, "")[:MAX_RERUN]
    hashes = spec_hashes(job.spec)
    is_rerun = asked not in ("", handled)
    want = Want.NEW_RUN if is_rerun else _want(job, hashes)
    trigger: Trigger = "Rerun" if is_rerun else "Spec"
    return Intent(**vars(hashes), rerun=asked or handled, want=want, trigger=trigger)


def asked_pin(spec: FineTuneJobSpec) -> str:
    """The pin as a run remembers it."""
    return spec.promotion.pin or NO_PIN


def is_pin_open(spec: FineTuneJobSpec, status: FineTuneJobStatus) -> bool:
    """Whether a pin, or its removal, has not been seen to; asked where no judge will anyway."""
    run, promoted = status.run, status.promoted
    if run is None or run.pin == asked_pin(spec):
        return False
    if spec.promotion.pin is not None:
        return promoted is None or promoted.run_id != spec.promotion.pin
    return spec.promotion.policy == "Auto" and promoted is not None and promoted.by == "Pin"


def _want(job: FineTuneJob, hashes: SpecHashes) -> Want:
    run = job.status.run
    if run is None or run.spec_hash != hashes.spec_hash:
        return Want.NEW_RUN
    if run.end_time is None:
        return Want.NOTHING
    if run.failure and is_pin_open(job.spec, job.status):
        return Want.PIN
    if run.failure:
        return Want.RETRY if run.retry_hash != hashes.retry_hash else Want.NOTHING
    if run.generation_hash != hashes.generation_hash or is_raised(job):
        return Want.TRAIN
    return Want.JUDGE if run.judge_hash != hashes.judge_hash else Want.NOTHING
