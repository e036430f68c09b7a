"""What a process remembers of its own writes until the caches show them."""

import pytest

from controller.api.meta import ObjectMeta
from controller.api.reasons import Reason
from controller.core.children import Obstacle
from controller.kube.objects import Meta
from controller.shell.ledger import MEMORY_S, Ledger
from controller.shell.records import Job, JobObject


def an_object(version: str, uid: str = "uid-1") -> JobObject:
    return JobObject(Meta("intents", "ml", uid, version))


def a_child(name: str, uid: str = "job-uid", version: str = "5") -> Job:
    return Job(Meta(name, "ml", uid, version))


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock)


@pytest.mark.parametrize(
    ("own", "cached", "expected"),
    [
        pytest.param("8", "7", "8", id="the cache is behind"),
        pytest.param("8", "8", "8", id="the cache has caught up"),
        pytest.param("8", "9", "9", id="somebody wrote after us"),
        pytest.param("9", "10", "10", id="versions are numbers, not texts"),
    ],
)
def test_the_newest_version_counts(ledger: Ledger, own: str, cached: str, expected: str) -> None:
    ledger.remember(an_object(own))
    assert ledger.newest(an_object(cached)).metadata.resource_version == expected


def test_another_object_of_the_name_is_not_the_one_that_was_written(ledger: Ledger) -> None:
    ledger.remember(an_object("8"))
    assert ledger.newest(an_object("7", uid="uid-2")).metadata.uid == "uid-2"


def test_the_last_word_of_the_server_counts_though_its_version_be_lower(ledger: Ledger) -> None:
    """One worker at a time asks about an object, and reads are live: this is no late answer."""
    ledger.remember(an_object("9"))
    assert ledger.remember(an_object("8")).metadata.resource_version == "8"
    assert ledger.newest(an_object("7")).metadata.resource_version == "8"


def test_an_own_write_that_the_cache_never_shows_is_not_believed_for_ever(
    ledger: Ledger, clock: Clock
) -> None:
    ledger.remember(an_object("900"))
    clock.now_s = MEMORY_S
    assert ledger.is_own(an_object("7"))
    clock.now_s = MEMORY_S + 1
    assert not ledger.is_own(an_object("7"))
    assert ledger.newest(an_object("7")).metadata.resource_version == "7"


@pytest.mark.parametrize(("seen", "expected"), [("7", True), ("8", True), ("9", False)])
def test_the_echo_of_an_own_write_is_no_news(ledger: Ledger, seen: str, expected: bool) -> None:
    ledger.remember(an_object("8"))
    assert ledger.is_own(an_object(seen)) is expected


def test_a_created_child_is_known_until_the_cache_shows_it(ledger: Ledger) -> None:
    ledger.created("uid-1", a_child("a"))
    assert [job.metadata.name for job in ledger.with_created("uid-1", [])] == ["a"]
    shown = a_child("a", uid="as cached")
    assert ledger.with_created("uid-1", [shown]) == [shown]
    assert ledger.with_created("uid-1", []) == []


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(a_child("a"), True, id="as it was created"),
        pytest.param(a_child("a", version="6"), False, id="somebody wrote after us"),
        pytest.param(a_child("a", uid="another"), False, id="another one of the name"),
        pytest.param(a_child("b"), False, id="another child"),
    ],
)
def test_the_echo_of_an_own_create_is_no_news(ledger: Ledger, seen: Job, expected: bool) -> None:
    ledger.created("uid-1", a_child("a"))
    assert ledger.is_own_child("uid-1", seen) is expected
    assert ledger.has_created("uid-1", "a", "job-uid") is not expected  # the cache has it now


def test_a_created_child_that_never_shows_is_forgotten(ledger: Ledger, clock: Clock) -> None:
    ledger.created("uid-1", a_child("a"))
    clock.now_s = MEMORY_S + 1
    assert ledger.with_created("uid-1", []) == []


def test_a_created_child_whose_end_was_seen_is_forgotten(ledger: Ledger) -> None:
    ledger.created("uid-1", a_child("a"))
    ledger.gone("uid-1", a_child("a"))
    assert ledger.with_created("uid-1", []) == []


def test_a_deleted_child_is_told_once_for_a_while(ledger: Ledger, clock: Clock) -> None:
    ledger.deleted(a_child("a"))
    assert ledger.was_deleted(a_child("a"))
    assert not ledger.was_deleted(a_child("a", uid="another"))
    clock.now_s = MEMORY_S
    assert not ledger.was_deleted(a_child("a"))


def test_an_obstacle_stands_for_the_generation_that_met_it(ledger: Ledger) -> None:
    first = ObjectMeta(name="intents", uid="uid-1", generation=1)
    obstacle = Obstacle(Reason.QUOTA_EXCEEDED, "full")
    ledger.put_obstacle(first, obstacle)
    assert ledger.obstacle(first) == obstacle
    assert ledger.obstacle(first.model_copy(update={"generation": 2})) is None
    ledger.put_obstacle(first, None)
    assert ledger.obstacle(first) is None


def test_nothing_is_kept_of_an_object_that_is_gone(ledger: Ledger) -> None:
    meta = ObjectMeta(name="intents", uid="uid-1", generation=1)
    ledger.remember(an_object("8"))
    ledger.created("uid-1", a_child("a"))
    ledger.put_obstacle(meta, Obstacle(Reason.QUOTA_EXCEEDED, "full"))
    ledger.forget("uid-1")
    assert ledger.newest(an_object("7")).metadata.resource_version == "7"
    assert ledger.with_created("uid-1", []) == []
    assert ledger.obstacle(meta) is None
