"""The train stage: base arms, training, tuned arm, forgetting, manifests.

Owns the order of the work and what is skipped because an earlier attempt did it. It never moves
the pointer: that is the judge's. Where several ranks train, all of them come by here and the first
one writes.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from peft import PeftModel
from transformers import PreTrainedModel

from trainer.arms import forgetting
from trainer.arms.finished import FinishedBatches
from trainer.arms.prompts import PromptRules
from trainer.arms.run import (
    FREE_ARMS,
    Examination,
    answer_arm,
    context_tokens,
    free_answers,
)
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Cost, Details
from trainer.contract.request import StageRequest
from trainer.contract.source import PinnedModel
from trainer.data.chat import Renderer, load_renderer
from trainer.data.prepared import Prepared
from trainer.errors import StageError
from trainer.judge.gate import not_needed
from trainer.model.adapter import attach, base_of, load_adapter
from trainer.model.fit import memory_named
from trainer.model.heap import map_large_blocks
from trainer.model.load import load_base, pick_device
from trainer.model.merge import check_mergeable
from trainer.model.threads import pick_threads
from trainer.pulse import PULSE, beat
from trainer.sources.base import ResolvedModel
from trainer.sources.resolve import resolve
from trainer.stage import StageContext, StageResult, outcome_of
from trainer.store.base import MissingError
from trainer.store.fence import Claim
from trainer.store.manifest import TUNED, ArmAnswer, ForgettingLosses, RunManifest
from trainer.store.open import open_store
from trainer.train import publish, together, work
from trainer.train.allowance import Allowance, evaluation_s
from trainer.train.checkpoint import has_checkpoint, remove_checkpoints
from trainer.train.footprint import require_memory
from trainer.train.grading import open_grading
from trainer.train.hardware import precision_of
from trainer.train.ranks import Ranks, joined
from trainer.train.run import TrainIO, train_adapter

Answers = dict[str, list[ArmAnswer]]

BASE = "read base"
FETCHING, PUBLISHING = "fetching prepared data", "publishing"
"""What it is at between two parts of the progress, for whoever reads why it stood still."""
PATIENCE = 2.0
"""Times ``training.stallSeconds`` that ranks wait at a sum: who stalls may say so first."""
BASE_SHARE = 0.02
"""Of the stage's work; a download through a thin line takes more, and shows its own bytes."""


@dataclass(frozen=True)
class Bench:
    """Everything of a run that is open while the stage works."""

    ctx: StageContext
    ranks: Ranks
    claim: Claim
    prepared: Prepared
    base: ResolvedModel
    renderer: Renderer
    model: PreTrainedModel
    examination: Examination


def train(ctx: StageContext) -> StageResult:
    """Do what is left of the run's training and answers.

    Raises:
        StageError: INTERRUPTED with a checkpoint kept; DIVERGED; anything of the store.
        FencedError: a newer attempt has taken the run over.
    """
    map_large_blocks()
    device = pick_device(ctx.request.spec.gpus)
    limit_s = PATIENCE * ctx.request.spec.training.stall_seconds
    with (
        memory_named(lambda: PULSE.doing),
        joined(os.environ, device=device, timeout_s=limit_s, stop=ctx.stop) as ranks,
    ):
        return train_with(ranks, ctx, device)


def train_with(ranks: Ranks, ctx: StageContext, device: str) -> StageResult:
    """The stage's work, as one of its ranks."""
    started_s = time.monotonic()
    manifest = finished_training(ranks, ctx)
    bench = open_bench(ctx, ranks, device, trained=manifest is not None)
    answers, seconds = base_answers(bench)
    if manifest is None and may_stop(bench, answers):
        if ranks.is_first:
            publish.answers(publication(bench), answers, None, None, seconds_since(started_s))
        return result(bench, None, seconds_since(started_s))
    model, manifest = adapter_of(bench, manifest, seconds)
    digest = manifest.adapter_digest
    pick_threads()
    answers[TUNED] = answer_arm(TUNED, base_of(model), bench.examination, adapter_digest=digest)
    if ranks.is_first:  # a text of a minute: the others would wait for it or end, and so they end
        losses = forgetting_of(bench, model)
        merged = merged_of(bench, model, digest)
        beat(PUBLISHING)
        wall_s = seconds_since(started_s)
        publish.answers(publication(bench), answers, digest, losses, wall_s, merged=merged)
    return result(bench, manifest, seconds_since(started_s))


def finished_training(ranks: Ranks, ctx: StageContext) -> RunManifest | None:
    """The run's adapter; None: there is none, or a partial one, and training goes on.

    What an earlier attempt trained is judged, however little is left for this one.
    """
    if has_checkpoint(ctx.store, ctx.request.run_id):
        ctx.limit.disarm()
    manifest = together.manifest(ranks, ctx)
    return manifest if manifest is not None and manifest.partial is None else None


def open_bench(ctx: StageContext, ranks: Ranks, device: str, *, trained: bool) -> Bench:
    """Take the run's claim, open its data and load its base model."""
    request = ctx.request
    beat(FETCHING)
    claim = together.claim(ranks, ctx)
    prepared = together.prepared(ranks, ctx)
    parts = work.parts(prepared.plan, request.spec, len(prepared.test), trained=trained)
    ctx.progress.plan([base_part(parts), *parts])
    batches = FinishedBatches(
        ctx.store, request.run_id, claim.epoch, request.generation_hash, claim.check
    )
    grading = open_grading(ranks, ctx, prepared, batches)
    base = together.base(ranks, lambda: resolve_base(ctx, frozen(request, prepared)))
    renderer = load_renderer(base.path, template_date=prepared.plan.template_date)
    precision = precision_of(ranks, ctx, device)
    if device == "cpu":  # a GPU's memory is not the host's
        require_memory(base.path, prepared, request.spec.lora, precision, ranks.world)
    with PULSE.silent("loading the base model"):
        model = load_base(base.path, precision=precision, device=device)
    if request.spec.output.merged:
        check_mergeable(model)
    examination = replace(
        examine(ctx, prepared, renderer, model, batches), peers=ranks, grading=grading
    )
    return Bench(ctx, ranks, claim, prepared, base, renderer, model, examination)


def frozen(request: StageRequest, prepared: Prepared) -> PinnedModel:
    """The base model's source, pinned to the revision that the data was prepared for."""
    base = prepared.plan.base
    pin = {"revision": base.revision, "content_digest": base.content_digest}
    return request.spec.base_model.model_copy(update=pin)


def base_part(parts: Sequence[work.Part]) -> work.Part:
    """Reading the base model, or fetching it: a small share of the stage."""
    return (BASE, "bytes", BASE_SHARE * sum(weight for _, _, weight in parts))


def resolve_base(ctx: StageContext, source: PinnedModel) -> ResolvedModel:
    """The base model with its weights, as the run has frozen it."""

    def advance(count: int) -> None:
        if ctx.stop.is_set():
            message = "train was stopped while it read its base model; run again to go on"
            raise StageError(FailureClass.INTERRUPTED, message)
        ctx.progress.advance(count)

    return resolve(
        source,
        cache=ctx.cache,
        file_root=ctx.file_root,
        secrets=ctx.secrets,
        on_size=lambda total: ctx.progress.start(BASE, total),
        on_bytes=advance,
        stop=ctx.stop,
    )


def examine(
    ctx: StageContext,
    prepared: Prepared,
    renderer: Renderer,
    model: PreTrainedModel,
    batches: FinishedBatches,
) -> Examination:
    """What is the same for all arms."""
    spec = ctx.request.spec
    rules = PromptRules(
        renderer=renderer,
        plan=prepared.plan,
        evaluation=spec.evaluation,
        seed=spec.training.seed,
        context_tokens=context_tokens(model),
    )
    return Examination(
        rules=rules,
        train=prepared.train,
        test=list(prepared.test),
        batches=batches,
        progress=ctx.progress,
        stop=ctx.stop,
    )


def base_answers(bench: Bench) -> tuple[Answers, dict[str, float]]:
    """The answers of the free arms, then of every base arm that is listed, with their seconds."""
    answers = {arm: free_answers(arm, bench.examination) for arm in FREE_ARMS}
    seconds = {}
    for arm in work.model_arms(bench.ctx.request.spec.evaluation):
        pick_threads()  # the machine may have become busy, or quiet
        started_s = time.monotonic()
        answers[arm] = answer_arm(arm, bench.model, bench.examination)
        seconds[arm] = seconds_since(started_s)
    return answers, seconds


def may_stop(bench: Bench, answers: Mapping[str, Sequence[ArmAnswer]]) -> bool:
    """Whether the job wants no training where a base arm is surely good enough, and one is."""
    evaluation = bench.ctx.request.spec.evaluation
    if evaluation.when_not_needed != "Stop":
        return False
    scores = {arm: [answer.score for answer in given] for arm, given in answers.items()}
    groups = [row.group for row in bench.examination.test]
    return not_needed(scores, groups, evaluation) is not None


def adapter_of(
    bench: Bench, manifest: RunManifest | None, seconds: Mapping[str, float]
) -> tuple[PeftModel, RunManifest]:
    """The model with the run's adapter on: trained now, or as the manifest vouches for it."""
    if manifest is not None:
        if bench.ranks.is_first:  # whoever published it may have ended before they were gone
            remove_checkpoints(bench.ctx.store, bench.ctx.request.run_id)
        directory = together.adapter(bench.ranks, bench.ctx, manifest)
        return load_adapter(bench.model, directory, binding=bench.prepared.plan.base), manifest
    spec = bench.ctx.request.spec
    parts = work.parts(bench.prepared.plan, spec, len(bench.prepared.test), trained=False)
    bench.ctx.limit.disarm()  # training ends in time by itself, and its adapter is evaluated
    pick_threads()
    model = attach(bench.model, spec.lora, spec.training.seed)
    trained = train_adapter(
        model,
        bench.prepared,
        bench.ctx.request,
        plan=bench.prepared.plan,
        io=train_io(bench),
        progress=bench.ctx.progress,
        stop=bench.ctx.stop,
        clock=time.monotonic,
        allowance=Allowance(bench.ctx.limit, evaluation_s(parts, seconds)),
        ranks=bench.ranks,
    )
    beat(PUBLISHING)
    published = together.published(
        bench.ranks, lambda: publish.adapter(publication(bench), trained)
    )
    return model, published


def train_io(bench: Bench) -> TrainIO:
    """Where the optimisation reads and writes."""
    return TrainIO(
        store=bench.ctx.store,
        run_id=bench.ctx.request.run_id,
        epoch=bench.claim.epoch,
        work=bench.ctx.work,
        binding=bench.prepared.plan.base,
        check_claim=bench.claim.check,
    )


def publication(bench: Bench) -> publish.Publication:
    """Where and for whom results are published."""
    ctx = bench.ctx
    return publish.Publication(
        ctx.store,
        bench.claim,
        ctx.request,
        bench.prepared.plan,
        ctx.work,
        image=ctx.image,
        created=ctx.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def forgetting_of(bench: Bench, model: PeftModel) -> ForgettingLosses:
    """What the adapter costs on general text."""
    wanted = bench.ctx.request.spec.evaluation.forgetting
    return forgetting.forgetting_losses(
        model,
        bench.renderer.tokenizer,
        general_text(bench.ctx),
        max_tokens=wanted.tokens,
        progress=bench.ctx.progress,
        stop=bench.ctx.stop,
    )


def merged_of(bench: Bench, model: PeftModel, digest: str) -> publish.Merged | None:
    """The merged model, where the job wants one; ``model`` is used up."""
    ctx = bench.ctx
    if not ctx.request.spec.output.merged:
        return None
    before = publish.merged_before(ctx.store, ctx.request.run_id, digest)
    with PULSE.silent("merging the adapter"):
        return before or publish.merged(publication(bench), model, bench.base.path)


def general_text(ctx: StageContext) -> forgetting.GeneralText:
    """The user's own text, or the one that ships.

    Raises:
        StageError: there is no such file, or it is not UTF-8.
    """
    uri = ctx.request.spec.evaluation.forgetting.uri
    if uri is None:
        return forgetting.shipped_text()
    place = "spec.evaluation.forgetting.uri"
    folder, _, name = uri.rpartition("/")
    store = open_store(
        folder,
        ctx.request.spec.dataset.storage,
        file_root=ctx.file_root,
        secrets=ctx.secrets,
        role="dataset",
        field=place,
    )
    try:
        return forgetting.GeneralText(store.read(name).decode(), uri)
    except MissingError:
        message = f"{place}: {uri} does not exist; give a text file"
        raise StageError(FailureClass.NOT_FOUND, message) from None
    except UnicodeDecodeError:
        message = f"{place}: {uri} is not UTF-8; convert it"
        raise StageError(FailureClass.INVALID_DATA, message) from None


def result(bench: Bench, manifest: RunManifest | None, wall_s: float) -> StageResult:
    """The stage's last word."""
    request = bench.ctx.request
    bench.ctx.progress.finish()
    cost = Cost(
        gpu_seconds=wall_s * request.spec.gpus,
        wall_seconds=wall_s,
        tokens_per_second=manifest.training.tokens_per_second if manifest else None,
        currency=request.spec.budget.currency,
    )
    outcome = outcome_of(
        request,
        base_revision=bench.base.revision,
        base_digest=bench.base.content_digest,
        dataset_digest=bench.prepared.plan.dataset_digest,
        adapter_digest=manifest.adapter_digest if manifest else None,
        trained=manifest is not None,
        generated=True,
        not_needed=manifest is None,
        **partial_fields(manifest),
    )
    return StageResult(outcome, Details(cost=cost))


def partial_fields(manifest: RunManifest | None) -> dict[str, object]:
    """What is said of a training that a limit ended."""
    partial = manifest.partial if manifest is not None else None
    if partial is None:
        return {}
    return {"partial": True, "message": f"{partial.text}; raise it to train on from there"}


def seconds_since(started_s: float) -> float:
    """Time since a reading of the monotonic clock."""
    return time.monotonic() - started_s
