"""An API server that knows its lines: a missing or an extra call fails the test."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web

from controller.kube.backoff import Backoff
from controller.kube.client import Client

DEADLINE_S = 10.0


@dataclass
class Answer:
    """What one call gets."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=self.status, body=self.body, headers=dict(self.headers))


@dataclass
class Hang(Answer):
    """Nothing, ever."""

    async def send(self, _request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError


@dataclass
class Reset(Answer):
    """A connection torn down before an answer."""

    async def send(self, request: web.Request) -> web.StreamResponse:
        request.transport.abort()
        return web.Response()


@dataclass
class Stream(Answer):
    """Pieces of a watch, and then its end: "close", "hang", or "abort" in the middle."""

    pieces: tuple[bytes, ...] = ()
    then: str = "close"

    async def send(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
        if self.then == "hang":
            await asyncio.Event().wait()
        if self.then == "abort":
            request.transport.abort()
        return response


def a_json(document: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(document).encode(), headers)


def a_status(code: int, reason: str, message: str = "no", **headers: str) -> Answer:
    return a_json(_status(code, reason, message), code, **headers)


def a_watch(*events: tuple[str, object], then: str = "close") -> Stream:
    lines = (json.dumps({"type": t, "object": o}).encode() + b"\n" for t, o in events)
    return Stream(pieces=tuple(lines), then=then)


def an_error_event(code: int, reason: str = "") -> tuple[str, object]:
    return ("ERROR", _status(code, reason, "no"))


def a_bookmark(version: str) -> tuple[str, object]:
    return ("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}})


def an_object(
    name: str, version: str = "1", namespace: str = "ns", **fields: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": version, "uid": name}
    return {"metadata": metadata, **fields}


def a_list(*items: object, version: str = "10", page: str = "") -> Answer:
    return a_json({"metadata": {"resourceVersion": version, "continue": page}, "items": items})


def _status(code: int, reason: str, message: str) -> dict[str, object]:
    return {"kind": "Status", "code": code, "reason": reason, "message": message}


@dataclass
class Call:
    """One call as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Line:
    method: str
    path: str
    query: Mapping[str, str]
    answer: Answer

    def is_for(self, call: Call) -> bool:
        return (self.method, self.path) == (
            call.method,
            call.path,
        ) and self.query.items() <= call.query.items()


class Scripted:
    """Enter it to serve; leave it to have the script checked."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self._script: list[_Line] = []
        self._extra: list[str] = []

    def expect(
        self, method: str, path: str, answer: Answer, query: Mapping[str, str] | None = None
    ) -> None:
        self._script.append(_Line(method, path, query or {}, answer))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self._runner.cleanup()
        if kind is None:
            assert not self._extra, f"calls that nobody expected: {self._extra}"
            left = [f"{line.method} {line.path} {line.query}" for line in self._script]
            assert not left, f"calls that never came: {left}"

    async def played(self) -> None:
        """Returns when every line was asked for."""
        await self.until(lambda: not self._script)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.002)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = Call(
            request.method, request.path, dict(request.query), request.headers, await request.read()
        )
        self.calls.append(call)
        line = next((line for line in self._script if line.is_for(call)), None)
        if line is None:
            self._extra.append(f"{call.method} {call.path} {call.query}")
            return web.Response(status=500)
        self._script.remove(line)
        return await line.answer.send(request)


class Unhurried(Backoff):
    """Notes the pauses and takes none of them."""

    def __init__(self) -> None:
        super().__init__(chance=lambda: 0.0)
        self.pauses: list[float] = []

    def next_s(self, error: Exception | None = None) -> float:
        self.pauses.append(super().next_s(error))
        return 0.001


def a_kubeconfig(path: Path, url: str, user: dict[str, Any], **cluster: Any) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


async def a_client(folder: Path, url: str, timeout_s: float = DEADLINE_S) -> Client:
    kubeconfig = a_kubeconfig(folder / "kubeconfig", url, {"token": "t0ken"})
    return await Client.connect(kubeconfig=kubeconfig, request_timeout_s=timeout_s)
