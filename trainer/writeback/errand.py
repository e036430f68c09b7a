"""The errand ``write-back``: a new revision onto the marked lines of a repository of manifests."""

import os

from trainer.contract.errand import WriteBackRequest
from trainer.errand import ErrandContext, ErrandResult, outcome_of
from trainer.lastword import MAX_TEXT
from trainer.store.secrets import without_login
from trainer.writeback.message import HUB
from trainer.writeback.rounds import write
from trainer.writeback.scan import some
from trainer.writeback.task import Task, open_place_of

ENDPOINT_ENV = "HF_ENDPOINT"


def write_back(context: ErrandContext[WriteBackRequest]) -> ErrandResult:
    """Commit the revision, if a marked line has another.

    Raises:
        StageError: there is nothing to write, or it cannot be written.
    """
    request = context.request
    task = Task(
        request=request,
        place=open_place_of(request, context.secrets),
        scratch=context.work,
        transfer=context.transfer,
        now=context.now(),
        hub=without_login(os.environ.get(ENDPOINT_ENV) or HUB),
    )
    written = write(task)
    left = f"not followed: {some(written.foreign)}" if written.foreign else ""
    outcome = outcome_of(
        request,
        commit=written.commit,
        changed_files=written.changed_files,
        message=left[:MAX_TEXT],
    )
    return ErrandResult(outcome)
