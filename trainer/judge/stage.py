"""The judge stage: reads what train left, writes one evaluation, moves the pointer if told to."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from trainer.contract.limit import PartialTraining
from trainer.contract.outcome import Details, Promoted
from trainer.contract.verdict import Judgement, Verdict
from trainer.judge import alpha, ledger, narration, pointer, vouch
from trainer.judge.evidence import Evidence
from trainer.judge.flags import flag_note
from trainer.judge.judgement import MAX_NOTES, MAX_REASON, judge_evidence
from trainer.judge.ledger import Look
from trainer.judge.promoted import Bar, Challenge, Contest, challenge, next_anchor
from trainer.judge.promotion import Bid, Settled, is_own_choice, settle_pointer
from trainer.judge.reading import RunRecord, read_run
from trainer.judge.retention import Housekeeping, prune
from trainer.judge.wording import shorten
from trainer.lastword import MAX_TEXT
from trainer.stage import StageContext, StageResult, outcome_of
from trainer.store import layout
from trainer.store.base import ConditionError
from trainer.store.checked import read_document
from trainer.store.pointerfile import PointerFile

PARTS = (("read answers", "files", 1.0), ("judge", "arms", 3.0), ("write report", "files", 1.0))
ID_CHARACTERS = 16


@dataclass(frozen=True)
class Case:
    """One run before its judge."""

    ctx: StageContext
    run: RunRecord
    seen: pointer.Tagged
    look: Look
    bar: Bar
    evaluation_id: str

    @cached_property
    def challenge(self) -> Challenge:
        """How it fares against what was promoted before."""
        ctx = self.ctx
        return challenge(Contest(ctx.store, ctx.request, self.run, ctx.work), self.bar)


def judge(ctx: StageContext) -> StageResult:
    """Reach a verdict, once per run, answers, settings and look; repeating it changes nothing."""
    ctx.progress.plan(PARTS)
    if ctx.request.pin_only:
        return _see_to_pin(ctx)
    ctx.progress.start("read answers", 1)
    case = _open_case(ctx)
    key = layout.evaluation(ctx.request.run_id, case.evaluation_id, "verdict.json")
    judgement = read_document(ctx.store, key, Judgement)
    manifest = layout.evaluation_manifest(ctx.request.run_id, case.evaluation_id)
    is_vouched_for = judgement is not None and ctx.store.exists(manifest)
    if judgement is None:
        judgement = _judge_anew(ctx, case, key)
    if not is_vouched_for:
        vouch.write(ctx.store, ctx.request, case.evaluation_id, created=_now(ctx))
    settled = settle_pointer(_bid(case, judgement))
    trouble = _keep_house(case)
    ctx.progress.finish()
    return _result(ctx, case, _noted(judgement, trouble), settled)


def _keep_house(case: Case) -> str:
    """Only after a judgement: it alone knows which runs the output is about."""
    rivals = (case.bar.against, case.bar.anchor, case.look.against, case.look.anchor)
    ctx = case.ctx
    return prune(Housekeeping(ctx.store, ctx.request, frozenset(rivals), _now(ctx)))


def _noted(judgement: Judgement, trouble: str) -> Judgement:
    """The verdict as it is told, with what went wrong after it; the stored one stays."""
    if not trouble:
        return judgement
    return judgement.model_copy(
        update={"notes": [*judgement.notes, trouble[:MAX_TEXT]][-MAX_NOTES:]}
    )


def _see_to_pin(ctx: StageContext) -> StageResult:
    """The run has failed and has nothing to judge; the pointer is moved all the same."""
    bid = Bid(
        store=ctx.store,
        request=ctx.request,
        seen=pointer.read(ctx.store),
        own=None,
        verdict=None,
        anchor="",
        work=ctx.work,
        now=_now(ctx),
    )
    settled = settle_pointer(bid)
    ctx.progress.finish()
    shown = settled.pointer.shown() if settled.pointer else None
    return StageResult(outcome_of(ctx.request, **_pointed(settled)), Details(promoted=shown))


def _pointed(settled: Settled) -> dict[str, object]:
    """What the first line says of the pointer."""
    moved = settled.pointer
    return {
        "message": settled.message[:MAX_TEXT],
        "sequence": moved.sequence if moved else 0,
        "promoted_run_id": moved.run_id if moved else "",
        "refused": settled.refused,
    }


def _open_case(ctx: StageContext) -> Case:
    request = ctx.request
    run = read_run(ctx.store, request, ctx.work)
    seen = pointer.read(ctx.store)
    now = _bar(seen[0], request.run_id)
    look = _take_look(ctx, run, now)
    # once promoted itself, a run stays measured against the one it replaced
    bar = now if now.against else Bar(look.against, look.anchor)
    return Case(ctx, run, seen, look, bar, _evaluation_id(ctx, run, look, bar))


def _bar(current: PointerFile | None, run_id: str) -> Bar:
    if current is None or current.run_id == run_id:
        return Bar()
    return Bar(current.run_id, current.anchor)


def _take_look(ctx: StageContext, run: RunRecord, bar: Bar) -> Look:
    """Count this look at the test split. A run that never was trained has not looked."""
    request, plan = ctx.request, run.prepared.plan
    candidate = Look(
        look=1,
        recipe=ledger.looked_at(ledger.recipe(request, plan), _partial(run)),
        generation_hash=request.generation_hash,
        run_id=request.run_id,
        base_digest=plan.base.content_digest,
        against=bar.against,
        anchor=bar.anchor,
        time=_now(ctx),
    )
    if run.trained is None:
        return candidate
    return ledger.take(ctx.store, plan.split_digests["test"], candidate)


def _evaluation_id(ctx: StageContext, run: RunRecord, look: Look, bar: Bar) -> str:
    spec = ctx.request.spec
    parts = {
        "run": ctx.request.run_id,
        "generation": ctx.request.generation_hash,
        "adapter": run.answered.adapter_digest,
        "evaluation": spec.evaluation.model_dump(mode="json"),
        "promotion": spec.promotion.model_dump(mode="json"),
        "look": look.look,
        "against": bar.against,
        "anchor": bar.anchor,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:ID_CHARACTERS]


def _judge_anew(ctx: StageContext, case: Case, key: str) -> Judgement:
    evidence = _evidence(ctx, case)
    ctx.progress.start("judge", 1)
    report_key = layout.evaluation(ctx.request.run_id, case.evaluation_id, "report.html")
    trained = case.run.trained
    judgement = judge_evidence(
        evidence, overfitting=trained.training.overfitting if trained else None
    ).model_copy(update={"report_uri": f"{ctx.store.uri}/{report_key}"})
    judgement = _told_partial(judgement, _partial(case.run))
    if judgement.verdict is Verdict.NOT_NEEDED and case.seen[0] is not None:
        notes = [_retired(case.seen[0]), *judgement.notes][:MAX_NOTES]
        judgement = judgement.model_copy(update={"notes": notes})
    ctx.progress.start("write report", 1)
    _write_report(ctx, case, evidence, judgement)
    return _write_verdict(ctx, key, judgement)


def _partial(run: RunRecord) -> PartialTraining | None:
    return run.trained.partial if run.trained is not None else None


def _told_partial(judgement: Judgement, partial: PartialTraining | None) -> Judgement:
    """The verdict stands, for the adapter that there is; whoever reads it reads what that is."""
    if partial is None:
        return judgement
    reason = shorten(f"Partial, {partial.text}: {judgement.reason}", MAX_REASON)
    return judgement.model_copy(update={"partial": True, "reason": reason})


def _retired(current: PointerFile) -> str:
    """The pointer is kept: whoever serves the adapter has to be asked first."""
    return (
        f"The adapter in use, of run {current.run_id}, is not needed on this base model; it stays "
        "in use until a person pins another run or stops serving it."
    )


def _evidence(ctx: StageContext, case: Case) -> Evidence:
    request, run = ctx.request, case.run
    evaluation, plan = request.spec.evaluation, run.prepared.plan
    looked = alpha.note(evaluation, case.look.look) if run.trained else ""
    return Evidence(
        evaluation=evaluation,
        metric=plan.metric,
        items=run.items,
        answers=run.answers,
        look=case.look.look,
        confidence=alpha.confidence(evaluation, case.look.look),
        rows=plan.data.rows,
        test_is_split_off=request.spec.dataset.test is None,
        labels=plan.labels,
        forgetting=run.forgetting,
        rival=case.challenge.rival,
        notes=[note for note in (looked, *case.challenge.notes, flag_note(run.answers)) if note],
    )


def _write_report(ctx: StageContext, case: Case, evidence: Evidence, judgement: Judgement) -> None:
    from trainer.report.html import render  # noqa: PLC0415 - slow, and not needed to re-read

    report = narration.report(
        ctx.request,
        case.run,
        evidence,
        judgement,
        evaluation_id=case.evaluation_id,
        created=_now(ctx),
        adapter_uri=narration.adapter_uri(ctx.store, case.run),
        promoted=is_own_choice(ctx.request, judgement.verdict),
    )
    run_id, evaluation_id = ctx.request.run_id, case.evaluation_id
    json_key = layout.evaluation(run_id, evaluation_id, "report.json")
    ctx.store.write(json_key, report.model_dump_json(indent=1).encode())
    html_key = layout.evaluation(run_id, evaluation_id, "report.html")
    ctx.store.write(html_key, render(report).encode())
    if case.run.trained is not None:
        card_key = layout.evaluation(run_id, evaluation_id, vouch.CARD)
        ctx.store.write(card_key, narration.card(ctx.request, case.run, judgement).encode())


def _write_verdict(ctx: StageContext, key: str, judgement: Judgement) -> Judgement:
    """Last, so that a verdict has its report; the first one written stands."""
    try:
        ctx.store.write(key, judgement.model_dump_json(indent=1).encode(), if_none_match=True)
    except ConditionError:
        return Judgement.model_validate_json(ctx.store.read(key))
    return judgement


def _bid(case: Case, judgement: Judgement) -> Bid:
    ctx, trained = case.ctx, case.run.trained
    is_promoted = trained is not None and judgement.verdict is Verdict.PROMOTE
    own = None
    if trained is not None:
        own = Promoted(
            run_id=trained.run_id,
            adapter_uri=narration.adapter_uri(ctx.store, case.run),
            adapter_digest=trained.adapter_digest,
            base_revision=trained.base.revision,
            base_digest=trained.base.content_digest,
            time=_now(ctx),
        )
    return Bid(
        store=ctx.store,
        request=ctx.request,
        seen=case.seen,
        own=own,
        verdict=judgement.verdict,
        anchor=next_anchor(ctx.request.run_id, case.challenge.best) if is_promoted else "",
        work=ctx.work,
        now=_now(ctx),
    )


def _result(ctx: StageContext, case: Case, judgement: Judgement, settled: Settled) -> StageResult:
    run, moved = case.run, settled.pointer
    outcome = outcome_of(
        ctx.request,
        **_pointed(settled),
        base_revision=run.prepared.plan.base.revision,
        base_digest=run.prepared.plan.base.content_digest,
        dataset_digest=run.prepared.plan.dataset_digest,
        adapter_digest=run.trained.adapter_digest if run.trained else None,
        trained=run.trained is not None,
        generated=True,
        not_needed=run.answered.not_needed,
        verdict=judgement.verdict.value,
        evaluation_id=case.evaluation_id,
    )
    details = Details(
        evaluation=judgement,
        promoted=moved.shown() if moved else None,
        cost=narration.cost(ctx.request.spec, run),
    )
    return StageResult(outcome, details)


def _now(ctx: StageContext) -> str:
    return ctx.now().isoformat(timespec="seconds").replace("+00:00", "Z")
