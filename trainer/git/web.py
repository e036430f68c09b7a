"""Connections: verified TLS, the environment's proxy, timeouts, and no login for other hosts."""

import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from trainer.contract.failures import FailureClass
from trainer.git.place import CA, Place

TIMEOUT = urllib3.Timeout(connect=10.0, read=30.0)
"""A server that packs says every 5 s that it is alive."""

MAX_REDIRECTS = 5
PRIVATE = ("Authorization", "Cookie", "Proxy-Authorization")
AGENT = "git/2 (tunekeeper)"
"""Some servers answer as smart ones only what calls itself git."""


def connections(place: Place, url: str = "") -> urllib3.PoolManager:
    """A pool for the place, or for a URL that it named, through the proxy that is for that host.

    Raises:
        StageError: the Secret's certificates cannot be read.
    """
    settings: dict[str, Any] = {
        "headers": {"User-Agent": AGENT},
        "timeout": TIMEOUT,
        "retries": following(PRIVATE),
        "ssl_context": trusting(place),
    }
    parts = urlsplit(url or place.url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc):
        return urllib3.PoolManager(**settings)
    login = urlsplit(proxy)
    if login.username is not None:
        pair = f"{login.username}:{login.password or ''}"
        settings["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=pair)
    return urllib3.ProxyManager(proxy, **settings)


def following(private: Iterable[str]) -> urllib3.Retry:
    """Follow redirects, without these headers to another host; tries are counted elsewhere."""
    return urllib3.Retry(
        total=None,
        connect=0,
        read=0,
        status=0,
        other=0,
        redirect=MAX_REDIRECTS,
        remove_headers_on_redirect=frozenset(private),
    )


def trusting(place: Place) -> ssl.SSLContext:
    """The system's authorities, and those of the Secret."""
    context = ssl.create_default_context()
    if place.ca:
        try:
            context.load_verify_locations(cadata=place.ca)
        except ssl.SSLError:
            reason = f"the Secret's {CA} holds no PEM certificate; put the authority's there"
            raise place.error(FailureClass.INVALID_SPEC, reason) from None
    return context
