"""The table of Autos: which fields resolve themselves, in which stage, by what rule."""

from dataclasses import dataclass

from trainer.contract.request import Stage


@dataclass(frozen=True)
class AutoRule:
    """One row."""

    field: str
    """Path below ``spec``; a name without a section is no field, but recorded like one."""
    stage: Stage
    rule: str


AUTOS: tuple[AutoRule, ...] = (
    AutoRule(
        "dataset.format",
        Stage.PREPARE,
        "from the keys of the first 100 rows; mixed formats are an error",
    ),
    AutoRule(
        "dataset.split.testPercent",
        Stage.PREPARE,
        "10, raised to reach 100 test groups, never over 30",
    ),
    AutoRule(
        "training.epochs",
        Stage.PREPARE,
        "3; fewer than 100 rows: min(10, 300 // rows); more than 25,000 rows: "
        "max(1, 75,000 // rows)",
    ),
    AutoRule(
        "training.learningRate",
        Stage.PREPARE,
        "for LoRA 2e-4 at rank 16, scaled for small models; a tenth for DPO",
    ),
    AutoRule(
        "training.batchTokens",
        Stage.PREPARE,
        "clamp(trainTokens x epochs / 100, longest row, 16,384): about 100 optimizer steps of "
        "non-padding tokens",
    ),
    AutoRule(
        "training.precision",
        Stage.TRAIN,
        "what the hardware has and is faster at equal loss; kept in checkpoint 0",
    ),
    AutoRule(
        "evaluation.metric",
        Stage.PREPARE,
        "ExactMatch for closed sets of answers, JsonMatch for JSON, else TokenF1 or RougeL; "
        "frozen by the first run",
    ),
    AutoRule(
        "evaluation.fewShotExamples",
        Stage.PREPARE,
        "for closed sets every label once, as far as the context allows; frozen by the first run",
    ),
    AutoRule(
        "evaluation.maxNewTokens",
        Stage.PREPARE,
        "1.25 x the 99th percentile of the training answers; frozen by the first run",
    ),
    AutoRule(
        "evaluation.againstPromoted",
        Stage.JUDGE,
        "Better after a change of the spec, NotWorse after a change of the base model",
    ),
)
"""In the order of the spec. Policies whose value happens to be Auto are no Autos."""
