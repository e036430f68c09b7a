"""The promoted run, where it is the very run that is asked for but for a base model that has moved.

For an object that was made again after a disaster: its history is gone and its results are not.
Without this a whole fleet would be trained anew because its base models moved in the meantime.
"""

from trainer.contract.outcome import Details
from trainer.data.publish import dataset_digest, find_finished, find_plan, run_id_of
from trainer.data.rows import Rows, is_refused
from trainer.stage import StageContext, StageResult, outcome_of
from trainer.store.pointerfile import PointerFile


def find_kept(ctx: StageContext, rows: Rows, promoted: PointerFile) -> StageResult | None:
    """The last word of a prepare that found it whole, with its answers; None: it has work to do."""
    request, base = ctx.request, promoted.base_digest
    if base is None or is_refused(rows.intake, request.spec):
        return None
    if run_id_of(request, base, rows.split_digests) != promoted.run_id:
        return None
    finished = find_finished(ctx.store, promoted.run_id, request)
    digest = dataset_digest(rows.split_digests)
    plan = find_plan(ctx.store, promoted.run_id, digest, request.generation_hash)
    if plan is None or not (finished.trained and finished.generated):
        return None
    ctx.progress.finish()
    outcome = outcome_of(
        request,
        run_id=promoted.run_id,
        base_revision=promoted.base_revision,
        base_digest=base,
        dataset_digest=digest,
        adapter_digest=finished.adapter_digest,
        trained=True,
        generated=True,
    )
    details = Details(
        data=plan.data,
        resolved=plan.resolved,
        estimate=plan.estimate,
        promoted=promoted.shown(),
    )
    return StageResult(outcome, details)
