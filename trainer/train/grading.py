"""The grader of a train stage, where the job has one: tried before any model is loaded."""

from trainer.arms.finished import FinishedBatches
from trainer.arms.grader import Grader
from trainer.arms.grading import METRIC, Grading
from trainer.data.prepared import Prepared
from trainer.stage import StageContext
from trainer.train.ranks import Ranks


def open_grading(
    ranks: Ranks, ctx: StageContext, prepared: Prepared, batches: FinishedBatches
) -> Grading | None:
    """None: the metric is one of ours. The first rank alone asks the grader.

    Raises:
        StageError: INVALID_SPEC, the grader does not do what it is there for.
    """
    spec = ctx.request.spec
    if prepared.plan.metric != METRIC or spec.evaluation.grader is None:
        return None
    grader = Grader(
        command=spec.evaluation.grader.command,
        work=ctx.work / "grader",
        limit_s=spec.training.stall_seconds,
        stop=ctx.stop,
    )
    grading = Grading(grader, list(prepared.test), batches, ctx.progress)
    if ranks.is_first:
        grading.check()
    return grading
