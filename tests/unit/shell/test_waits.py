"""What events say about a pod that does not start."""

import asyncio
from datetime import timedelta

import pytest
from builders.fake_api import FakeApi
from builders.jobs import START

from controller.api.reasons import Reason
from controller.core.children import AnyChild, ChildState
from controller.shell.waits import Awaited, ReadEvent, Series, Waits, read_events

QUOTA = 'pods "a" is forbidden: exceeded quota: gpus, requested: 1, used: 4, limited: 4'


def an_event(reason: str, message: str = "", *, age_s: float = 0) -> ReadEvent:
    return ReadEvent(reason, message, last_timestamp=START - timedelta(seconds=age_s))


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        pytest.param("FailedCreate", QUOTA, Reason.QUOTA_EXCEEDED, id="quota"),
        pytest.param(
            "FailedCreate",
            'pods "a" is forbidden: violates PodSecurity "restricted:latest"',
            Reason.ADMISSION_DENIED,
            id="pod security",
        ),
        pytest.param(
            "FailedScheduling", "0/3 nodes are available", Reason.UNSCHEDULABLE, id="no node"
        ),
        pytest.param(
            "Failed", 'Failed to pull image "x": not found', Reason.IMAGE_PULL, id="pull fails"
        ),
        pytest.param(
            "BackOff", 'Back-off pulling image "x"', Reason.IMAGE_PULL, id="pull backs off"
        ),
        pytest.param(
            "ErrImageNeverPull", "not present", Reason.IMAGE_PULL, id="never pulled, not there"
        ),
        pytest.param(
            "FailedMount", 'configmap "x" not found', Reason.PENDING, id="a volume is missing"
        ),
    ],
)
def test_the_newest_telling_event_becomes_the_obstacle(
    reason: str, message: str, expected: Reason
) -> None:
    events = [an_event("Pulling", age_s=0), an_event(reason, message, age_s=5)]
    found = read_events(events)
    assert found is not None
    assert found.reason is expected
    assert message in found.message


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="no events"),
        pytest.param([an_event("Pulling", 'Pulling image "x"')], id="a slow pull is no fault"),
        pytest.param([an_event("Failed", "Error: something else")], id="another failure"),
        pytest.param(
            [an_event("FailedScheduling", "no node", age_s=60), an_event("Scheduled")],
            id="scheduled since",
        ),
        pytest.param(
            [an_event("FailedCreate", QUOTA, age_s=60), an_event("SuccessfulCreate")],
            id="created since",
        ),
    ],
)
def test_what_is_over_or_no_fault_is_no_obstacle(events: list[ReadEvent]) -> None:
    assert read_events(events) is None


def test_the_order_of_a_list_does_not_matter_and_series_count_by_their_last_time() -> None:
    again = ReadEvent(
        "FailedScheduling", "again", event_time=START, series=Series(START + timedelta(hours=1))
    )
    events = [again, an_event("Scheduled", age_s=-60)]
    assert read_events(events) == read_events(events[::-1])
    found = read_events(events)
    assert found is not None
    assert found.reason is Reason.UNSCHEDULABLE


HOUR_S = 3600.0


@pytest.mark.parametrize("jump_s", [-HOUR_S, HOUR_S], ids=["back", "ahead"])
def test_a_clock_that_jumps_delays_no_look_at_the_events(jump_s: float) -> None:
    server = FakeApi()
    waits = Waits(server, grace_s=20, period_s=30)  # type: ignore[arg-type]
    child = AnyChild(name="a", state=ChildState.PENDING)
    awaited = Awaited(child, "uid-1", START)
    jumped = START + timedelta(seconds=jump_s)
    assert waits.next_look_s(awaited, jumped) <= 20
    asyncio.run(waits.look("ml", awaited, START))
    assert waits.next_look_s(awaited, START) == 30
    assert waits.next_look_s(awaited, jumped) <= 30


def test_an_event_without_any_time_is_the_oldest() -> None:
    events = [ReadEvent("FailedScheduling", "no node"), an_event("Scheduled")]
    assert read_events(events) is None


def test_a_pod_that_is_refused_again_under_another_name_is_the_same_obstacle() -> None:
    said = 'Error creating: pods "a.b-r1-prepare-1-{}" is forbidden: no PriorityClass with name x'
    found = [
        read_events([an_event("FailedCreate", said.format(end))]) for end in ("abc12", "xyz98")
    ]
    assert found[0] == found[1]
    assert found[0] is not None
    assert "pods a.b-r1-prepare-1 is forbidden: no PriorityClass" in found[0].message
    assert "create what it names" in found[0].message
