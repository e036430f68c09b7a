"""From what a BaseModel names to its newest revision. Runs without torch or transformers."""

import importlib
from collections.abc import Callable
from typing import Any

from trainer.contract.errand import ModelRevision
from trainer.contract.source import SourceKind
from trainer.sources.base import refused
from trainer.sources.look_base import Look

# Imported when asked for: each has a client of its own, which takes up to half a second.
LOOKS: dict[SourceKind, tuple[str, str]] = {
    "hugging_face": ("trainer.sources.look_hub", "look_hub"),
    "git": ("trainer.sources.look_git", "look_git"),
    "s3": ("trainer.sources.look_s3", "look_s3"),
    "directory": ("trainer.sources.look_directory", "look_directory"),
}


def look(look: Look) -> ModelRevision:
    """The newest revision of the source and the digest of its content; ``memo`` learns.

    Raises:
        StageError: it cannot be had, or no run could train on it.
    """
    kind = look.source.kind
    if kind is None:
        raise refused("there is no source; give huggingFace, git, s3 or directory")
    module, name = LOOKS[kind]
    function: Callable[[Look, Any], ModelRevision] = getattr(importlib.import_module(module), name)
    return function(look, getattr(look.source, kind))
