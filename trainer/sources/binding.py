"""What an adapter remembers of the base model that it was trained on."""

import json
from hashlib import sha256

from trainer.sources.base import ResolvedModel, read_object
from trainer.sources.counted import TEMPLATE
from trainer.store.manifest import BaseBinding

MAX_NAME = 100


def binding(resolved: ResolvedModel) -> BaseBinding:
    """What an adapter trained on this base has to be loaded on.

    It names the source and never a path in a cache: the adapter's digest covers it, and must
    not depend on the machine that trained.
    """
    config = read_object(resolved.path / "config.json")
    text_config = config.get("text_config")
    size = config.get("vocab_size") or (
        text_config.get("vocab_size") if isinstance(text_config, dict) else None
    )
    return BaseBinding(
        source=resolved.source,
        revision=resolved.revision,
        content_digest=resolved.content_digest,
        config_sha256=resolved.files["config.json"],
        tokenizer_sha256=resolved.files["tokenizer.json"],
        template_sha256=template_sha256(resolved),
        vocabulary_size=size if isinstance(size, int) else 0,
        architecture=architecture_of(config),
    )


def architecture_of(config: dict[str, object]) -> str:
    """The model's class, or at least its type; empty where the configuration tells neither."""
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else config.get("model_type")
    return first[:MAX_NAME] if isinstance(first, str) else ""


def template_sha256(resolved: ResolvedModel) -> str:
    """Digest of the chat template, wherever it is kept; empty: there is none."""
    for name in TEMPLATE:
        if name in resolved.files:
            return resolved.files[name]
    path = resolved.path / "tokenizer_config.json"
    template = read_object(path).get("chat_template") if path.is_file() else None
    if not template:
        return ""
    return sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()
