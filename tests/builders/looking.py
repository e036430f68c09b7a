"""Looks at a base model's source as the errand does, one after the other."""

from dataclasses import dataclass, field
from pathlib import Path

from trainer.contract.errand import ModelRevision
from trainer.contract.source import ModelSource
from trainer.sources.base import Transfer
from trainer.sources.look import look
from trainer.sources.look_base import Look
from trainer.sources.memo import Memo
from trainer.store.secrets import SecretFiles


@dataclass
class Looker:
    """What a BaseModel's status keeps from one look to the next, and a count of bytes read."""

    root: Path
    source: dict[str, object]
    secrets: SecretFiles = field(default_factory=lambda: SecretFiles(None))
    known: ModelRevision | None = None
    memo: str = ""
    counts: list[int] = field(default_factory=list)

    def __call__(self, **changes: object) -> ModelRevision:
        """The newest revision; ``changes`` are the source's fields."""
        work = self.root / "work"
        work.mkdir(exist_ok=True)
        memo = Memo(self.memo)
        self.counts.clear()
        try:
            self.known = look(
                Look(
                    source=ModelSource.model_validate(self.source | changes),
                    secrets=self.secrets,
                    work=work,
                    file_root=self.root,
                    known=self.known,
                    memo=memo,
                    transfer=Transfer(on_bytes=self.counts.append),
                )
            )
        finally:
            self.memo = memo.text()
        assert not list(work.iterdir())
        return self.known

    def forget(self) -> None:
        """As a new BaseModel, which knows nothing."""
        self.known, self.memo = None, ""

    @property
    def bytes_read(self) -> int:
        """By the last look."""
        return sum(self.counts)
