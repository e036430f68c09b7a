"""``python -m controller``: the operator. Exit codes: 0 stopped, 1 ours or lost, 2 the user's."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import uuid

from controller.kube.client import Client
from controller.kube.errors import ConfigError, KubeError
from controller.settings import OperatorSettings, SettingsError, read_settings
from controller.shell.logs import configure_logging
from controller.shell.operator import Operator

log = logging.getLogger("controller")

OK, OURS, USERS = 0, 1, 2
COLLECT_AFTER = (20_000, 20, 50)
"""A decision makes thousands of short-lived objects; with Python's 700 a tenth of its time goes
into looking for cycles among them."""


def main() -> int:
    """Run until SIGTERM or until leadership is lost; returns the exit code."""
    try:
        settings = read_settings(sys.argv[1:], os.environ)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return USERS
    configure_logging(settings.log_level)
    gc.set_threshold(*COLLECT_AFTER)
    return asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        client = await Client.connect(
            kubeconfig=settings.kubeconfig, request_timeout_s=request_timeout_s(settings)
        )
    except ConfigError as error:
        log.error("%s", error)  # noqa: TRY400 - the user's mistake needs no traceback
        return USERS
    try:
        await Operator(client, settings, identity()).run(stop)
    except (KubeError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - the message says it all
        return OURS
    except Exception:
        log.exception("the operator cannot go on; it starts again from what is stored")
        return OURS
    finally:
        await client.close()
    log.info("stopped")
    return OK


def identity() -> str:
    """A name for this process that no other one has, before or after it."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


def request_timeout_s(settings: OperatorSettings) -> float:
    """A write must end before the lease can pass to another."""
    return min(5.0, settings.lease_duration_s - settings.lease_renew_s)


if __name__ == "__main__":
    sys.exit(main())
