"""Polls the progress of running stages. One that hangs or talks nonsense never delays another.

Every period each running pod is asked at most once, and never while it still owes an answer. A
pod that gave none is asked less and less often, up to every 30 s: it is the trainer's own
watchdog that ends a stalled process.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from controller.core.heard import MAX_PROGRESS_BYTES, Speaker, heard_progress
from controller.kube.objects import Key
from trainer.contract.progress import Progress

TIMEOUT_S = 1.5
CONCURRENT = 32
NEWS_S = 30.0
"""Progress that did not move by a percent is still news after this long."""
QUIET_S = 30.0
"""The longest pause before a pod that gave no answer is asked again."""


@dataclass(frozen=True)
class Target:
    """A running pod of an attempt that a status records."""

    key: Key
    speaker: Speaker
    address: str
    """IP address of the pod."""


@dataclass
class _Known:
    """What is known of one pod."""

    progress: Progress | None = None
    told_s: float = 0.0
    """When its object was last woken."""
    failures: int = 0
    ask_again_s: float = 0.0


@dataclass
class Poller:
    """The newest progress of each running pod."""

    targets: Callable[[], list[Target]]
    wake: Callable[[Key], None]
    port: int
    period_s: float
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, _Known] = field(default_factory=dict)
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT))

    def progress(self) -> dict[str, Progress]:
        """By pod uid."""
        return {uid: known.progress for uid, known in self._known.items() if known.progress}

    def progress_of(self, pod_uid: str) -> Progress | None:
        """The newest that the pod told."""
        known = self._known.get(pod_uid)
        return known.progress if known else None

    async def run(self) -> None:
        """Poll until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=CONCURRENT, force_close=True)
        async with aiohttp.ClientSession(
            timeout=timeout,
            connector=connector,
            trust_env=False,
            auto_decompress=False,  # a small body must not become a big one
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            try:
                while True:
                    self._ask_everyone(session)
                    await asyncio.sleep(self.period_s)
            finally:
                await self._stop_asking()

    def _ask_everyone(self, session: aiohttp.ClientSession) -> None:
        targets = {target.speaker.pod_uid: target for target in self.targets()}
        for gone in self._known.keys() - targets.keys():
            del self._known[gone]
        now_s = self.clock()
        for uid, target in targets.items():
            known = self._known.setdefault(uid, _Known())
            if uid not in self._asking and known.ask_again_s <= now_s:
                task = asyncio.create_task(self._ask(session, target, known), name=uid)
                self._asking[uid] = task
                task.add_done_callback(self._answered)

    async def _ask(self, session: aiohttp.ClientSession, target: Target, known: _Known) -> None:
        async with self._places:
            body = await fetch(session, progress_url(target.address, self.port))
        heard = None if body is None else heard_progress(body, target.speaker)
        if heard is None:
            known.failures += 1
            pause_s = min(QUIET_S, self.period_s * 2.0 ** min(known.failures, 10))
            known.ask_again_s = self.clock() + pause_s
            return
        known.failures = 0
        self._take(heard, target, known)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._asking.pop(task.get_name(), None)

    def _take(self, heard: Progress, target: Target, known: _Known) -> None:
        now_s = self.clock()
        is_news = is_worth_telling(known.progress, heard, age_s=now_s - known.told_s)
        if is_news:
            known.progress, known.told_s = heard, now_s
            self.wake(target.key)

    async def _stop_asking(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_worth_telling(told: Progress | None, heard: Progress, *, age_s: float) -> bool:
    """Whether people can see a difference: another whole percent, or much time has passed."""
    return told is None or int(told.percent) != int(heard.percent) or age_s >= NEWS_S


def progress_url(address: str, port: int) -> str:
    """Where a pod serves its progress."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/progress"


async def fetch(session: aiohttp.ClientSession, url: str) -> bytes | None:
    """The body of a plain 200 answer, at most one byte more than is allowed; else None."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                return None
            return await _bounded(answer.content)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    body = b""
    while len(body) <= MAX_PROGRESS_BYTES:
        chunk = await stream.read(MAX_PROGRESS_BYTES + 1 - len(body))
        if not chunk:
            break
        body += chunk
    return body
