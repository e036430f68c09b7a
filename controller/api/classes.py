"""The class of every spec field of a FineTuneJob: what follows when it changes.

The one table; a test walks the types and fails when a field is not in it.
"""

from dataclasses import dataclass
from enum import StrEnum


class FieldClass(StrEnum):
    """What a change of the field leads to."""

    IDENTITY = "identity"
    """A new run."""
    GENERATION = "generation"
    """The train stage again with training skipped, on the adapter that is there."""
    EXECUTION = "execution"
    """Nothing by itself; it applies to the next attempt."""
    CONTROL = "control"
    """At most another judgement; never a new training."""


@dataclass(frozen=True)
class FieldRule:
    """One row of the table."""

    field_class: FieldClass
    is_location: bool = False
    """An identity field that says where something is: in the run id the digest of what was
    found there stands for it."""
    is_judged: bool = False
    """A control field that the judge reads: a change is judged again."""
    is_promotion: bool = False
    """A control field that only moves the pointer: it mends no failure."""


_IDENTITY = """
method quantization
dataset.format dataset.fields.id dataset.fields.prompt dataset.fields.completion
dataset.fields.messages dataset.fields.text dataset.fields.chosen dataset.fields.rejected
dataset.instruction dataset.maxInvalidPercent
dataset.split.validationPercent dataset.split.testPercent dataset.split.groupBy
lora.rank lora.alpha lora.dropout lora.targetModules lora.variant
training.epochs training.maxSteps training.learningRate training.batchTokens
training.maxSequenceTokens training.scheduler training.warmupPercent training.weightDecay
training.maxGradNorm training.seed training.precision training.trainOn training.dpoBeta
training.earlyStopping.patience training.earlyStopping.minDelta
"""

_LOCATION = """
baseModel.name baseModel.revision baseModel.huggingFace.repo baseModel.huggingFace.branch
baseModel.git.url baseModel.git.branch baseModel.s3.uri baseModel.directory.path
dataset.train.uri dataset.train.sha256 dataset.validation.uri dataset.validation.sha256
dataset.test.uri dataset.test.sha256
output.uri
"""

_GENERATION = """
evaluation.metric evaluation.systemPrompt evaluation.arms[].name evaluation.fewShotExamples
evaluation.maxNewTokens evaluation.grader.command evaluation.forgetting.tokens
evaluation.forgetting.uri output.merged
"""

_JUDGED = """
evaluation.arms[].require evaluation.arms[].margin evaluation.confidencePercent
evaluation.minDelta evaluation.smallestEffect evaluation.targetScore evaluation.whenNotNeeded
evaluation.againstPromoted evaluation.looks evaluation.forgetting.maxIncrease
"""

_PROMOTION = """
promotion.policy promotion.pin
"""

_CONTROL = """
retrain.policy retrain.concurrencyPolicy retrain.minPeriodSeconds retrain.warmStart
output.keepRuns suspend ttlSecondsAfterFinished historyLimit
"""

_EXECUTION = """
baseModel.huggingFace.secretRef.name baseModel.git.secretRef.name
baseModel.s3.storage.secretRef.name baseModel.s3.storage.endpoint baseModel.s3.storage.region
baseModel.s3.storage.caBundle baseModel.s3.storage.pathStyle
dataset.storage.secretRef.name dataset.storage.endpoint dataset.storage.region
dataset.storage.caBundle dataset.storage.pathStyle
output.storage.secretRef.name output.storage.endpoint output.storage.region
output.storage.caBundle output.storage.pathStyle
training.checkpointPeriodSeconds training.stallSeconds
compute.image compute.gpus compute.gpuResourceName compute.nodes
compute.resources.requests compute.resources.limits
compute.cpuStageResources.requests compute.cpuStageResources.limits
compute.nodeSelector compute.tolerations[].key compute.tolerations[].operator
compute.tolerations[].value compute.tolerations[].effect
compute.tolerations[].tolerationSeconds compute.affinity compute.priorityClassName
compute.runtimeClassName compute.imagePullSecrets[].name compute.serviceAccountName
compute.queueName compute.cacheVolumeClaim compute.env[].name compute.env[].value
compute.podLabels compute.podAnnotations
budget.maxGpuSeconds budget.pricePerGpuHour budget.currency
retry.maxAttempts activeDeadlineSeconds
"""

_GROUPS: tuple[tuple[str, FieldRule], ...] = (
    (_IDENTITY, FieldRule(FieldClass.IDENTITY)),
    (_LOCATION, FieldRule(FieldClass.IDENTITY, is_location=True)),
    (_GENERATION, FieldRule(FieldClass.GENERATION)),
    (_JUDGED, FieldRule(FieldClass.CONTROL, is_judged=True)),
    (_PROMOTION, FieldRule(FieldClass.CONTROL, is_judged=True, is_promotion=True)),
    (_CONTROL, FieldRule(FieldClass.CONTROL)),
    (_EXECUTION, FieldRule(FieldClass.EXECUTION)),
)

FIELD_RULES: dict[str, FieldRule] = {
    path: rule for paths, rule in _GROUPS for path in paths.split()
}
"""By path below ``spec``; ``[]`` is any element of a list."""
