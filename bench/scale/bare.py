"""The bare client that the operator is measured against: raw requests, so many at once.

It reads nothing, keeps nothing and decides nothing; the bodies are the operator's own.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from cluster.api import Api

WIDTH = 32
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Bare:
    """One session; as many connections as requests are under way."""

    session: aiohttp.ClientSession
    root: str

    async def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of a good answer; anything else ends the bench."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        url = self.root + path
        async with self.session.request(method, url, data=body, headers=headers) as answer:
            said = await answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {said[:300]!r}"  # noqa: S101, PLR2004
            return said

    async def lines(self, path: str, *, accept: str = METADATA_ONLY) -> AsyncIterator[bytes]:
        """Of a watch, until it is closed."""
        url, headers = self.root + path, {"Accept": accept}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(url, headers=headers, timeout=timeout) as answer:
            rest = b""
            async for piece in answer.content.iter_any():
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    yield line


@asynccontextmanager
async def bare(api: Api, width: int = WIDTH) -> AsyncIterator[Bare]:
    """A client with the rights of whoever the API's token is."""
    tls = ssl.create_default_context(cafile=str(api.ca_file))
    connector = aiohttp.TCPConnector(limit=width + 4, ssl=tls)
    headers = {"Authorization": f"Bearer {api.token}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Bare(session, f"https://{api.host}:{api.port}")


async def each(
    items: Iterable[ItemT], act: Callable[[ItemT], Awaitable[object]], width: int = WIDTH
) -> None:
    """Every item once, so many at a time."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(work())
