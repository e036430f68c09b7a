"""When a service that takes no more requests says that it will: the header Retry-After.

Source: RFC 9110, section 10.2.3.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MAX_S = 86_400
"""Nobody is believed to mean more than a day."""
MAX_DIGITS = 9


def retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Seconds from now; None: it does not say, or nothing that can be read."""
    known = {name.lower(): value.strip() for name, value in headers.items()}
    said = known.get("retry-after", "")
    if said.isascii() and said.isdigit():
        return MAX_S if len(said) > MAX_DIGITS else bounded(int(said))
    return seconds_between(known.get("date", ""), said)


def seconds_between(now: str, then: str) -> int | None:
    """From one HTTP date to another, both by the clock of the service."""
    try:
        wait = parsedate_to_datetime(then) - parsedate_to_datetime(now)
    except (ValueError, TypeError, OverflowError):
        return None
    return bounded(int(wait.total_seconds()))


def bounded(seconds: int) -> int:
    """Neither before now nor out of all reason."""
    return max(0, min(seconds, MAX_S))
