"""Which revision of its base model a run is for: decided when the run is recorded, then frozen.

A pin wins. A job's first run, and every run under ``retrain.policy: Auto``, is for the newest that
the BaseModel knows. Any other run stays on the revision of the one before it: a changed learning
rate is no reason to change the base too, and two changes at once tell nothing about either.
"""

from controller.api.basemodel import BaseModelObject
from controller.api.status import RunBase
from controller.core.observed import Observed
from controller.core.watching.source import usable_latest


def base_for_new_run(observed: Observed) -> RunBase | None:
    """What a run that starts now is for; None where only the source can tell: prepare asks it."""
    pin = observed.job.spec.base_model.revision
    base = observed.base_model
    if base is None:
        return RunBase(revision=pin) if pin else None
    known = _named(base)
    if pin is not None:
        return known.model_copy(update={"revision": pin})
    earlier = None if is_following(observed) else _earlier(observed, known)
    return earlier or _latest(base, known)


def is_following(observed: Observed) -> bool:
    """Whether the job asks to be trained again by itself when its base model moves."""
    spec = observed.job.spec
    return spec.retrain.policy == "Auto" and is_unpinned(observed)


def is_unpinned(observed: Observed) -> bool:
    """Whether the job names a BaseModel and no revision of it."""
    reference = observed.job.spec.base_model
    return reference.name is not None and reference.revision is None


def is_same_source(ours: RunBase, base: BaseModelObject) -> bool:
    """Whether a revision recorded earlier is one of the BaseModel as it is now."""
    if ours.name != base.metadata.name:
        return False
    return None in (ours.source_hash, base.status.source_hash) or (
        ours.source_hash == base.status.source_hash
    )


def _earlier(observed: Observed, known: RunBase) -> RunBase | None:
    run, base = observed.job.status.run, observed.base_model
    ours = run.base_model if run is not None else None
    if ours is None or base is None or not ours.revision or not is_same_source(ours, base):
        return None
    return known.model_copy(
        update={"revision": ours.revision, "content_digest": ours.content_digest}
    )


def _latest(base: BaseModelObject, known: RunBase) -> RunBase | None:
    latest = usable_latest(base)
    if latest is None:
        return None
    return known.model_copy(
        update={"revision": latest.revision, "content_digest": latest.content_digest}
    )


def _named(base: BaseModelObject) -> RunBase:
    return RunBase(name=base.metadata.name, source_hash=base.status.source_hash)
