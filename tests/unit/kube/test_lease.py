"""Who leads, by a Lease on a server that guards its versions; short leases in real time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from unit.kube.scripted import a_client

from controller.kube.client import Client
from controller.kube.lease import Elector, LeadershipLost

PATH = "/apis/coordination.k8s.io/v1/namespaces/sys/leases"
TIMES = {"duration_s": 2.0, "renew_s": 1.0, "retry_s": 0.05}


class LeaseServer:
    """One Lease, optimistic locking, and troubles to switch on."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.writes = 0
        self.trouble = ""
        self.url = ""

    @property
    def holder(self) -> str:
        return self.lease["spec"]["holderIdentity"] if self.lease else ""

    def take(self, who: str, **spec: Any) -> None:
        """Someone who is not one of our electors."""
        self.writes += 1
        self.lease = {
            "metadata": {"name": "l", "resourceVersion": str(self.writes), "labels": {"a": "b"}},
            "spec": {"holderIdentity": who, "leaseDurationSeconds": 1, **spec},
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.trouble == "hang":
            await asyncio.Event().wait()
        if self.trouble == "reset":
            request.transport.abort()
        if self.trouble == "page":
            return web.Response(status=502, text="<html>")
        if request.method == "GET":
            return self._answer(200) if self.lease else _refused(404, "NotFound")
        sent = json.loads(await request.read())
        if request.method == "POST" and self.lease is not None:
            return _refused(409, "AlreadyExists")
        if request.method == "PUT" and not self._is_current(sent):
            return _refused(409, "Conflict")
        self.writes += 1
        self.lease = sent
        self.lease["metadata"]["resourceVersion"] = str(self.writes)
        return self._answer(201)

    def _is_current(self, sent: dict[str, Any]) -> bool:
        assert self.lease is not None
        return sent["metadata"]["resourceVersion"] == self.lease["metadata"]["resourceVersion"]

    def _answer(self, status: int) -> web.Response:
        return web.json_response(self.lease, status=status)


def _refused(code: int, reason: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "reason": reason}, status=code)


@asynccontextmanager
async def lease_server(folder: Path) -> AsyncIterator[tuple[LeaseServer, Client]]:
    server = LeaseServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = await a_client(folder, server.url)
    try:
        yield server, client
    finally:
        await client.close()
        await runner.cleanup()


class Leader:
    """An elector and the work it leads."""

    def __init__(self, client: Client, identity: str, **more: Any) -> None:
        self.elector = Elector(
            client, namespace="sys", name="l", identity=identity, **{**TIMES, **more}
        )
        self.starts = 0
        self.ends = 0
        self.was_leader_at_end = False
        self.task = asyncio.create_task(self.elector.run(self._lead))

    async def _lead(self) -> None:
        self.starts += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ends += 1
            self.was_leader_at_end = self.elector.is_leader()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.002)


def play(folder: Path, script: Callable[[LeaseServer, Client], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(30.0), lease_server(folder) as (server, client):
            await script(server, client)

    asyncio.run(scenario())


def test_the_first_creates_the_lease_leads_and_releases_it_at_its_end(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leader = Leader(client, "a")
        assert not leader.elector.is_leader()
        await until(lambda: leader.starts == 1)
        assert leader.elector.is_leader()
        assert server.holder == "a"
        await leader.end()
        assert leader.ends == 1
        assert server.holder == ""
        assert not leader.elector.is_leader()

    play(tmp_path, script)


def test_the_lease_is_renewed_while_it_is_led(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leader = Leader(client, "a")
        await until(lambda: server.writes >= 5)
        assert server.lease is not None
        assert server.lease["spec"]["leaseTransitions"] == 0
        assert leader.elector.is_leader()
        await leader.end()

    play(tmp_path, script)


def test_a_second_one_waits_and_starts_only_after_the_first_has_ended(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        first = Leader(client, "a")
        await until(lambda: first.starts == 1)
        second = Leader(client, "b")
        seen = server.writes
        await until(lambda: server.writes > seen + 40)  # 40 renewals: a whole lease's duration
        assert second.starts == 0
        await first.end()
        await until(lambda: second.starts == 1)
        assert server.lease is not None
        assert server.lease["spec"]["leaseTransitions"] == 1
        await second.end()

    play(tmp_path, script)


def test_a_dead_holders_lease_is_taken_when_it_was_unchanged_for_its_duration(
    tmp_path: Path,
) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        # its clock is years ahead, which says nothing
        server.take("dead", renewTime="2999-01-01T00:00:00.000000Z", leaseTransitions=4)
        started = asyncio.get_running_loop().time()
        leader = Leader(client, "a")
        await until(lambda: leader.starts == 1)
        assert asyncio.get_running_loop().time() - started >= 1.0
        assert server.lease is not None
        assert server.lease["spec"]["leaseTransitions"] == 5
        assert server.lease["metadata"]["labels"] == {"a": "b"}
        await leader.end()

    play(tmp_path, script)


@pytest.mark.parametrize("trouble", ["hang", "reset", "page"])
def test_trouble_while_renewing_ends_leading_before_the_lease_can_pass_on(
    tmp_path: Path, trouble: str
) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leader = Leader(client, "a")
        await until(lambda: leader.starts == 1)
        server.trouble = trouble
        with pytest.raises(LeadershipLost, match=r"not renewed for 1\.0 s"):
            await leader.task
        assert leader.was_leader_at_end  # so nobody else could have started yet

    play(tmp_path, script)


def test_trouble_that_passes_in_time_costs_nothing(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leader = Leader(client, "a")
        await until(lambda: leader.starts == 1)
        server.trouble = "page"
        clock = asyncio.get_running_loop()
        began = clock.time()
        await until(lambda: clock.time() > began + 0.15)
        server.trouble = ""
        seen = server.writes
        await until(lambda: server.writes > seen + 2)
        assert (leader.starts, leader.ends) == (1, 0)
        await leader.end()

    play(tmp_path, script)


def test_a_lease_that_someone_else_took_is_lost_at_once(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leader = Leader(client, "a")
        await until(lambda: leader.starts == 1)
        server.take("thief")
        with pytest.raises(LeadershipLost, match="'thief' holds it"):
            await leader.task
        assert leader.ends == 1
        assert not leader.elector.is_leader()
        assert server.holder == "thief"

    play(tmp_path, script)


def test_an_edit_by_someone_else_or_a_deletion_is_survived(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leader = Leader(client, "a")
        await until(lambda: leader.starts == 1)
        server.take("a", note="kubectl annotate")
        seen = server.writes
        await until(lambda: server.writes > seen + 2)
        server.lease = None
        await until(lambda: server.lease is not None)
        assert (leader.starts, leader.ends) == (1, 0)
        await leader.end()

    play(tmp_path, script)


def test_time_asleep_counts(tmp_path: Path) -> None:
    """A suspended machine wakes up as no leader, before it has asked anybody."""
    asleep = [0.0]

    async def script(_server: LeaseServer, client: Client) -> None:
        clock = asyncio.get_running_loop().time
        leader = Leader(client, "a", clock=lambda: clock() + asleep[0])
        await until(lambda: leader.starts == 1)
        asleep[0] = 5.0
        assert not leader.elector.is_leader()
        with pytest.raises(LeadershipLost):
            await leader.task

    play(tmp_path, script)


def test_the_lease_is_kept_until_work_that_ends_slowly_has_ended(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        started, may_end = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                await may_end.wait()

        elector = Elector(client, namespace="sys", name="l", identity="a", **TIMES)
        task = asyncio.create_task(elector.run(slow))
        await started.wait()
        task.cancel()
        seen = server.writes
        await until(lambda: server.writes > seen + 20)
        assert server.holder == "a"
        assert elector.is_leader()
        may_end.set()
        await asyncio.gather(task, return_exceptions=True)
        assert server.holder == ""

    play(tmp_path, script)


def test_work_that_does_not_end_is_left_when_the_lease_is_lost(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        released_it = asyncio.Event()

        async def stubborn() -> None:
            while not released_it.is_set():
                try:
                    await released_it.wait()
                except asyncio.CancelledError:
                    continue

        elector = Elector(client, namespace="sys", name="l", identity="a", **TIMES)
        task = asyncio.create_task(elector.run(stubborn))
        await until(elector.is_leader)
        server.trouble = "page"
        with pytest.raises(LeadershipLost):
            await task
        assert not elector.is_leader()
        released_it.set()

    play(tmp_path, script)


@pytest.mark.parametrize("error", [None, ValueError("work")])
def test_the_end_of_the_work_is_the_end_of_leading(tmp_path: Path, error: Exception | None) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        async def work() -> None:
            if error is not None:
                raise error

        elector = Elector(client, namespace="sys", name="l", identity="a", **TIMES)
        if error is None:
            await elector.run(work)
        else:
            with pytest.raises(ValueError, match="work"):
                await elector.run(work)
        assert server.holder == ""

    play(tmp_path, script)


def test_of_two_that_see_a_free_lease_one_gets_it(tmp_path: Path) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leaders = [Leader(client, who) for who in "abcde"]
        await until(lambda: any(leader.starts for leader in leaders))
        seen = server.writes
        await until(lambda: server.writes > seen + 5)
        assert [leader.starts for leader in leaders].count(1) == 1
        assert [leader.elector.is_leader() for leader in leaders].count(True) == 1
        for leader in leaders:
            await leader.end()

    play(tmp_path, script)
