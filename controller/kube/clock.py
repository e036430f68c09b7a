"""The clocks of this layer."""

import time
from datetime import UTC, datetime


def boot_s() -> float:
    """Seconds since boot, time asleep included: a lease passes on while a machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc_now() -> datetime:
    """For stamps that people read; nothing is decided by it."""
    return datetime.now(UTC)


def micro_time(moment: datetime) -> str:
    """As the API writes a MicroTime: always UTC, always six digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
