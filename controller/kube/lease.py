"""Leadership by a Lease: client-go's protocol, without its reading of other machines' clocks.

The lease passes on when nobody saw it change for its duration, by the watcher's own clock. So the
holder counts from before its last good write, and the boot-time clock counts while a machine
sleeps. Reads before a write and a resource version in the write keep two takers apart.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import msgspec

from controller.kube.backoff import Backoff
from controller.kube.client import Client
from controller.kube.clock import boot_s, utc_now
from controller.kube.errors import ApiError, KubeError
from controller.kube.leaserecord import (
    Document,
    duration_of,
    held,
    holder_of,
    new_lease,
    released,
    spec_of,
)
from controller.kube.resources import LEASES

log = logging.getLogger(__name__)


TROUBLE_RETRIES = 4
"""Of the usual pause between two tries is the longest one in an outage."""
LATE_S = 0.01
"""After the end of a lease, so that it has surely ended."""


def candidate_pause_s(retry_s: float, lapses_s: float, chance: float) -> float:
    """Between two looks at a lease that somebody else holds.

    A quarter shorter or longer than the setting, so that candidates that started together do not
    ask together; and never past the moment in which the lease lapses.
    """
    pause_s = retry_s * (0.75 + chance / 2)
    return min(pause_s, lapses_s + LATE_S) if lapses_s > 0 else pause_s


class LeadershipLost(KubeError):  # noqa: N818 - an end, not an error of a request
    """The lease could not be renewed in time, or someone else holds it."""


class Elector:
    """One process's part in an election; run once.

    ``identity`` must be of this process alone: a pod's name and something random.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        duration_s: float = 15.0,
        renew_s: float = 10.0,
        retry_s: float = 2.0,
        clock: Callable[[], float] = boot_s,
    ) -> None:
        if not duration_s > renew_s > retry_s > 0:
            raise ValueError(
                f"lease of {duration_s} s, renewed within {renew_s} s, tried every {retry_s} s:"
                " each time must be longer than the next"
            )
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration_s = duration_s
        self._renew_s = renew_s
        self._retry_s = retry_s
        self._clock = clock
        self._known: Document | None = None  # as last read or written; None when that is unsure
        self._seen: Document = {}  # the spec that was last seen to differ from the one before
        self._seen_at = clock()
        self._renewed_at: float | None = None  # before the last good write; None: not the leader

    def is_leader(self) -> bool:
        """False from the moment at which the lease could have passed on; asked before writes."""
        at = self._renewed_at
        return at is not None and self._clock() - at < self._duration_s

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Waits for the lease and runs ``lead`` while it is ours.

        Returns when ``lead`` does. When cancelled, ``lead`` is cancelled and the lease is renewed
        until it has ended, then released.

        Raises:
            LeadershipLost: after ``lead`` was cancelled. It is given what is left of the lease to
                end; the process should exit.
        """
        await self._acquire()
        log.info("%s leads by lease %s/%s", self._identity, self._namespace, self._name)
        leading = asyncio.ensure_future(lead())
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.wait({leading, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leading.cancel()
            # renewing goes on meanwhile: nobody else is to start before lead has ended
            await self._ended(leading, renewing)
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            if leading.done():
                await self._release()
        if not renewing.cancelled():
            renewing.result()  # raises LeadershipLost
        if not leading.cancelled():
            leading.result()

    async def _acquire(self) -> None:
        trouble = Backoff(self._retry_s, TROUBLE_RETRIES * self._retry_s)
        while not await self._tried(self._renew_s):
            pause_s = self._pause_s(trouble)
            await asyncio.sleep(pause_s)

    def _pause_s(self, trouble: Backoff) -> float:
        """By what the lease says; while the server says nothing, ever longer."""
        if self._known is None:
            return trouble.next_s()
        trouble.reset()
        # not for secrets: it only spreads load
        chance = random.random()  # noqa: S311
        return candidate_pause_s(self._retry_s, self._lapses_s(), chance)

    def _lapses_s(self) -> float:
        """Until another's lease is free if nothing is heard of it; nothing is known: 0."""
        if self._known is None or not self._is_anothers(self._known):
            return 0.0
        return self._seen_at + duration_of(self._known, self._duration_s) - self._clock()

    async def _ended(self, leading: asyncio.Future[None], renewing: asyncio.Task[None]) -> None:
        """Waits for ``leading``; when the lease is lost not beyond its end."""
        await asyncio.wait({leading, renewing}, return_when=asyncio.FIRST_COMPLETED)
        if not leading.done():
            await asyncio.wait({leading}, timeout=self._duration_s - self._renew_s)
        if leading.done() and not leading.cancelled():
            leading.exception()  # asked for, so that asyncio does not complain of it

    async def _renew(self) -> None:
        """Until the lease is lost."""
        while True:
            await asyncio.sleep(min(self._retry_s, max(0.0, self._left_s())))
            if await self._tried(max(0.0, self._left_s())):
                continue
            holder = holder_of(self._known) if self._known is not None else self._identity
            if holder != self._identity:
                self._renewed_at = None
                raise LeadershipLost(f"lease {self._namespace}/{self._name}: {holder!r} holds it")
            if self._left_s() <= 0:
                raise LeadershipLost(
                    f"lease {self._namespace}/{self._name}: not renewed for {self._renew_s} s"
                )

    def _left_s(self) -> float:
        """Until renewing must have succeeded."""
        return (self._renewed_at or 0.0) + self._renew_s - self._clock()

    async def _tried(self, limit_s: float) -> bool:
        """One try at taking or renewing, errors and all."""
        sent_at = self._clock()
        try:
            async with asyncio.timeout(limit_s):
                is_ours = await self._claim(self._renew_s / 2)
        except (KubeError, TimeoutError, msgspec.DecodeError) as error:
            self._known = None
            said = str(error) or f"the API server gave no answer within {limit_s:.1f} s"
            log.warning("lease %s/%s: %s", self._namespace, self._name, said)
            return False
        if is_ours:
            self._renewed_at = sent_at
        return is_ours

    async def _claim(self, timeout_s: float) -> bool:
        """Writes our name into the lease if it is free or ours."""
        if self._known is None or holder_of(self._known) != self._identity:
            self._known = await self._read(timeout_s)
        if self._known is None:
            lease = new_lease(
                self._namespace, self._name, self._identity, self._duration_s, utc_now()
            )
            body = msgspec.json.encode(lease)
            answer = self._client.create(LEASES, self._namespace, body, timeout_s=timeout_s)
            return self._took(await answer)
        if self._is_anothers(self._known):
            return False
        lease = held(self._known, self._identity, self._duration_s, utc_now())
        return self._took(await self._write(lease, timeout_s))

    async def _read(self, timeout_s: float) -> Document | None:
        try:
            body = await self._client.get(LEASES, self._namespace, self._name, timeout_s=timeout_s)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        lease: Document = msgspec.json.decode(body, type=dict)
        if spec_of(lease) != self._seen:
            self._seen, self._seen_at = spec_of(lease), self._clock()
        return lease

    def _is_anothers(self, lease: Document) -> bool:
        if holder_of(lease) in {"", self._identity}:
            return False
        return self._clock() - self._seen_at < duration_of(lease, self._duration_s)

    async def _write(self, lease: Document, timeout_s: float) -> bytes:
        body = msgspec.json.encode(lease)
        return await self._client.replace(
            LEASES, self._namespace, self._name, body, timeout_s=timeout_s
        )

    def _took(self, body: bytes) -> bool:
        self._known = msgspec.json.decode(body, type=dict)
        return True

    async def _release(self) -> None:
        """So that the next one need not wait; what fails here only costs it that wait."""
        was_leader, self._renewed_at = self.is_leader(), None
        if not was_leader or self._known is None:
            return
        try:
            await self._write(released(self._known, utc_now()), self._retry_s)
        except KubeError as error:
            log.warning("lease %s/%s was not released: %s", self._namespace, self._name, error)
