"""A restored fleet looks at its sources a few at a time, whoever has waited longest first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from builders.base_models import WRITE_BACK, BaseScene, a_base_model
from builders.jobs import START

from controller.api.reasons import Reason
from controller.api.wire import to_document
from controller.core.watching.decide import decide_base_model
from controller.core.watching.observed import ObservedBase
from controller.kube.objects import Meta
from controller.shell.looklimit import LookLimit
from controller.shell.records import JobObject
from controller.shell.slots import Slots
from trainer.contract.failures import FailureClass


def named(name: str, created: datetime = START, **spec: Any) -> BaseScene:
    """A base model of that name; its uid is its name."""
    base = a_base_model(**spec)
    told = {"name": name, "uid": name, "creation_timestamp": created}
    return BaseScene(base.model_copy(update={"metadata": base.metadata.model_copy(update=told)}))


@dataclass
class Fleet:
    """Base models under one limit; each is decided when it is told to be, as a worker would."""

    limit: int
    scenes: dict[str, BaseScene] = field(default_factory=dict)
    now: datetime = START
    woken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process: it knows only what is stored."""
        slots = Slots(self.limit, lambda key, _delay_s: self.woken.append(key[1]), lambda: self.now)
        self.looks = LookLimit(slots)

    def add(self, *scenes: BaseScene) -> None:
        for scene in scenes:
            self.scenes[scene.base.metadata.name] = scene

    def decide(self, *names: str) -> None:
        for name in names:
            while self._step(name):
                pass

    def _step(self, name: str) -> bool:
        scene = replace(self.scenes[name], now=self.now)
        observed = self.looks.placed(
            ObservedBase(scene.base, scene.now, scene.children, scene.settings, scene.obstacle)
        )
        after = scene.in_line(observed.look_position).stepped()
        self.looks.settle(name, decide_base_model(observed).status, observed)
        self.scenes[name] = after
        return after != scene.in_line(observed.look_position)

    def ends(self, name: str, end: Callable[[BaseScene], BaseScene]) -> None:
        """The look of one is over; what the end wakes is decided."""
        child = self.scenes[name].live
        over = end(replace(self.scenes[name], now=self.now))
        (ended,) = [c for c in over.children if c.number == child.number]
        kept = [ended if c is child else c for c in self.scenes[name].children]
        self.scenes[name] = self.scenes[name].with_children(kept)
        self.woken.clear()
        self.decide(name)
        self.decide(*self.woken)

    def found(self, name: str) -> None:
        self.ends(name, lambda scene: scene.found("a"))
        assert self.scenes[name].latest == "rev-a"

    @property
    def looking(self) -> list[str]:
        return sorted(name for name, scene in self.scenes.items() if scene.has_live)


def a_restored_fleet(count: int, limit: int = 2) -> Fleet:
    """All created in one second."""
    fleet = Fleet(limit)
    fleet.add(*(named(name) for name in names_of(count)))
    fleet.decide(*fleet.scenes)
    return fleet


def names_of(count: int) -> Iterator[str]:
    return (f"m{number:03}" for number in range(count))


def test_so_many_look_at_once_and_no_more() -> None:
    fleet = a_restored_fleet(10)
    assert fleet.looking == ["m000", "m001"]
    assert {scene.ready for scene in fleet.scenes.values()} == {
        ("Unknown", "Resolving"),
        ("Unknown", "Queued"),
    }


def test_every_one_gets_its_turn_in_order_and_none_is_looked_at_twice() -> None:
    fleet = a_restored_fleet(30)
    order = []
    while fleet.looking:
        assert len(fleet.looking) <= 2
        order.append(fleet.looking[0])
        fleet.found(fleet.looking[0])
    assert order == list(names_of(30))
    assert {len(scene.started) for scene in fleet.scenes.values()} == {1}


def test_without_a_limit_all_look_at_once() -> None:
    assert len(a_restored_fleet(10, limit=0).looking) == 10


def test_who_waits_is_not_overtaken_by_an_older_one_that_looks_again() -> None:
    fleet = Fleet(1)
    fleet.add(named("old"), named("young", START + timedelta(days=1)), named("busy"))
    fleet.now = START + timedelta(days=1)
    fleet.decide("old")
    fleet.found("old")
    fleet.decide("busy")  # it has the place
    fleet.decide("young")
    fleet.now += timedelta(days=1)
    fleet.decide("old")  # its poll is due
    fleet.found("busy")
    assert fleet.looking == ["young"]
    fleet.found("young")
    assert fleet.looking == ["old"]


def test_a_write_back_takes_no_place_and_waits_for_none() -> None:
    fleet = Fleet(1)
    fleet.add(named("a", writeBack=WRITE_BACK), named("b"))
    fleet.decide("a", "b")
    fleet.found("a")
    assert fleet.scenes["a"].live.errand == "write-back"
    assert fleet.looking == ["a", "b"]


def test_a_look_that_failed_gives_its_place_to_the_next() -> None:
    fleet = a_restored_fleet(3, limit=1)
    fleet.ends("m000", lambda scene: scene.failed(FailureClass.UNAVAILABLE))
    assert fleet.looking == ["m001"]


@pytest.mark.parametrize("how", ["deleted", "suspended"])
def test_who_goes_gives_its_place_to_the_next(how: str) -> None:
    fleet = a_restored_fleet(3, limit=1)
    fleet.woken.clear()
    if how == "deleted":
        fleet.looks.forget("m000")
        del fleet.scenes["m000"]
    else:
        fleet.scenes["m000"] = fleet.scenes["m000"].edited(suspend=True)
        fleet.decide("m000")
        assert fleet.woken == []  # its pod lives
        fleet.scenes["m000"] = fleet.scenes["m000"].vanished()
        fleet.decide("m000")
    fleet.decide(*fleet.woken)
    assert "m001" in fleet.looking


def test_one_that_its_namespace_keeps_out_holds_nobody_up() -> None:
    fleet = Fleet(1)
    fleet.add(named("kept-out").hindered(Reason.ADMISSION_DENIED), named("next"))
    fleet.decide("kept-out")
    fleet.decide("next")
    assert fleet.looking == ["next"]


def stored(scene: BaseScene) -> JobObject:
    meta = scene.base.metadata
    status = msgspec.json.encode(to_document(scene.status))
    known = Meta(meta.name, "ml", meta.uid, creation_timestamp=meta.creation_timestamp)
    return JobObject(known, status=msgspec.Raw(status))


def test_after_a_restart_those_that_look_hold_their_places_and_the_oldest_is_next() -> None:
    fleet = Fleet(1)
    fleet.add(*(named(name, START + timedelta(hours=hour)) for hour, name in enumerate("abc")))
    fleet.now += timedelta(days=1)
    fleet.decide("a", "b", "c")
    fleet.restart()
    fleet.looks.remember(stored(scene) for scene in fleet.scenes.values())
    fleet.decide("c", "b", "a")
    assert fleet.looking == ["a"]
    fleet.found("a")
    assert fleet.looking == ["b"]


def test_what_cannot_be_read_stops_no_restart() -> None:
    fleet = Fleet(1)
    broken = JobObject(Meta("x", "ml", "x", creation_timestamp=START), status=msgspec.Raw(b"[]"))
    fleet.looks.remember([broken])
    fleet.add(named("a", START + timedelta(days=1)))
    fleet.decide("a")
    assert fleet.looking == ["a"]
