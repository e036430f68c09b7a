"""A write-back as its pod does it, against a repository of the test's own server."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from builders.errands import a_revision, a_write_back
from cluster.gitserver import GitRepository

from trainer.contract.errand import ErrandOutcome
from trainer.errand import ErrandContext
from trainer.sources.base import Transfer
from trainer.store.secrets import SecretFiles
from trainer.writeback.errand import write_back

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
OLD = "1" * 40
NEW = "a" * 40
MARK = '# {"$basemodel": "ml:tiny"}'


def manifest(revision: str = OLD, mark: str = MARK) -> bytes:
    """A job with a marked revision, with comments and habits of its own."""
    return (
        f"# support intents\nspec:\n  baseModel:\n    name: tiny   # see docs\n"
        f'    revision: "{revision}"   {mark}\n  method:   SFT\n'
    ).encode()


@dataclass
class Writer:
    """One BaseModel, ml/tiny, that writes to a repository."""

    root: Path
    repository: GitRepository
    secrets: SecretFiles = field(default_factory=lambda: SecretFiles(None))
    git: dict[str, object] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self, new: str = NEW, **git: object) -> ErrandOutcome:
        """Write the revision; ``git`` are fields of the spec."""
        request = a_write_back(
            git={"url": self.repository.url, **self.git, **git},
            new=a_revision(new),
            old=a_revision(OLD, "1"),
        )
        work = self.root / "work"
        transfer = Transfer(stop=self.stop)
        context = ErrandContext(
            request, work, self.secrets, self.root, self.stop, transfer, now=lambda: NOW
        )
        outcome = write_back(context).outcome
        assert not list(work.iterdir())
        return outcome
