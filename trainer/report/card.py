"""README.md beside an adapter: a model card as model hubs read it.

It goes where the adapter goes, so it holds counts and digests of the data, never a row.
"""

from collections.abc import Sequence

import yaml

from trainer.contract.request import StageRequest
from trainer.contract.verdict import Judgement
from trainer.data.plan import PreparedPlan
from trainer.report import metadata
from trainer.report.names import VERDICTS, arm_name
from trainer.report.serving import serving
from trainer.report.units import count, duration, nats, percent, percentage, size, with_unit
from trainer.store.manifest import Lineage, TrainingSummary

Rows = Sequence[Sequence[str]]
# Markdown that a name, a path or a model's answer must not turn into; the front matter is YAML's.
SPECIAL = str.maketrans({char: f"\\{char}" for char in r"\`*_{}[]()<>#|~!&$"})


def model_card(
    plan: PreparedPlan,
    request: StageRequest,
    summary: TrainingSummary,
    judgement: Judgement | None = None,
    *,
    lineage: Lineage | None = None,
) -> str:
    """The whole card; ``judgement`` is known only after training."""
    parts = [
        f"---\n{_front_matter(plan, request, judgement, lineage)}---\n",
        f"# {plain(request.job.name)}\n",
        _introduction(plan, request),
        "## Use\n",
        _usage(request),
        "## Training data\n",
        table(_data_rows(plan)),
        "## Training\n",
        table([*_settings(plan, request), *_results(summary)]),
        *_evaluation(judgement),
        "## Base model\n",
        table(_binding(plan)),
        *_made_with(lineage, request),
    ]
    return "\n".join(parts)


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return " ".join(text.split()).translate(SPECIAL)


def table(rows: Rows, head: Sequence[str] = ("", "")) -> str:
    """A Markdown table of cells that are shown as they are."""
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _introduction(plan: PreparedPlan, request: StageRequest) -> str:
    job = request.job
    return (
        f"A {request.spec.lora.variant} adapter for {plain(plan.base.source)}, trained by "
        f"Tunekeeper as run {request.run} of {plain(job.namespace)}/{plain(job.name)}. "
        "It works on that base model only.\n"
    )


def _front_matter(
    plan: PreparedPlan,
    request: StageRequest,
    judgement: Judgement | None,
    lineage: Lineage | None,
) -> str:
    hub = request.spec.base_model.hugging_face
    fields: dict[str, object] = {
        # A hub refuses a card whose base_model is a path.
        **({"base_model": hub.repo, "base_model_relation": "adapter"} if hub else {}),
        **({"base_model_revision": plan.base.revision} if hub else {}),
        "library_name": "peft",
        **({"license": plan.base_license} if plan.base_license else {}),
        "pipeline_tag": "text-generation",
        "tags": ["lora", request.spec.method.lower(), "tunekeeper"],
        **({"model-index": [metadata.model_index(plan, request, judgement)]} if judgement else {}),
        "tunekeeper": metadata.lineage(plan, request, lineage),
    }
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def _usage(request: StageRequest) -> str:
    hub = request.spec.base_model.hugging_face
    base = hub.repo if hub else "path/to/the/base/model"
    return f"""```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{base}")
base = AutoModelForCausalLM.from_pretrained("{base}", dtype="auto")
model = PeftModel.from_pretrained(base, "path/to/this/folder")
```
{_instruction(request)}
peft does not check the base; compare it with the digests below, which are also in `base.json`.
{serving(request.spec.lora)}
"""


def _instruction(request: StageRequest) -> str:
    if request.spec.dataset.instruction is None:
        return ""
    return (
        "\nEvery prompt was trained with the job's `dataset.instruction` as system text; "
        "use it in the same way.\n"
    )


def _data_rows(plan: PreparedPlan) -> Rows:
    data = plan.data
    return [
        ("Rows for training", count(data.train_rows, "rows")),
        ("Rows for validation", count(data.validation_rows, "rows")),
        ("Rows for the test", f"{count(data.test_rows, 'rows')}, never trained on"),
        ("Text in one pass", count(data.tokens, "tokens")),
        ("Of it carrying loss", count(data.supervised_tokens, "tokens")),
        ("Rows cut at the token limit", count(data.truncated_rows, "rows")),
        ("Dataset digest", plan.dataset_digest),
        *((f"Digest of {name}", digest) for name, digest in sorted(plan.split_digests.items())),
    ]


def _settings(plan: PreparedPlan, request: StageRequest) -> Rows:
    lora, training = request.spec.lora, request.spec.training
    return [
        ("Method", request.spec.method),
        ("Adapter", f"{lora.variant}, rank {lora.rank}, alpha {lora.alpha}"),
        ("Dropout", lora.dropout),
        ("Target modules", ", ".join(lora.target_modules)),
        ("Epochs", f"{plan.epochs}"),
        ("Learning rate", f"{plan.learning_rate:g}, {training.scheduler}"),
        ("Warm-up", f"{training.warmup_percent} % of the steps"),
        ("Batch", f"{count(plan.batch_tokens, 'tokens')} per optimizer step"),
        ("Longest sequence", count(plan.max_sequence_tokens, "tokens")),
        ("Loss on", training.train_on),
        ("Seed", f"{training.seed}"),
    ]


def _results(summary: TrainingSummary) -> Rows:
    fit = summary.overfitting
    versions = ", ".join(f"{name} {version}" for name, version in summary.versions.items())
    return [
        ("Arithmetic", summary.precision),
        ("Trainable parameters", f"{summary.trainable_parameters:,}"),
        ("Optimizer steps", f"{fit.steps:,}{', stopped early' if fit.stopped_early else ''}"),
        *([("Partial", summary.partial.text)] if summary.partial else []),
        ("Best validation loss", _best(summary)),
        ("Trained text", count(summary.trained_tokens, "tokens")),
        ("Speed", with_unit(summary.tokens_per_second, "tokens/s")),
        ("Time", duration(summary.wall_seconds)),
        ("Peak memory", size(summary.peak_memory_bytes)),
        ("Versions", versions or "not recorded"),
    ]


def _best(summary: TrainingSummary) -> str:
    fit = summary.overfitting
    if fit.best_validation_loss is None:
        return nats(None)
    return f"{nats(fit.best_validation_loss)} per token, at step {fit.best_step:,}"


def _evaluation(judgement: Judgement | None) -> Sequence[str]:
    if judgement is None:
        return []
    rows = [
        (
            arm_name(arm.name),
            percent(arm.score),
            f"{percentage(arm.ci_low)} to {percent(arm.ci_high)}",
            count(arm.n, "items"),
        )
        for arm in judgement.arms
    ]
    verdict = VERDICTS[judgement.verdict].text
    return [
        "## Evaluation\n",
        f"{verdict}: {plain(judgement.reason)}\n",
        table(rows, ("Arm", f"{plain(judgement.metric)} score", "Interval", "Test items")),
    ]


def _binding(plan: PreparedPlan) -> Rows:
    base = plan.base
    return [
        ("Source", base.source),
        ("Revision", base.revision),
        ("Content digest", base.content_digest),
        ("config.json", f"sha256:{base.config_sha256}"),
        ("Tokenizer", f"sha256:{base.tokenizer_sha256}"),
        ("Chat template", f"sha256:{base.template_sha256}" if base.template_sha256 else "none"),
        ("Vocabulary", count(base.vocabulary_size, "tokens")),
        ("Architecture", base.architecture or "not recorded"),
    ]


def _made_with(lineage: Lineage | None, request: StageRequest) -> Sequence[str]:
    if lineage is None:
        return []
    rows = [
        ("Run", request.run_id),
        ("Spec hash", lineage.spec_hash),
        ("Commit of the manifest", lineage.git_commit or "not given"),
        ("Image", lineage.image or "none: it ran as a process"),
        ("Made", lineage.created),
    ]
    return ["## Lineage\n", table(rows)]
