"""The errand ``resolve``: a look at a BaseModel's source, and what the next look should know."""

from trainer.contract.errand import ErrandDetails, ResolveRequest
from trainer.errand import DetailedErrandError, ErrandContext, ErrandResult, outcome_of
from trainer.errors import StageError
from trainer.sources.look import look
from trainer.sources.look_base import Look
from trainer.sources.memo import Memo

JOB_FIELD, FIELD = "spec.baseModel", "spec.source"
"""The sources speak in the words of a job; a BaseModel has another name for the section."""


def resolve(ctx: ErrandContext[ResolveRequest]) -> ErrandResult:
    """The newest revision; also a look that fails tells what it has read.

    Raises:
        StageError: the source cannot be had, or no run could train on it.
    """
    memo = Memo(ctx.request.memo)
    try:
        found = look(
            Look(
                source=ctx.request.source,
                secrets=ctx.secrets,
                work=ctx.work,
                file_root=ctx.file_root,
                known=ctx.request.known,
                memo=memo,
                transfer=ctx.transfer,
            )
        )
    except StageError as error:
        error.message = error.message.replace(JOB_FIELD, FIELD)
        raise DetailedErrandError(error, ErrandDetails(memo=memo.text())) from error
    return ErrandResult(outcome_of(ctx.request, found=found), ErrandDetails(memo=memo.text()))
