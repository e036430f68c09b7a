"""Asks for a base model as a stage does, and remembers what it heard."""

from dataclasses import dataclass, field
from pathlib import Path

from trainer.contract.source import PinnedModel
from trainer.sources.base import ResolvedModel
from trainer.sources.resolve import resolve
from trainer.store.secrets import SecretFiles


@dataclass
class Asker:
    """One machine: a cache, Secrets, and a count of what was announced and what came."""

    root: Path
    source: dict[str, object]
    secrets: SecretFiles = field(default_factory=lambda: SecretFiles(None))
    sizes: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def __call__(self, *, weights: bool = True, **changes: object) -> ResolvedModel:
        """The model; ``changes`` are PinnedModel's fields or resolve's arguments."""
        arguments = {
            name: changes.pop(name) for name in ("on_bytes", "stop", "cache") if name in changes
        }
        return resolve(
            PinnedModel.model_validate(self.source | changes),
            **{
                "cache": self.root / "cache",
                "file_root": self.root,
                "secrets": self.secrets,
                "weights": weights,
                "on_size": self.sizes.append,
                "on_bytes": self.counts.append,
                **arguments,
            },
        )

    def frozen(self, model: ResolvedModel, **changes: object) -> ResolvedModel:
        """What a later stage of the same run asks for."""
        pin = {"revision": model.revision, "contentDigest": model.content_digest}
        return self(**(pin | changes))


def write_secret(root: Path, role: str = "base", **keys: str) -> SecretFiles:
    """The Secret of a role, mounted."""
    (root / role).mkdir(parents=True)
    for name, value in keys.items():
        (root / role / name).write_text(value)
    return SecretFiles(root)
