"""An errand as the core sees it: one Job on a cluster, one process on a laptop."""

from dataclasses import dataclass

from controller.core.children import AnyChild, Failed
from trainer.contract.errand import Errand, ErrandDetails, ErrandOutcome


@dataclass(frozen=True, kw_only=True)
class ErrandChild(AnyChild):
    """One errand of the observed BaseModel (never somebody else's)."""

    errand: Errand
    number: int
    source_hash: str
    """What it is about: the digest, or as much of it as its label holds."""
    outcome: ErrandOutcome | None = None
    details: ErrandDetails | None = None

    @property
    def title(self) -> str:
        """What people see of it while it works."""
        return self.errand.value

    @property
    def work(self) -> str:
        """The command."""
        return self.errand.value

    def last_word(self, uid: str) -> ErrandOutcome | None:
        """Its outcome, if it speaks for this very errand."""
        said = self.outcome
        if said is None:
            return None
        told = (said.uid, said.errand, said.number)
        return said if told == (uid, self.errand, self.number) else None

    def failure(self, uid: str) -> Failed | None:
        """Why it did not do its work; None when it did."""
        return self.why_failed(self.last_word(uid))
