"""Raw bytes to and from an API server.

Takes configuration, TLS and the session from the official client; its models cost a hundred times
what the few fields cost that we read.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from controller.kube.access import find_access
from controller.kube.answers import refusal
from controller.kube.credentials import Credentials
from controller.kube.errors import ApiError, MalformedError, TransportError
from controller.kube.lines import LineTooLongError, lines
from controller.kube.resources import Resource
from controller.kube.session import Transport, transport_for

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
PLAIN = {"Accept-Encoding": "identity"}
"""Beside the server, packing a long list takes longer than sending it, as client-go's own
controllers know."""
_UNTIMED = aiohttp.ClientTimeout(total=None)
NO_ANSWER = "<error>"
"""The code of a request that got none, as client-go counts it."""


class Client:
    """Requests with a deadline each; no retries, no caches.

    But aiohttp sends all but POST and PATCH once more when a connection that was kept turns out to
    be closed, so a PUT may meet its own write as a conflict.
    """

    def __init__(
        self, transport: Transport, credentials: Credentials, *, request_timeout_s: float
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._timeout_s = request_timeout_s
        self.requests: Counter[tuple[str, str]] = Counter()  # by code and method
        self._session = transport.open_session()

    @classmethod
    async def connect(
        cls, *, kubeconfig: str = "", request_timeout_s: float = 5.0, user_agent: str = ""
    ) -> "Client":
        """Ready for requests; the server was not asked anything yet.

        Args:
            kubeconfig: a file, or several as in KUBECONFIG; empty for KUBECONFIG, else the pod's
                service account, else the user's own file.
            request_timeout_s: for each request that names no other.
            user_agent: how audit logs name us.

        Raises:
            ConfigError: there is no usable configuration.
        """
        access = await find_access(kubeconfig)
        transport = transport_for(access.configuration)
        if user_agent:
            transport.configuration.client_session_kwargs["headers"] = {"User-Agent": user_agent}
        credentials = Credentials(access, on_reload=transport.reload_certificate)
        return cls(transport, credentials, request_timeout_s=request_timeout_s)

    @property
    def host(self) -> str:
        """Host and port of the server."""
        return urlsplit(str(self._transport.configuration.host)).netloc

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        timeout_s: float | None = None,
    ) -> bytes:
        """The body of a successful answer.

        Raises:
            ApiError: the server refused.
            TransportError: no whole answer within the time; a write may have happened.
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        headers = {"Content-Type": content_type} if body is not None else {}
        with _transport_errors(f"{method} {path}"):
            async with (
                asyncio.timeout(limit_s),  # from the credentials to the last byte
                self._answer(method, path, query, _UNTIMED, body=body, headers=headers) as answer,
            ):
                return await answer.read()

    async def get(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        timeout_s: float | None = None,
    ) -> bytes:
        """One object."""
        return await self.request("GET", resource.path(namespace, name), timeout_s=timeout_s)

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: bytes,
        *,
        timeout_s: float | None = None,
    ) -> bytes:
        """The object as stored."""
        path = resource.path(namespace)
        return await self.request("POST", path, body=body, timeout_s=timeout_s)

    async def replace(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        subresource: str = "",
        *,
        timeout_s: float | None = None,
    ) -> bytes:
        """The object as stored; a conflict when ``resourceVersion`` in the body has passed."""
        path = resource.path(namespace, name, subresource)
        return await self.request("PUT", path, body=body, timeout_s=timeout_s)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        propagation: str = "Foreground",
    ) -> None:
        """Exactly the object with the uid: another one of the name is a conflict. Gone is fine."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": uid},
        }
        try:
            await self.request(
                "DELETE", resource.path(namespace, name), body=msgspec.json.encode(options)
            )
        except ApiError as error:
            if not error.is_not_found:
                raise

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> bytes:
        """A live list, whole, newer than every write before it. For small ones: it has no pages."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        asked = {name: value for name, value in query.items() if value}
        return await self.request("GET", resource.path(namespace), query=asked)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        query: Mapping[str, str],
        silence_s: float,
    ) -> AsyncGenerator[bytes, None]:
        """Lines of events; first an empty one, as soon as the server has accepted.

        Close it (``contextlib.aclosing``). Raises as ``request`` does, TransportError also when
        nothing arrived for ``silence_s``.
        """
        path = resource.path(namespace)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._timeout_s, sock_read=silence_s
        )
        asked = {**query, "watch": "true"}
        with _transport_errors(f"WATCH {path}"):
            async with self._answer("GET", path, asked, timeout) as answer:
                yield b""
                async for line in lines(answer.content.iter_any()):
                    yield line

    async def close(self) -> None:
        """Ends the connections."""
        await self._credentials.close()
        await self._session.close()

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        timing: aiohttp.ClientTimeout,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer, its body still to be read."""
        configuration = self._transport.configuration
        authorization = await self._credentials.authorization()
        async with (
            self._counted(method) as count,
            self._session.request(
                method,
                URL(configuration.host + path, encoded=True),  # names need no quotes
                params=query,
                data=body,
                headers={
                    **PLAIN,
                    **headers,
                    **({"Authorization": authorization} if authorization else {}),
                },
                timeout=timing,
                allow_redirects=False,  # an API server never does; the credentials stay with it
                proxy=configuration.proxy,
                proxy_headers=configuration.proxy_headers,
                server_hostname=configuration.tls_server_name,
            ) as answer,
        ):
            count(str(answer.status))
            if not answer.ok or answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                raise await self._refusal(f"{method} {path}", answer)
            yield answer

    @asynccontextmanager
    async def _counted(self, method: str) -> AsyncIterator[Callable[[str], None]]:
        """Counts a request as its answer begins, for a watch ends minutes later; or its failure."""
        is_counted = False

        def count(code: str) -> None:
            nonlocal is_counted
            is_counted = True
            self.requests[code, method] += 1

        try:
            yield count
        finally:
            if not is_counted:
                count(NO_ANSWER)

    async def _refusal(self, request: str, answer: aiohttp.ClientResponse) -> ApiError:
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._credentials.refused()
        body = await answer.read()
        return refusal(request, answer.status, body, answer.headers.get("Retry-After"))


class _transport_errors:  # noqa: N801 - used as a statement
    """Names the request in whatever keeps its answer from arriving."""

    def __init__(self, request: str) -> None:
        self._request = request

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, LineTooLongError):
            raise MalformedError(f"{self._request}: {error}") from error
        if isinstance(error, (aiohttp.ClientError, TimeoutError, OSError)):
            told = f": {error}" if str(error) else ""
            raise TransportError(f"{self._request}: {type(error).__name__}{told}") from error
