"""A proxy between one replica of the operator and the API server, which does as a fault says.

The operator speaks plain HTTP to it over loopback, with its token; it speaks TLS to the server.
"""

import asyncio
import http
import json
import ssl
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from aiohttp import web
from cluster.api import Json
from cluster.plane import ControlPlane
from faults.journal import Entry, Journal
from faults.requests import Request, Sort
from faults.watching import Gates

HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "keep-alive"})
LIMIT = 16 << 20


@dataclass(frozen=True)
class Reply:
    """What the operator is told."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


def refusal(status: int, reason: str, message: str, *, retry_after_s: int = 0) -> Reply:
    """As an API server says no."""
    details = {"retryAfterSeconds": retry_after_s} if retry_after_s else {}
    said = status_of(status, reason, message) | {"details": details}
    asked = (("Retry-After", str(retry_after_s)),) if retry_after_s else ()
    return Reply(status, json.dumps(said).encode(), (*Reply(status).headers, *asked))


def status_of(code: int, reason: str, message: str) -> Json:
    """``kind: Status``."""
    told = {"status": "Failure", "message": message, "reason": reason, "code": code}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, **told}


GONE = status_of(http.HTTPStatus.GONE, "Expired", "too old resource version")
GONE_EVENT = json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n"


class Meets(Protocol):
    """Whoever decides what becomes of requests."""

    async def meet(self, line: "Line") -> Reply | None:
        """What the operator is told; None: its connection is cut."""


class Line:
    """One request on its way to the server."""

    def __init__(self, proxy: "Proxy", entry: Entry, headers: dict[str, str]) -> None:
        self.entry = entry
        self.request = entry.request
        self.replica = proxy.replica
        self._proxy = proxy
        self._headers = headers

    async def forward(self) -> Reply:
        """Send it to the server; what the server says."""
        async with self.opened() as answer:
            body = await answer.read()
            self.entry.end = str(answer.status)
            return Reply(answer.status, body, kept(answer))

    def opened(self) -> "aiohttp.client._RequestContextManager":
        """Send it and leave the answer's body to be read."""
        query = f"?{self.request.query}" if self.request.query else ""
        return self._proxy.session.request(
            self.request.method,
            f"{self._proxy.server}{self.request.path}{query}",
            data=self.request.body or None,
            headers=self._headers,
        )


def heard(task: "asyncio.Future[Reply | None]") -> None:
    """Its error is nobody's when the operator is gone."""
    if not task.cancelled():
        task.exception()


def kept(answer: aiohttp.ClientResponse) -> tuple[tuple[str, str], ...]:
    """The headers that are the answer's, not the connection's."""
    return tuple((name, value) for name, value in answer.headers.items() if name.lower() not in HOP)


class Proxy:
    """Of one replica. ``start`` and ``stop`` run in the loop."""

    def __init__(
        self, plane: ControlPlane, replica: str, journal: Journal, gates: Gates, fault: Meets
    ) -> None:
        self.replica = replica
        self.server = plane.url
        self._ca_file = plane.ca_file
        self._journal = journal
        self._gates = gates
        self._fault = fault

    async def start(self) -> int:
        """The port that it listens on."""
        tls = ssl.create_default_context(cafile=self._ca_file)
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        self.session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        )
        self._runner = web.ServerRunner(
            web.Server(self._answered, handler_cancellation=True), shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Cut everything."""
        await self._runner.cleanup()
        await self.session.close()

    async def _answered(self, asked: web.BaseRequest) -> web.StreamResponse:
        body = await asked.read()
        request = Request(asked.method, asked.path, asked.query_string, body)
        entry = self._journal.begin(self.replica, request)
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in HOP}
        line = Line(self, entry, headers)
        try:
            reply = None if self._gates.is_away else await self._met(line, asked)
        except (aiohttp.ClientError, OSError) as error:
            entry.end = f"the server was away: {type(error).__name__}"
            reply = None
        if isinstance(reply, web.StreamResponse):
            return reply
        return self._told(asked, entry, reply)

    async def _met(self, line: Line, asked: web.BaseRequest) -> Reply | web.StreamResponse | None:
        if line.request.sort is not Sort.WATCH:
            # what a fault does goes on when the operator has had enough of waiting
            meeting = asyncio.ensure_future(self._fault.meet(line))
            meeting.add_done_callback(heard)
            return await asyncio.shield(meeting)
        if self._gates.refuses_watch(line.request.resource):
            return refusal(GONE["code"], GONE["reason"], GONE["message"])
        return await self._streamed(line, asked)

    def _told(self, asked: web.BaseRequest, entry: Entry, reply: Reply | None) -> web.Response:
        if reply is None:
            entry.end = f"{entry.end}, and the connection was cut"
            if asked.transport is not None:
                asked.transport.abort()
            return web.Response(status=http.HTTPStatus.BAD_GATEWAY)
        if str(reply.status) != entry.end:
            entry.end = f"answered {reply.status} by the proxy"
        return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))

    async def _streamed(self, line: Line, asked: web.BaseRequest) -> web.StreamResponse | Reply:
        async with line.opened() as answer:
            line.entry.end = str(answer.status)
            if answer.status != http.HTTPStatus.OK:
                return Reply(answer.status, await answer.read(), kept(answer))
            told = web.StreamResponse(status=answer.status, headers=dict(kept(answer)))
            await told.prepare(asked)
            await self._piped(line.request.resource, answer, told)
            return told

    async def _piped(
        self, resource: str, answer: aiohttp.ClientResponse, told: web.StreamResponse
    ) -> None:
        """Until either side ends, or the watches are ended."""
        ending = self._gates.ending()
        pumping = asyncio.ensure_future(self._pumped(resource, answer, told))
        try:
            await asyncio.wait((pumping, ending), return_when=asyncio.FIRST_COMPLETED)
            if ending.done() and ending.result():
                await told.write(ending.result())
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)

    async def _pumped(
        self, resource: str, answer: aiohttp.ClientResponse, told: web.StreamResponse
    ) -> None:
        """What comes is passed on; later while the watch is frozen."""
        async for chunk in answer.content.iter_any():
            await self._gates.passable(resource)
            await told.write(chunk)
