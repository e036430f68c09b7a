"""From what the spec names to a base model on this machine. Runs without torch."""

import threading
from collections.abc import Callable
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.source import PinnedModel
from trainer.errors import StageError
from trainer.sources.base import ResolvedModel, Transfer, Wanted
from trainer.sources.directory import resolve_directory
from trainer.store.secrets import AMBIENT, SecretFiles


def resolve(
    source: PinnedModel,
    *,
    cache: Path,
    file_root: Path,
    secrets: SecretFiles = AMBIENT,
    weights: bool = True,
    on_size: Callable[[int], None] = lambda _total: None,
    on_bytes: Callable[[int], None] = lambda _count: None,
    stop: threading.Event | None = None,
) -> ResolvedModel:
    """Find the model, prove what it is, and have it on this machine.

    Args:
        source: Where it comes from, and the revision and content digest that the run has frozen.
        cache: Where models from elsewhere are kept; others may write there, so it is checked.
        file_root: The directory that a ``directory`` source may not leave.
        secrets: The role ``base`` is used.
        weights: False: config, tokenizer and template are enough, which saves a small machine
            the weights. The content digest covers them all the same, by what the Hub or a
            pointer of LFS says of them, or by reading them once.
        on_size: Hears how many bytes will be read, once it is known.
        on_bytes: Hears of bytes read, and with 0 while nothing moves; may raise to end the work.
        stop: Ends waits early.

    Raises:
        StageError: it cannot be had, is not complete, not safe, or not what the run has frozen.
    """
    transfer = Transfer(on_size, on_bytes, stop or threading.Event())
    return resolve_wanted(Wanted(source, cache, file_root, secrets, weights, transfer))


def resolve_wanted(wanted: Wanted) -> ResolvedModel:
    """One branch for each kind of source; each imports its client only when it is asked for."""
    source = wanted.source
    if source.directory is not None:
        return resolve_directory(wanted, source.directory)
    if source.hugging_face is not None:
        from trainer.sources.hub import resolve_hub  # noqa: PLC0415 - a third of a second

        return resolve_hub(wanted, source.hugging_face)
    if source.s3 is not None:
        from trainer.sources.s3 import resolve_s3  # noqa: PLC0415 - botocore takes half a second

        return resolve_s3(wanted, source.s3)
    if source.git is not None:
        from trainer.sources.git import resolve_git  # noqa: PLC0415 - dulwich is for this alone

        return resolve_git(wanted, source.git)
    message = "spec.baseModel names no source; give one of huggingFace, git, s3 and directory"
    raise StageError(FailureClass.INVALID_SPEC, message)
