"""A write-back as its pod does it, against a repository of the test's own server."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders.errands import a_revision, a_write_back
from cluster.gitserver import GitRepository

from trainer.contract.errand import ErrandOutcome
from trainer.errand import ErrandContext
from trainer.errors import StageError
from trainer.sources.base import Transfer
from trainer.store.secrets import SecretFiles
from trainer.writeback.errand import write_back

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
OLD = "1" * 40
NEW = "a" * 40
PASSWORD = "wörd:with a colon"  # noqa: S105 - for the test's server alone
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


def pushes(server) -> int:
    return len([each for each in server.asked("/git-receive-pack") if each.method == "POST"])


def refuse(write, failure, words, **git):
    with pytest.raises(StageError, match=words) as caught:
        write(**git)
    assert caught.value.failure is failure
    assert caught.value.message.startswith("spec.writeBack.git")
    assert PASSWORD not in caught.value.message
    return caught.value
