"""Requests: what goes out, what comes back, and how long it may take."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from unit.kube.scripted import (
    Answer,
    Hang,
    Reset,
    Scripted,
    Stream,
    a_client,
    a_json,
    a_kubeconfig,
    a_list,
    a_status,
    a_watch,
)

from controller.kube.client import Client
from controller.kube.errors import ApiError, ConfigError, TransportError
from controller.kube.resources import JOBS, PODS
from controller.kube.session import proxy_for

Script = Callable[[Scripted, Client], Awaitable[None]]


def play(folder: Path, script: Script, timeout_s: float = 10.0) -> Scripted:
    async def scenario() -> Scripted:
        async with Scripted() as server:
            client = await a_client(folder, server.url, timeout_s)
            try:
                await script(server, client)
            finally:
                await client.close()
        return server

    return asyncio.run(scenario())


def test_bytes_go_out_and_come_back_as_they_are(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("POST", "/apis/batch/v1/namespaces/ns/jobs", Answer(201, b"stored"))
        assert await client.create(JOBS, "ns", b'{"a":  1}') == b"stored"

    [call] = play(tmp_path, script).calls
    assert call.body == b'{"a":  1}'
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["Authorization"] == "Bearer t0ken"


def test_a_status_is_replaced_at_its_subresource(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("PUT", "/apis/batch/v1/namespaces/ns/jobs/a/status", a_json({}))
        await client.replace(JOBS, "ns", "a", b"{}", "status")

    play(tmp_path, script)


def test_selectors_are_sent_only_when_there_are_any(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        for _ in range(2):
            server.expect("GET", "/api/v1/pods", a_list())
        await client.list(PODS, None)
        await client.list(PODS, None, label_selector="a/b=c,d in (e,f)", field_selector="x=y")

    plain, selected = play(tmp_path, script).calls
    assert plain.query == {}
    assert selected.query == {"labelSelector": "a/b=c,d in (e,f)", "fieldSelector": "x=y"}


def test_a_delete_names_the_uid_and_how_children_go(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("DELETE", "/apis/batch/v1/namespaces/ns/jobs/a", a_json({}))
        await client.delete(JOBS, "ns", "a", uid="u1")

    [call] = play(tmp_path, script).calls
    options = json.loads(call.body)
    assert options["preconditions"] == {"uid": "u1"}
    assert options["propagationPolicy"] == "Foreground"


def test_deleting_what_is_gone_is_fine_and_what_is_another_is_a_conflict(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        path = "/apis/batch/v1/namespaces/ns/jobs/a"
        server.expect("DELETE", path, a_status(404, "NotFound"))
        server.expect("DELETE", path, a_status(409, "Conflict"))
        await client.delete(JOBS, "ns", "a", uid="u1")
        with pytest.raises(ApiError) as caught:
            await client.delete(JOBS, "ns", "a", uid="u1")
        assert caught.value.is_conflict

    play(tmp_path, script)


def test_a_refusal_carries_the_request_and_the_patience_asked_for(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        answer = a_status(429, "TooManyRequests", "busy", **{"Retry-After": "7"})
        server.expect("GET", "/x", answer)
        with pytest.raises(ApiError, match="GET /x: 429 TooManyRequests: busy") as caught:
            await client.request("GET", "/x")
        assert caught.value.retry_after_s == 7.0

    play(tmp_path, script)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(Hang(), "GET /x: TimeoutError", id="no answer"),
        pytest.param(Stream(pieces=(b"{",), then="hang"), "TimeoutError", id="half an answer"),
    ],
)
def test_every_request_ends_in_time(tmp_path: Path, answer: Answer, told: str) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("GET", "/x", answer)
        with pytest.raises(TransportError, match=told):
            await client.request("GET", "/x", timeout_s=0.1)

    play(tmp_path, script)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reset(), id="reset"),
        pytest.param(Stream(pieces=(b"{",), then="abort"), id="cut off"),
    ],
)
def test_a_torn_connection_is_no_answer(tmp_path: Path, answer: Answer) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("POST", "/x", answer)
        with pytest.raises(TransportError, match="POST /x"):
            await client.request("POST", "/x", body=b"{}")

    play(tmp_path, script)


def test_nobody_listening_is_no_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        client = await a_client(tmp_path, "http://127.0.0.1:1")
        with pytest.raises(TransportError, match="GET /x"):
            await client.request("GET", "/x")
        await client.close()

    asyncio.run(scenario())


def test_redirects_are_refused_so_that_the_token_stays_with_the_server(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("GET", "/x", Answer(302, b"", {"Location": server.url + "/elsewhere"}))
        with pytest.raises(ApiError, match="302 Found"):
            await client.request("GET", "/x")

    play(tmp_path, script)


def test_netrc_and_cookies_have_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password x\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    async def script(server: Scripted, client: Client) -> None:
        for _ in range(2):
            server.expect("GET", "/x", Answer(headers={"Set-Cookie": "a=b"}))
            await client.request("GET", "/x")

    calls = play(tmp_path, script).calls
    assert [call.headers["Authorization"] for call in calls] == ["Bearer t0ken"] * 2
    assert "Cookie" not in calls[1].headers


def test_a_watch_says_when_it_is_open_and_then_gives_its_lines(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("GET", "/api/v1/pods", a_watch(("ADDED", {})), {"watch": "true", "a": "b"})
        watch = client.watch(PODS, None, query={"a": "b"}, silence_s=5.0)
        assert [line async for line in watch] == [b"", b'{"type": "ADDED", "object": {}}']

    play(tmp_path, script)


def test_a_watch_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("GET", "/api/v1/pods", a_watch(("ADDED", {}), then="hang"))
        watch = client.watch(PODS, None, query={}, silence_s=0.1)
        assert [await anext(watch), json.loads(await anext(watch))["type"]] == [b"", "ADDED"]
        with pytest.raises(TransportError, match="WATCH /api/v1/pods: SocketTimeoutError"):
            await anext(watch)

    play(tmp_path, script)


@pytest.mark.parametrize(
    ("no_proxy", "proxy"),
    [
        pytest.param("", "http://proxy:1", id="by the environment"),
        pytest.param("10.1.2.3", None, id="not for this host"),
        pytest.param("localhost, 10.0.0.0/8", None, id="not for its network, as Go reads it"),
        pytest.param("192.168.0.0/16,junk/99", "http://proxy:1", id="for other networks"),
    ],
)
def test_the_proxy_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, proxy: str | None
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_for("https://10.1.2.3:6443") == proxy


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server certificate for the name kube.test, and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    _openssl(
        folder, "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.crt -subj /CN=ca"
    )
    for who, names in (("server", "subjectAltName=DNS:kube.test"), ("client", "")):
        _openssl(
            folder, f"req -newkey rsa:2048 -nodes -keyout {who}.key -out {who}.csr -subj /CN={who}"
        )
        (folder / "ext").write_text(names + "\nauthorityKeyIdentifier=keyid\n")
        _openssl(
            folder,
            f"x509 -req -in {who}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
            f" -extfile ext -out {who}.crt",
        )
    return folder


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607


async def _whoami(certificates: Path, folder: Path, user: dict[str, Any], **cluster: Any) -> bytes:
    """What a TLS server that wants a client certificate says we are."""

    async def name_peer(request: web.Request) -> web.Response:
        peer = request.transport.get_extra_info("peercert")
        return web.Response(text=dict(part[0] for part in peer["subject"])["commonName"])

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.crt")
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_get("/whoami", name_peer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        path = a_kubeconfig(folder / "k", url, user, **cluster)
        client = await Client.connect(kubeconfig=path)
        try:
            return await client.request("GET", "/whoami")
        finally:
            await client.close()
    finally:
        await runner.cleanup()


def test_a_client_certificate_over_tls_with_another_server_name(
    certificates: Path, tmp_path: Path
) -> None:
    user = {
        "client-certificate": str(certificates / "client.crt"),
        "client-key": str(certificates / "client.key"),
    }
    cluster = {
        "certificate-authority": str(certificates / "ca.crt"),
        "tls-server-name": "kube.test",
    }
    assert asyncio.run(_whoami(certificates, tmp_path, user, **cluster)) == b"client"


def test_a_server_of_another_ca_is_not_talked_to(certificates: Path, tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(_whoami(certificates, tmp_path, {"token": "x"}))


def test_a_broken_ca_bundle_is_told(certificates: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TLS for https://127"):
        asyncio.run(
            _whoami(
                certificates, tmp_path, {}, **{"certificate-authority-data": "bm90IGEgY2VydA=="}
            )
        )


def test_requests_are_counted_by_code_and_method_and_a_watch_as_soon_as_it_is_open(
    tmp_path: Path,
) -> None:
    async def script(server: Scripted, client: Client) -> None:
        server.expect("GET", "/x", Answer())
        server.expect("POST", "/x", a_status(409, "AlreadyExists"))
        server.expect("POST", "/x", Reset())
        server.expect("GET", "/api/v1/pods", a_watch(then="hang"))
        await client.request("GET", "/x")
        for error in (ApiError, TransportError):
            with pytest.raises(error):
                await client.request("POST", "/x", body=b"{}")
        watching = client.watch(PODS, None, query={}, silence_s=10.0)
        await anext(watching)
        assert client.requests == {
            ("200", "GET"): 2,
            ("409", "POST"): 1,
            ("<error>", "POST"): 1,
        }
        await watching.aclose()
        assert client.host == server.url.removeprefix("http://")

    play(tmp_path, script)
