"""How many BaseModels look at their sources at once: whoever has waited longest is next.

A look that waits is first in line by the time since when it waits, not by the age of its object:
else old objects that look again and again would keep young ones from ever looking.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
from msgspec import Struct

from controller.api.basemodel import BaseModelStatus
from controller.core.watching.line import is_look_refused, is_looking, wants_to_look
from controller.core.watching.observed import ObservedBase
from controller.kube.objects import key_of
from controller.shell.line import Place
from controller.shell.records import JobObject
from controller.shell.slots import Slots
from trainer.contract.errand import Errand


class _ErrandGlance(Struct, rename="camel"):
    errand: str = ""
    end_time: datetime | None = None


class _StatusGlance(Struct, rename="camel"):
    errand: _ErrandGlance | None = None
    last_check_time: datetime | None = None


@dataclass
class LookLimit:
    """Of all BaseModels."""

    slots: Slots
    _since: dict[str, datetime] = field(default_factory=dict)
    """When each that waits began to."""

    def placed(self, observed: ObservedBase) -> ObservedBase:
        """With the object's position now; takes the place that is free for it."""
        if not self.slots.limit:
            return observed
        meta, wants = observed.base.metadata, wants_to_look(observed)
        if not wants:
            self._since.pop(meta.uid, None)
        place = Place(self._waits_since(observed), (meta.namespace, meta.name), meta.uid)
        position = self.slots.take(place, wants=wants, is_alive=is_looking(observed))
        if position:
            self._since[meta.uid] = place.created
        return replace(observed, look_position=position)

    def settle(self, uid: str, status: BaseModelStatus, observed: ObservedBase | None) -> None:
        """What the decision made of the object: it keeps its place, or gives it back."""
        if not self.slots.limit:
            return
        errand = status.errand
        is_recorded = (
            errand is not None and errand.errand is Errand.RESOLVE and errand.end_time is None
        )
        holds = observed is not None and (
            is_looking(observed) or (is_recorded and not is_look_refused(observed))
        )
        waits = observed is not None and observed.look_position > 0
        if not waits:
            self._since.pop(uid, None)
        self.slots.settle(uid, holds=holds, waits=waits)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._since.pop(uid, None)
        self.slots.forget(uid)

    def remember(self, stored: Iterable[JobObject]) -> None:
        """After a start: those whose look is under way, and those that have never looked."""
        for obj in stored:
            meta, status = obj.metadata, _glance(obj)
            if status is None:
                continue
            errand = status.errand
            if errand is not None and errand.errand == Errand.RESOLVE and errand.end_time is None:
                self.slots.hold(meta.uid)
            elif status.last_check_time is None and meta.creation_timestamp is not None:
                self._since[meta.uid] = meta.creation_timestamp
                self.slots.expect(Place(meta.creation_timestamp, key_of(obj), meta.uid))

    def _waits_since(self, observed: ObservedBase) -> datetime:
        meta = observed.base.metadata
        known = self._since.get(meta.uid)
        is_first = observed.base.status.last_check_time is None
        return known or (is_first and meta.creation_timestamp) or observed.now


def _glance(stored: JobObject) -> _StatusGlance | None:
    try:
        return msgspec.json.decode(stored.status, type=_StatusGlance)
    except msgspec.MsgspecError:
        return None
