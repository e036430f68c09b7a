"""The part of a model card that programs read: results as a hub lists them, and lineage."""

from trainer.contract.request import StageRequest
from trainer.contract.verdict import ArmScore, Judgement
from trainer.data.plan import PreparedPlan
from trainer.report.units import level, percentage
from trainer.store.manifest import TUNED, Lineage

Json = dict[str, object]

METRICS = {
    "ExactMatch": "exact_match",
    "JsonMatch": "json_match",
    "TokenF1": "f1",
    "RougeL": "rougeL",
    "Grader": "grader",
}
DIGITS = 4


def model_index(plan: PreparedPlan, request: StageRequest, judgement: Judgement) -> Json:
    """``model-index``: the tuned model's own score.

    The other arms are the base model's results, not this one's; they stand in the card's table.
    """
    job = request.job
    tuned = [_metric(arm, judgement) for arm in judgement.arms if arm.name == TUNED]
    dataset = {
        "type": "tunekeeper-test-split",
        "name": f"Frozen test split of {job.namespace}/{job.name}",
        "revision": plan.split_digests.get("test", ""),
    }
    task = {"type": "text-generation", "name": "Text Generation"}
    results = [{"task": task, "dataset": dataset, "metrics": tuned}] if tuned else []
    return {"name": job.name, "results": results}


def _metric(arm: ArmScore, judgement: Judgement) -> Json:
    interval = f"{percentage(arm.ci_low)} to {percentage(arm.ci_high)} %"
    confidence = level(judgement.confidence_percent)
    return {
        "type": METRICS.get(judgement.metric, judgement.metric),
        "name": f"{judgement.metric} on {arm.n} items ({confidence} interval {interval})",
        "value": round(arm.score, DIGITS),
    }


def lineage(plan: PreparedPlan, request: StageRequest, recorded: Lineage | None) -> Json:
    """What the adapter was made from; digests, never a place of the data."""
    base = plan.base
    fields: Json = {
        "run": request.run_id,
        "base_digest": base.content_digest,
        "base_architecture": base.architecture,
        "dataset_digest": plan.dataset_digest,
        "spec_hash": request.spec_hash,
        "identity_hash": request.identity_hash,
    }
    if recorded is not None:
        fields |= {
            "git_commit": recorded.git_commit,
            "image": recorded.image,
            "seed": recorded.seeds.get("training"),
            "contract_version": recorded.contract_version,
            "created": recorded.created,
            "versions": dict(recorded.versions),
        }
    return {name: value for name, value in fields.items() if value not in ("", None)}
