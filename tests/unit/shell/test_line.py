"""The line: whoever sees something new is woken, and hardly anyone else, however long it is."""

from datetime import timedelta

import pytest
from builders.jobs import START
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.positions import shown_position
from controller.kube.objects import Key
from controller.shell.line import Line, Place
from controller.shell.slots import Slots


def a_place(age: int) -> Place:
    return Place(START + timedelta(seconds=age), ("ml", f"job-{age}"), f"uid-{age}")


class Fleet:
    """Slots, those who wait for one, and whom they woke."""

    def __init__(self, limit: int, waiting: int) -> None:
        self.woken: list[Key] = []
        self.slots = Slots(limit, lambda key, _: self.woken.append(key), lambda: START)
        self.free = 0
        for number in range(limit):
            self.slots.hold(f"holder-{number}")
        self.waiting = [a_place(10 + age) for age in range(waiting)]
        for place in self.waiting:
            self.slots.expect(place)

    def shown(self) -> dict[Key, str]:
        """What each would say of its position; 0: it may go."""
        found = (max(0, index + 1 - self.free) for index in range(len(self.waiting)))
        places = sorted(self.waiting)
        return {p.key: shown_position(n) for p, n in zip(places, found, strict=True)}

    def end(self, number: int) -> None:
        self.slots.settle(f"holder-{number}", holds=False, waits=False)
        self.free += 1

    def leave(self, index: int) -> None:
        self.slots.forget(self.waiting.pop(index).uid)

    def return_old(self) -> Place:
        """One that is older than all."""
        place = a_place(0)
        self.slots.take(place, wants=True, is_alive=False)
        self.waiting.insert(0, place)
        return place


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 450), st.data())
def test_whoever_shows_another_position_after_a_move_is_woken(
    waiting: int, data: st.DataObject
) -> None:
    fleet = Fleet(3, waiting)
    for number in range(3):
        before = fleet.shown()
        fleet.woken.clear()
        if fleet.waiting and data.draw(st.booleans()):
            fleet.leave(data.draw(st.integers(0, len(fleet.waiting) - 1)))
        else:
            fleet.end(number)
        after = fleet.shown()
        news = {key for key, shown in after.items() if before[key] != shown}
        assert news <= set(fleet.woken)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 450))
def test_those_behind_an_old_object_that_comes_back_are_woken(waiting: int) -> None:
    fleet = Fleet(1, waiting)
    before = fleet.shown()
    fleet.return_old()
    news = {key for key, shown in fleet.shown().items() if before.get(key, shown) != shown}
    assert news <= set(fleet.woken)


@pytest.mark.parametrize("waiting", [100, 10_000])
def test_a_slot_that_is_given_back_wakes_few_of_however_many_wait(waiting: int) -> None:
    fleet = Fleet(1, waiting)
    fleet.end(0)
    assert fleet.woken[0] == fleet.waiting[0].key
    assert len(fleet.woken) <= 80


def test_one_that_joins_again_under_another_age_stands_there_once() -> None:
    line = Line([a_place(1), a_place(2)])
    moved = Place(START + timedelta(seconds=9), ("ml", "job-1"), "uid-1")
    assert not line.join(moved)
    assert (len(line), line.ahead(moved)) == (2, 1)
