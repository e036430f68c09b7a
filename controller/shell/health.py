"""/healthz, /readyz and /metrics over HTTP.

Answering at all shows that the event loop turns; one that stands still more often than not is
started anew. An API server that cannot be reached makes
nobody unhealthy: a restart would only lose the caches. A single watch that is silent while the
others are not is a fault of ours, and a restart mends it.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from controller.shell.pulse import MOST_LOST_S

SILENT_S = 300.0
FRESH_S = 90.0
"""A watch that is well hears from the server at least this often."""

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True)
class Health:
    """What the endpoints ask of the operator."""

    is_ready: Callable[[], bool]
    silences_s: Callable[[], Mapping[str, float]]
    """Seconds since the server last said anything, by resource."""
    render_metrics: Callable[[], bytes]
    lost_s: Callable[[], float] = lambda: 0.0
    """Of the last minute: seconds in which the event loop stood still."""


def stuck(silences_s: Mapping[str, float]) -> list[str]:
    """The resources whose watch is silent while another one is not."""
    if min(silences_s.values(), default=0.0) > FRESH_S:
        return []
    return [name for name, seconds in silences_s.items() if seconds > SILENT_S]


async def serve_health(
    stack: AsyncExitStack, health: Health, *, health_address: str, metrics_address: str
) -> None:
    """Serve until the stack is closed.

    Raises:
        OSError: an address cannot be listened on.
    """
    routes: dict[str, list[web.RouteDef]] = {}
    routes.setdefault(health_address, []).extend(
        [web.get("/healthz", _healthz(health)), web.get("/readyz", _readyz(health))]
    )
    routes.setdefault(metrics_address, []).append(web.get("/metrics", _metrics(health)))
    for address, served in routes.items():
        await _serve(stack, address, served)


async def _serve(stack: AsyncExitStack, address: str, routes: list[web.RouteDef]) -> None:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    host, _, port = address.rpartition(":")
    await web.TCPSite(runner, host.strip("[]"), int(port)).start()


def _healthz(health: Health) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        silent = stuck(health.silences_s())
        if silent:
            return web.Response(status=500, text=f"no word about {', '.join(silent)}\n")
        lost_s = health.lost_s()
        if lost_s > MOST_LOST_S:
            told = f"the event loop stood still for {lost_s:.0f} s of the last minute\n"
            return web.Response(status=500, text=told)
        return web.Response(text="ok\n")

    return answer


def _readyz(health: Health) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        if not health.is_ready():
            return web.Response(status=503, text="the caches are not filled yet\n")
        return web.Response(text="ok\n")

    return answer


def _metrics(health: Health) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=health.render_metrics(), headers={"Content-Type": TEXT_FORMAT})

    return answer
