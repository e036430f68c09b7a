"""The two kinds of ours, and what selects the children of ours, on an API server."""

from controller.api.basemodel import KIND as BASE_MODEL_KIND
from controller.api.finetunejob import KIND as JOB_KIND
from controller.api.meta import GROUP, VERSION
from controller.kube.resources import Resource

FINETUNEJOBS = Resource(GROUP, VERSION, "finetunejobs", JOB_KIND)
BASEMODELS = Resource(GROUP, VERSION, "basemodels", BASE_MODEL_KIND)

CHILD_SELECTOR = "app.kubernetes.io/managed-by=tunekeeper"
JOB_LABEL = f"{GROUP}/job"
UID_LABEL = f"{GROUP}/uid"
RUN_LABEL = f"{GROUP}/run"
STAGE_LABEL = f"{GROUP}/stage"
ATTEMPT_LABEL = f"{GROUP}/attempt"
SPEC_HASH_LABEL = f"{GROUP}/spec-hash"

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Kueue's: the LocalQueue that a Job waits in."""

BASE_MODEL_LABEL = f"{GROUP}/base-model"
ERRAND_LABEL = f"{GROUP}/errand"
NUMBER_LABEL = f"{GROUP}/number"

ATTEMPT_LABELS = (UID_LABEL, RUN_LABEL, STAGE_LABEL, ATTEMPT_LABEL, SPEC_HASH_LABEL)
"""Together they say which attempt a child is, and what it is true for."""

ERRAND_LABELS = (UID_LABEL, ERRAND_LABEL, NUMBER_LABEL, SPEC_HASH_LABEL)
"""The same of an errand; what it is true for is its source, or the place it writes to."""
