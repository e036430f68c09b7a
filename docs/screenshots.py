"""Retake the README's pictures of a page: docs/take-screenshots.sh PAGE.html OUTDIR.

A page that is called history.html is the history of an output, any other is a report.

Drives an installed Chromium over its debugging protocol, as its command line cannot make a window
as narrow as a phone. Fails when the page scrolls sideways or asks for anything but itself.
"""
# ruff: noqa: INP001 - a script, not a package

import asyncio
import base64
import contextlib
import itertools
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

Pictures = dict[str, tuple[int, int]]
"""Width and height in pixels, by name."""

REPORT: Pictures = {"report-1280.png": (1280, 1480), "report-390.png": (390, 1240)}
HISTORY: Pictures = {"history-1280.png": (1280, 1430)}
QUIET = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking --no-first-run "
    "--hide-scrollbars"
)
WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"


class Tab:
    """One page, told what to do by numbered messages."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requests: list[str] = []

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command and wait for its answer; requests seen meanwhile are kept."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        answer = await self._until(lambda message: message.get("id") == number)
        result: dict[str, Any] = answer["result"]
        return result

    async def event(self, name: str) -> None:
        """Wait for an event."""
        await self._until(lambda message: message.get("method") == name)

    async def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = await self._socket.receive_json(timeout=30)
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if wanted(message):
                return message


@contextlib.asynccontextmanager
async def open_tab(chromium: str) -> AsyncIterator[Tab]:
    """A page of a new Chromium with an empty profile; both end with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            chromium,
            *QUIET.split(),
            f"--user-data-dir={profile}",
            "--remote-debugging-port=0",
            "about:blank",
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with ClientSession() as session:
                address = await debugging_address(process)
                async with session.get(f"http://{address}/json/list") as answer:
                    pages = [page for page in await answer.json() if page["type"] == "page"]
                url = pages[0]["webSocketDebuggerUrl"]
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    yield Tab(socket)
        finally:
            process.terminate()
            await process.wait()


async def debugging_address(process: asyncio.subprocess.Process) -> str:
    """The host and port that Chromium writes to its error output."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    async for line in process.stderr:
        _, found, rest = line.decode().partition("DevTools listening on ws://")
        if found:
            return rest.split("/")[0]
    raise SystemExit("Chromium ended before it could be reached")


async def take(tab: Tab, url: str, width: int, height: int) -> bytes:
    """A PNG of the top of the page at one width."""
    await tab.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1 if width > 600 else 2,  # noqa: PLR2004 - a phone's screen is fine
        mobile=False,
    )
    await tab.call("Page.navigate", url=url)
    await tab.event("Page.loadEventFired")
    result = await tab.call("Runtime.evaluate", expression=WIDTHS, returnByValue=True)
    needed, given = result["result"]["value"]
    if needed > given:
        raise SystemExit(f"{url}: {needed} px wide in a window of {given} px")
    shot = await tab.call("Page.captureScreenshot", format="png")
    return base64.b64decode(shot["data"])


async def take_all(chromium: str, url: str, pictures: Pictures) -> dict[str, bytes]:
    """Every picture by its name."""
    async with open_tab(chromium) as tab:
        await tab.call("Page.enable")
        await tab.call("Network.enable")
        taken = {name: await take(tab, url, *size) for name, size in pictures.items()}
        if strange := sorted(set(tab.requests) - {url}):
            raise SystemExit(f"{url}: asked for {', '.join(strange)}")
    return taken


def main(chromium: str, page: str, folder: str) -> None:
    """Take every picture and write it."""
    out, path = Path(folder), Path(page).resolve()
    out.mkdir(parents=True, exist_ok=True)
    pictures = HISTORY if path.name == "history.html" else REPORT
    for name, png in asyncio.run(take_all(chromium, path.as_uri(), pictures)).items():
        (out / name).write_bytes(png)
        sys.stdout.write(f"{out / name}: {len(png) // 1000} kB\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
