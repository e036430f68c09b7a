"""From a job and its status to the request that a stage starts with."""

import re

from controller.api.meta import GIT_COMMIT_ANNOTATION, ObjectMeta
from controller.api.status import Images, RunStatus
from controller.core.intent import Intent
from controller.core.observed import Observed
from controller.core.price import budget_of
from controller.core.remainder import soft_limit
from trainer.contract.request import JobIdentity, LostAttempt, Stage, StageRequest
from trainer.contract.source import ModelSource, PinnedModel
from trainer.contract.spec import RunSpec

SHARED_SECTIONS = (
    "method",
    "dataset",
    "lora",
    "quantization",
    "training",
    "evaluation",
    "promotion",
    "output",
)
"""The sections of a FineTuneJob that a stage gets as they are."""

COMMIT = re.compile(r"(?:.{0,200}@)?(?:sha1:|sha256:)?([0-9a-f]{7,64})")
"""A commit as Git writes it, or after a branch as Flux does: ``main@sha1:<commit>``."""


def stage_request(observed: Observed, run: RunStatus, stage: Stage, intent: Intent) -> StageRequest:
    """The request for the attempt that the run records."""
    job = observed.job
    promoted = job.status.promoted
    return StageRequest(
        stage=stage,
        job=JobIdentity(
            namespace=job.metadata.namespace, name=job.metadata.name, uid=job.metadata.uid
        ),
        run=run.number,
        attempt=run.attempt,
        run_id=run.id,
        spec_hash=intent.spec_hash,
        identity_hash=intent.identity_hash,
        generation_hash=intent.generation_hash,
        rerun=intent.rerun,
        keep_promoted_base=_keeps_promoted_base(observed, stage),
        pin_only=stage is Stage.JUDGE and bool(run.failure),
        lost=lost_attempt(run) if stage is Stage.COLLECT else None,
        promoted_sequence=promoted.sequence if promoted else 0,
        git_commit=git_commit(job.metadata),
        limit=soft_limit(job, job.status, stage),
        spec=run_spec(observed, run),
    )


def _keeps_promoted_base(observed: Observed, stage: Stage) -> bool:
    """An object without a history may be one that was made again: a disaster trains no fleet anew.

    Not where a person is waiting for this very command: every object there is new.
    """
    job = observed.job
    is_open = job.spec.base_model.revision is None and job.spec.retrain.policy != "Auto"
    is_new = not job.status.history and observed.settings.waits_heal
    return stage is Stage.PREPARE and is_open and is_new


def lost_attempt(run: RunStatus) -> LostAttempt | None:
    """Whose last word is to be read from the store."""
    lost = run.lost
    return None if lost is None else LostAttempt(stage=lost.stage, attempt=lost.attempt)


def git_commit(metadata: ObjectMeta) -> str:
    """The commit that the annotation names; empty where it names none: a record, no reason to fail.

    A placeholder that nobody filled in, ``${ARGOCD_APP_REVISION}`` say, is none.
    """
    named = COMMIT.fullmatch(metadata.annotations.get(GIT_COMMIT_ANNOTATION, "").strip())
    return named[1] if named else ""


def stage_image(observed: Observed, run: RunStatus, stage: Stage) -> str:
    """The image that the run has frozen; for train, what the spec names instead."""
    images = run.images or observed.settings.images
    if stage is Stage.TRAIN:
        return observed.job.spec.compute.image or images.trainer
    return images.cpu


def frozen_images(observed: Observed) -> Images | None:
    """The operator's own images for a run that starts; None where stages are processes."""
    images = observed.settings.images
    return images if images.cpu or images.trainer else None


def run_spec(observed: Observed, run: RunStatus) -> RunSpec:
    """What the stage reads of the spec, with the base model's source filled in."""
    spec = observed.job.spec
    sections = {name: getattr(spec, name) for name in SHARED_SECTIONS}
    return RunSpec(
        base_model=pinned_model(observed, run),
        budget=budget_of(observed),
        gpus=spec.compute.gpus,
        **sections,
    )


def pinned_model(observed: Observed, run: RunStatus) -> PinnedModel:
    """The source at the revision that the run has frozen; without one the source tells."""
    reference = observed.job.spec.base_model
    base = observed.base_model
    source: ModelSource = reference if base is None else base.spec.source
    frozen = run.base_model
    revision = frozen.revision if frozen else reference.revision
    return PinnedModel(
        hugging_face=source.hugging_face,
        git=source.git,
        s3=source.s3,
        directory=source.directory,
        revision=revision,
        content_digest=frozen.content_digest if frozen else None,
    )


def is_base_model_known(observed: Observed) -> bool:
    """Whether the source of the base model can be filled in."""
    return observed.job.spec.base_model.name is None or observed.base_model is not None
