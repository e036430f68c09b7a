"""One decision about a BaseModel in the making."""

from dataclasses import dataclass
from typing import Any

from controller.api.basemodel import BaseModelStatus, ErrandStatus, SettledRevision
from controller.core.draft import Draft
from controller.core.naming import short_hash
from controller.core.watching.child import ErrandChild
from controller.core.watching.observed import ObservedBase
from controller.core.watching.source import location_hash, look_hash, usable_latest, writing_hash
from trainer.contract.errand import Errand


@dataclass(frozen=True, kw_only=True)
class BaseTurn(Draft[BaseModelStatus]):
    """Steps take one and return one; nothing in it is changed in place."""

    observed: ObservedBase

    @property
    def errand(self) -> ErrandStatus:
        """The recorded errand; only asked for where there is one."""
        assert self.status.errand is not None  # noqa: S101 - ours, not the user's
        return self.status.errand

    @property
    def is_under_way(self) -> bool:
        """Whether an errand is recorded whose end is not."""
        errand = self.status.errand
        return errand is not None and errand.end_time is None

    @property
    def child(self) -> ErrandChild | None:
        """The child of the recorded errand; one of another kind or source is never adopted."""
        errand = self.errand
        wanted = (errand.number, errand.errand, short_hash(errand.source_hash or ""))
        known = ((c.number, c.errand, short_hash(c.source_hash)) for c in self.observed.children)
        found = zip(self.observed.children, known, strict=True)
        return next((child for child, key in found if key == wanted), None)

    @property
    def unfinished(self) -> tuple[ErrandChild, ...]:
        """Everything of the object that may still be alive."""
        return tuple(child for child in self.observed.children if child.is_unfinished)

    @property
    def latest(self) -> SettledRevision | None:
        """The revision that counts, if it is of the source as it is now."""
        return usable_latest(self.observed.base.model_copy(update={"status": self.status}))

    @property
    def is_of_this_source(self) -> bool:
        """Whether what the status knows is of the source as it is now."""
        return self.status.source_hash == location_hash(self.observed.base.spec.source)

    def asked_hash(self, errand: Errand) -> str | None:
        """What an errand of that kind would be about now; None: there is nothing for it to do."""
        spec, latest = self.observed.base.spec, self.latest
        if errand is Errand.RESOLVE:
            return look_hash(spec.source)
        if spec.write_back is None or latest is None:
            return None
        return writing_hash(spec.write_back, latest.revision)

    def ended(self) -> "BaseTurn":
        """With the end of the recorded errand."""
        return self.on_errand(end_time=self.observed.now)

    def on_errand(self, **fields: Any) -> "BaseTurn":  # noqa: ANN401 - fields of the errand
        """With other fields in the recorded errand."""
        return self.saying(errand=self.errand.model_copy(update=fields))
