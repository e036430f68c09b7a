"""When a candidate asks for a Lease, which times are refused, and what is written into one."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from unit.kube.scripted import a_client

from controller.kube.backoff import Backoff
from controller.kube.lease import Elector, candidate_pause_s
from controller.kube.leaserecord import duration_of, held, holder_of, new_lease, released

NOW = datetime(2026, 11, 24, 3, 4, 5, 678, tzinfo=UTC)
TIMES = {"duration_s": 15.0, "renew_s": 10.0, "retry_s": 2.0}


@pytest.mark.parametrize(
    ("lapses_s", "chance", "pause_s"),
    [
        pytest.param(0.0, 0.0, 1.5, id="nothing is known, or it is free, and a write failed"),
        pytest.param(0.0, 1.0, 2.5, id="the same, at the latest"),
        pytest.param(14.0, 0.5, 2.0, id="it was renewed a moment ago"),
        pytest.param(0.5, 0.5, 0.51, id="it lapses before the next look"),
    ],
)
def test_a_candidate_asks_every_retry_time_or_so_and_as_soon_as_the_lease_lapses(
    lapses_s: float, chance: float, pause_s: float
) -> None:
    assert candidate_pause_s(2.0, lapses_s, chance) == pytest.approx(pause_s)


@pytest.mark.parametrize("chance", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("renewed_s", [0.0, 1.0, 2.49])
def test_with_15_10_2_a_dead_leaders_lease_is_taken_within_18_seconds(
    chance: float, renewed_s: float
) -> None:
    """The last renewal, and the death right after it, came so long before the look that saw it."""
    now_s, lapses_s = renewed_s, 15.0
    while lapses_s > 0:
        pause_s = candidate_pause_s(2.0, lapses_s, chance)
        now_s, lapses_s = now_s + pause_s, lapses_s - pause_s
    assert now_s <= 18.0


def test_a_server_in_trouble_is_asked_ever_less_often_by_a_candidate(tmp_path: Path) -> None:
    async def scenario() -> None:
        client = await a_client(tmp_path, "http://127.0.0.1:1")
        elector = Elector(client, namespace="sys", name="l", identity="a", **TIMES)
        trouble = Backoff(2.0, 8.0, chance=lambda: 0.0)
        assert [elector._pause_s(trouble) for _ in range(4)] == [2, 4, 4, 4]  # noqa: SLF001
        await client.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"duration_s": 10.0, "renew_s": 10.0}, id="renewal as long as the lease"),
        pytest.param({"renew_s": 2.0, "retry_s": 2.0}, id="one try only"),
        pytest.param({"retry_s": 0.0}, id="a busy loop"),
    ],
)
def test_times_that_could_give_two_leaders_are_refused(
    tmp_path: Path, times: dict[str, float]
) -> None:
    async def scenario() -> None:
        client = await a_client(tmp_path, "http://127.0.0.1:1")
        with pytest.raises(ValueError, match="must be longer"):
            Elector(client, namespace="n", name="l", identity="a", **times)
        await client.close()

    asyncio.run(scenario())


def test_the_record_is_written_in_utc_microseconds_and_keeps_what_is_others() -> None:
    lease = new_lease("sys", "l", "a", 14.2, NOW)
    assert lease["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-11-24T03:04:05.000678Z",
        "renewTime": "2026-11-24T03:04:05.000678Z",
        "leaseTransitions": 0,
    }
    lease["spec"]["strategy"] = "theirs"
    assert held(lease, "a", 15, NOW)["spec"]["leaseTransitions"] == 0
    taken = held(lease, "b", 15, NOW)
    assert taken["spec"]["leaseTransitions"] == 1
    assert taken["spec"]["strategy"] == "theirs"
    assert holder_of(released(taken, NOW)) == ""


@pytest.mark.parametrize(
    "spec", [None, {}, {"holderIdentity": None}, {"leaseDurationSeconds": "x"}]
)
def test_a_lease_without_contents_is_nobodys(spec: object) -> None:
    lease = {"spec": spec}
    assert holder_of(lease) == ""
    assert duration_of(lease, 7.0) == 7.0
    assert held(lease, "a", 15, NOW)["spec"]["leaseTransitions"] == 1
