"""What a reader should know of a base model that is another kind of model than the one before.

Training starts from scratch on every base, so none of it stops a run; but scores that moved with
the tokenizer, or a service that still loads the old one, are easier to understand with it.
"""

from trainer.store.manifest import BaseBinding


def base_change_note(old: BaseBinding, new: BaseBinding) -> str:
    """One sentence; empty where only weights moved, or nothing did."""
    found = [
        _other("architecture", old.architecture, new.architecture),
        _vocabulary(old.vocabulary_size, new.vocabulary_size),
        _moved("tokenizer", old.tokenizer_sha256, new.tokenizer_sha256),
        _moved("chat template", old.template_sha256, new.template_sha256),
        _moved("configuration", old.config_sha256, new.config_sha256),
    ]
    said = [part for part in found if part]
    if not said:
        return ""
    return (
        f"Against the promoted run's base model, {old.revision}, this one has {', '.join(said)}; "
        "the adapter was trained on it from scratch and loads on no other."
    )


def _other(what: str, old: str, new: str) -> str:
    """Adapters of earlier releases do not know it."""
    return f"another {what} ({new} after {old})" if old and new and old != new else ""


def _vocabulary(old: int, new: int) -> str:
    if old == new:
        return ""
    size = "smaller" if new < old else "larger"
    return f"a {size} vocabulary ({new} after {old} tokens)"


def _moved(what: str, old: str, new: str) -> str:
    return f"another {what}" if old != new else ""
