"""The HTTP session of the official client: its TLS and its names, without its surprises."""

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from controller.kube.errors import ConfigError


class Transport(RESTClientObject):
    """Opens sessions for one configuration. Needs a running loop."""

    def open_session(self) -> aiohttp.ClientSession:
        """A new session, its caller's to close."""
        session: aiohttp.ClientSession = self._create_pool_manager()
        return session

    def reload_certificate(self) -> None:
        """New connections show the client certificate that the configuration names now."""
        if self.configuration.cert_file:
            self.ssl_context.load_cert_chain(
                self.configuration.cert_file, keyfile=self.configuration.key_file
            )


def transport_for(configuration: Configuration) -> Transport:
    """The transport for a server.

    Raises:
        ConfigError: a CA bundle, certificate or key cannot be read.
    """
    # trust_env would read ~/.netrc and the proxy variables in a thread for each request, and a
    # netrc entry for the host makes aiohttp refuse our Authorization header
    configuration.client_session_kwargs = {
        "trust_env": False,
        "cookie_jar": aiohttp.DummyCookieJar(),
        "read_bufsize": 2**18,
    }
    configuration.proxy = configuration.proxy or proxy_for(configuration.host)
    try:
        return Transport(configuration)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"TLS for {configuration.host}: a CA bundle, certificate or key cannot be read: {error}"
        ) from error


def proxy_for(host_url: str) -> str | None:
    """The environment's proxy for a server, by HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""
    target = urlsplit(host_url)
    proxies = getproxies()
    if not target.hostname or proxy_bypass(target.netloc) or proxy_bypass(target.hostname):
        return None
    if _is_in_networks(target.hostname, proxies.get("no", "")):
        return None
    return proxies.get(target.scheme)


def _is_in_networks(hostname: str, no_proxy: str) -> bool:
    """Go programs read networks such as 10.0.0.0/8 in NO_PROXY; Python's own rule does not."""
    try:
        address = ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return any(address in network for network in _networks(no_proxy))


def _networks(no_proxy: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for entry in no_proxy.split(","):
        try:
            found.append(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            continue
    return found
