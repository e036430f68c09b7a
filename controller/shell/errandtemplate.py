"""The Job of one errand: a pure function of the BaseModel, the action and the settings."""

from collections.abc import Mapping

from controller.api.basemodel import KIND, BaseModelObject
from controller.api.compute import Resources
from controller.core.actions import StartErrand
from controller.core.naming import short_hash
from controller.shell.kinds import (
    BASE_MODEL_LABEL,
    CHILD_SELECTOR,
    ERRAND_LABEL,
    NUMBER_LABEL,
    SPEC_HASH_LABEL,
    UID_LABEL,
)
from controller.shell.places import errand_secrets_of
from controller.shell.template import Json, PodSettings, Workload, manifest, owner_of
from trainer.contract.errand import Errand, ErrandRequest

ERRAND_RESOURCES = Resources(
    requests={"cpu": "100m", "memory": "256Mi"},
    limits={"memory": "2Gi"},  # a source is a stranger: what it makes us hold is not the node's
)
ERRAND_DEADLINE_S: Mapping[Errand, int] = {Errand.RESOLVE: 3600, Errand.WRITE_BACK: 600}
"""A first look may have to hash whole weights; waiting for a place on a node counts."""
MAX_LABEL = 63


def errand_manifest(base: BaseModelObject, action: StartErrand, pods: PodSettings) -> Json:
    """The Job to create for an errand."""
    request = action.request
    work = Workload(
        request.errand.value,
        action.image,
        request,
        errand_secrets_of(request),
        ERRAND_RESOURCES,
        deadline_s=ERRAND_DEADLINE_S[request.errand],
    )
    labels = errand_labels(request, action.source_hash)
    owner = owner_of(KIND, base.metadata)
    return manifest(action.name, owner, labels, work, pods)


def errand_labels(request: ErrandRequest, source_hash: str) -> dict[str, str]:
    """The same of an errand. A label holds 63 characters, a BaseModel's name up to 253."""
    label, _, us = CHILD_SELECTOR.partition("=")
    return {
        label: us,
        BASE_MODEL_LABEL: request.base_model.name[:MAX_LABEL].rstrip("-."),
        UID_LABEL: request.base_model.uid,
        ERRAND_LABEL: request.errand.value,
        NUMBER_LABEL: str(request.number),
        SPEC_HASH_LABEL: short_hash(source_hash),
    }
