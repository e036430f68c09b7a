"""The report of one judgement: what a person reads besides the figures."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from shlex import quote
from urllib.parse import unquote

from trainer.contract.outcome import Cost
from trainer.contract.request import StageRequest
from trainer.contract.source import Storage
from trainer.contract.spec import RunSpec
from trainer.contract.verdict import Judgement
from trainer.judge.evidence import Answers, Evidence, Item
from trainer.judge.judgement import first_line
from trainer.judge.reading import RunRecord
from trainer.report.card import model_card
from trainer.report.model import ChangedAnswer, Report
from trainer.store import layout
from trainer.store.base import Store

MAX_CHANGED = 10
SECONDS_PER_HOUR = 3600
CENT, HUNDREDTH_CENT = Decimal("0.01"), Decimal("0.0001")


def report(
    request: StageRequest,
    run: RunRecord,
    evidence: Evidence,
    judgement: Judgement,
    *,
    evaluation_id: str,
    created: str,
    adapter_uri: str,
    promoted: bool,
) -> Report:
    """Everything that report.html shows."""
    plan, training = run.prepared.plan, run.trained.training if run.trained else None
    return Report(
        namespace=request.job.namespace,
        name=request.job.name,
        run=request.run,
        run_id=request.run_id,
        evaluation_id=evaluation_id,
        created=created,
        first_line=first_line(evidence, judgement),
        judgement=judgement,
        data=plan.data,
        resolved=plan.resolved,
        base=plan.base,
        adapter_uri=adapter_uri,
        merged_uri=merged_uri(run, adapter_uri),
        method=f"{request.spec.method} with {request.spec.lora.variant}" if training else "",
        losses=list(run.losses),
        changed=changed_answers(evidence),
        cost=cost(request.spec, run),
        peak_memory_bytes=training.peak_memory_bytes if training else 0,
        trainable_parameters=training.trainable_parameters if training else 0,
        promoted=promoted,
        usage=usage(request.spec, plan.base.revision, adapter_uri) if adapter_uri else "",
        versions=training.versions if training else {},
    )


def card(request: StageRequest, run: RunRecord, judgement: Judgement) -> str:
    """The adapter's model card with its scores; the one beside the adapter was written before."""
    trained = run.trained
    assert trained is not None  # noqa: S101 - only an adapter has a card
    plan, summary = run.prepared.plan, trained.training
    return model_card(plan, request, summary, judgement, lineage=trained.lineage)


def adapter_uri(store: Store, run: RunRecord) -> str:
    """Where the adapter lies; empty if none was trained."""
    if run.trained is None:
        return ""
    return f"{store.uri}/{layout.epoch(run.trained.run_id, run.trained.epoch, 'adapter')}"


def merged_uri(run: RunRecord, adapter_uri: str) -> str:
    """Where the merged model lies; empty if there is none."""
    if run.trained is None or run.answered.merged is None:
        return ""
    return adapter_uri.removesuffix(f"e{run.trained.epoch}/adapter") + run.answered.merged


def changed_answers(evidence: Evidence) -> list[ChangedAnswer]:
    """The items whose score tuning changed most, gains and losses in turn.

    Half of them are losses where there are so many: an average hides what got worse.
    """
    if evidence.tuned is None:
        return []
    arm = evidence.best_base()
    base, tuned = evidence.answers[arm], evidence.tuned
    changes = [after - before for before, after in zip(base.scores, tuned.scores, strict=True)]
    by_size = sorted(range(len(changes)), key=lambda index: -abs(changes[index]))
    losses = [index for index in by_size if changes[index] < 0]
    gains = [index for index in by_size if changes[index] > 0]
    chosen = _balanced(gains, losses, MAX_CHANGED)
    chosen.sort(key=lambda index: -abs(changes[index]))
    return [_changed(evidence.items[index], index, arm, base, tuned) for index in chosen]


def _balanced(gains: Sequence[int], losses: Sequence[int], limit: int) -> list[int]:
    few = min(len(losses), max(limit // 2, limit - len(gains)))
    chosen = [*gains[: limit - few], *losses[:few]]
    turns = {index: turn for side in (gains, losses) for turn, index in enumerate(side)}
    return sorted(chosen, key=lambda index: turns[index])


def _changed(item: Item, index: int, arm: str, base: Answers, tuned: Answers) -> ChangedAnswer:
    return ChangedAnswer(
        id=item.id,
        prompt=item.question,
        reference=item.reference,
        base_arm=arm,
        base_answer=base.texts[index],
        base_score=base.scores[index],
        tuned_answer=tuned.texts[index],
        tuned_score=tuned.scores[index],
    )


def cost(spec: RunSpec, run: RunRecord) -> Cost:
    """What training and answering took."""
    training = run.trained.training if run.trained else None
    gpu_seconds, wall_seconds = run.answered.gpu_seconds, run.answered.wall_seconds
    if run.trained is not None and run.trained.epoch == run.answered.epoch:
        # the attempt that trained also answered: its time holds both
        gpu_seconds = max(gpu_seconds, run.trained.training.gpu_seconds)
        wall_seconds = max(wall_seconds, run.trained.training.wall_seconds)
    elif training is not None:
        gpu_seconds += training.gpu_seconds
        wall_seconds += training.wall_seconds
    return Cost(
        gpu_seconds=gpu_seconds,
        wall_seconds=wall_seconds,
        tokens_per_second=training.tokens_per_second if training else None,
        amount=_amount(spec, gpu_seconds),
        currency=spec.budget.currency,
    )


def _amount(spec: RunSpec, gpu_seconds: float) -> str | None:
    """In the budget's currency; a small amount keeps four places rather than become 0.00."""
    if spec.budget.price_per_gpu_hour is None:
        return None
    price = Decimal(spec.budget.price_per_gpu_hour)
    amount = price * Decimal(repr(gpu_seconds)) / SECONDS_PER_HOUR
    places = HUNDREDTH_CENT if 0 < amount < Decimal("0.1") else CENT
    return str(amount.quantize(places, rounding=ROUND_HALF_UP))


def usage(spec: RunSpec, revision: str, adapter: str) -> str:
    """Three lines of Python that load the adapter on its base, and what has to go before."""
    base = _base_arguments(spec, revision)
    before, place = _brought(adapter, spec.output.storage)
    return (
        f"{before}from peft import PeftModel; "
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f"tokenizer = AutoTokenizer.from_pretrained({base})\n"
        f"model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base}), "
        f'"{place}")'
    )


def _brought(adapter: str, storage: Storage) -> tuple[str, str]:
    """How the adapter gets to where peft can open it, and where that is."""
    if adapter.startswith("file://"):
        return "", unquote(adapter.removeprefix("file://"))
    endpoint = f" --endpoint-url {storage.endpoint}" if storage.endpoint else ""
    return f"# aws s3 cp --recursive{endpoint} {quote(adapter)} adapter\n", "adapter"


def _base_arguments(spec: RunSpec, revision: str) -> str:
    source = spec.base_model
    if source.directory is not None:
        return f'"{source.directory.path}"'
    if source.hugging_face is not None:
        return f'"{source.hugging_face.repo}", revision="{revision}"'
    return f'"<directory of the base model at revision {revision}>"'
