"""Who we are in a request, kept fresh: tokens rotate while a controller runs."""

import asyncio
import logging
import time
from collections.abc import Callable

from controller.kube.access import Access
from controller.kube.errors import ConfigError

log = logging.getLogger(__name__)

# The kubelet renews a pod's token with a fifth of its life left, plugins' tokens are renewed five
# minutes before their end: once a minute is in time for both.
REFRESH_S = 60.0
# A server that refuses everybody must not make us start a plugin for every request.
REFUSED_REFRESH_S = 10.0


class Credentials:
    """The value of the Authorization header. Client certificates are ``on_reload``'s matter."""

    def __init__(
        self,
        access: Access,
        *,
        on_reload: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access = access
        self._on_reload = on_reload
        self._clock = clock
        self._read_at = clock()
        self._is_refused = False
        self._reading: asyncio.Task[None] | None = None

    async def authorization(self) -> str:
        """Empty when a certificate, or nothing, says who we are."""
        if self._is_due():
            await self._refresh()
        # a token file usually ends with a newline, which no header may hold
        return str(self._access.configuration.api_key.get("BearerToken") or "").strip()

    def refused(self) -> None:
        """The server answered 401."""
        self._is_refused = True

    async def close(self) -> None:
        """Ends a refresh under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _is_due(self) -> bool:
        age_s = self._clock() - self._read_at
        return age_s >= (REFUSED_REFRESH_S if self._is_refused else REFRESH_S)

    async def _refresh(self) -> None:
        """One for all who ask; it goes on when one of them has no more time to wait."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        refused, self._is_refused = self._is_refused, False
        try:
            await self._access.reload(refused)
            self._on_reload()
        except (ConfigError, OSError) as error:  # the old ones may still do
            log.warning("credentials were not refreshed: %s", error)
        self._read_at = self._clock()
