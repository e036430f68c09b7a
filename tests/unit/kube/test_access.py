"""Configuration and credentials, from every place where people keep them."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import incluster_config
from unit.kube.scripted import Scripted, a_json, a_kubeconfig, a_status

from controller.kube.access import Access, find_access
from controller.kube.client import Client
from controller.kube.credentials import Credentials
from controller.kube.errors import ApiError, ConfigError
from controller.kube.session import transport_for

URL = "https://127.0.0.1:1"


async def _authorization(access: Access) -> str:
    return await Credentials(access).authorization()


def _said(kubeconfig: str, environ: dict[str, str] | None = None) -> str:
    async def scenario() -> str:
        return await _authorization(await find_access(kubeconfig, environ or {}))

    return asyncio.run(scenario())


def _plugin(folder: Path, status: dict[str, Any], code: int = 0) -> dict[str, Any]:
    """A credential plugin that also counts its runs in a file."""
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    script = folder / "plugin.py"
    script.write_text(
        f"open({str(folder / 'runs')!r}, 'a').write('x')\n"
        f"print({json.dumps({**answer, 'status': status})!r})\nraise SystemExit({code})\n"
    )
    return {
        "exec": {
            "apiVersion": answer["apiVersion"],
            "command": sys.executable,
            "args": [str(script)],
        }
    }


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        pytest.param({"token": "abc"}, "Bearer abc", id="token"),
        pytest.param({"username": "u", "password": "p"}, "Basic dTpw", id="basic"),
        pytest.param({}, "", id="nobody"),
    ],
)
def test_a_kubeconfig_says_who_we_are(tmp_path: Path, user: dict[str, str], expected: str) -> None:
    assert _said(a_kubeconfig(tmp_path / "k", URL, user)) == expected


def test_kubeconfig_is_found_by_the_environment(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path / "k", URL, {"token": "abc"})
    assert _said("", {"KUBECONFIG": path}) == "Bearer abc"


def test_a_token_file_may_end_with_a_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    user = {"tokenFile": str(tmp_path / "token")}
    assert _said(a_kubeconfig(tmp_path / "k", URL, user)) == "Bearer abc"


def test_a_plugin_gives_the_token(tmp_path: Path) -> None:
    assert (
        _said(a_kubeconfig(tmp_path / "k", URL, _plugin(tmp_path, {"token": "abc"})))
        == "Bearer abc"
    )


def test_a_plugin_that_fails_is_told_and_nobody_goes_on_as_nobody(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path / "k", URL, _plugin(tmp_path, {"token": "abc"}, code=1))
    with pytest.raises(ConfigError, match=r"credential plugin .* failed"):
        _said(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "cannot be used", id="empty"),
        pytest.param("{[", "cannot be used", id="no YAML"),
        pytest.param("just text", "cannot be used", id="text"),
        pytest.param(
            "current-context: c\nusers: [{token: s3cret}]", "cannot be used", id="no lists"
        ),
        pytest.param(
            "{current-context: c, contexts: [{name: c, context: {user: u, key: s3cret}}],"
            " clusters: [], users: [{name: u, user: {token: s3cret}}]}",
            "Expected key cluster",
            id="no cluster, and a token that must stay here",
        ),
    ],
)
def test_a_broken_kubeconfig_is_named_and_not_quoted(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        _said(str(path))
    assert str(path) in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kubeconfig", "environ", "told"),
    [
        pytest.param("/nowhere/k", {}, "/nowhere/k: there is no such file", id="no file"),
        pytest.param("", {}, "set KUBECONFIG", id="nothing at all"),
        pytest.param(
            "",
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"},
            "service account cannot be used",
            id="a pod without a service account",
        ),
    ],
)
def test_what_is_missing_is_told_with_its_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kubeconfig: str,
    environ: dict[str, str],
    told: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    with pytest.raises(ConfigError, match=told):
        _said(kubeconfig, environ)


@pytest.mark.parametrize(
    ("passed_s", "is_refused", "expected"),
    [
        pytest.param(61.0, False, "bearer new", id="read again each minute"),
        pytest.param(59.0, False, "bearer old", id="not for every request"),
        pytest.param(11.0, True, "bearer new", id="soon when it was refused"),
        pytest.param(1.0, True, "bearer old", id="not at once: a server may refuse everybody"),
    ],
)
def test_a_pods_token_rotates(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passed_s: float,
    is_refused: bool,
    expected: str,
) -> None:
    token, ca = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("old\n")
    ca.write_text("certificate")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(ca))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    times = [0.0]

    async def scenario() -> str:
        credentials = Credentials(await find_access(""), clock=lambda: times[0])
        assert await credentials.authorization() == "bearer old"
        token.write_text("new\n")
        times[0] = passed_s
        if is_refused:
            credentials.refused()
        return await credentials.authorization()

    assert asyncio.run(scenario()) == expected


@pytest.mark.parametrize(
    ("status", "is_refused", "runs"),
    [
        pytest.param({"token": "t"}, False, 1, id="a lasting token is kept"),
        pytest.param({"token": "t"}, True, 2, id="a lasting token that is refused is not"),
        pytest.param(
            {"token": "t", "expirationTimestamp": "2999-01-01T00:00:00Z"},
            False,
            1,
            id="a token is kept until its end",
        ),
        pytest.param(
            {"token": "t", "expirationTimestamp": "2999-01-01T00:00:00Z"},
            True,
            2,
            id="a refused one is asked for again before its end",
        ),
        pytest.param(
            {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"},
            False,
            2,
            id="an expired one is renewed",
        ),
    ],
)
def test_a_plugin_runs_only_when_it_must(
    tmp_path: Path, status: dict[str, Any], is_refused: bool, runs: int
) -> None:
    path = a_kubeconfig(tmp_path / "k", URL, _plugin(tmp_path, status))
    times = [0.0]

    async def scenario() -> None:
        credentials = Credentials(await find_access(path, {}), clock=lambda: times[0])
        times[0] = 61.0
        if is_refused:
            credentials.refused()
        said = await asyncio.gather(*(credentials.authorization() for _ in range(5)))
        assert said == ["Bearer t"] * 5

    asyncio.run(scenario())
    assert (tmp_path / "runs").read_text() == "x" * runs


def test_a_refresh_that_fails_keeps_the_old_token() -> None:
    async def scenario() -> str:
        access = await _access_with(_failing)
        credentials = Credentials(access, clock=iter([0.0, 61.0, 61.0, 61.0]).__next__)
        return await credentials.authorization()

    assert asyncio.run(scenario()) == "Bearer old"


async def _failing(_refused: bool) -> None:
    raise ConfigError("the file is being replaced")


async def _access_with(reload: Callable[[bool], Awaitable[None]]) -> Access:
    configuration = Configuration()
    configuration.api_key["BearerToken"] = "Bearer old"
    return Access(configuration, reload)


def test_a_401_has_the_token_file_read_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Scripted() as server:
            server.expect("GET", "/a", a_status(401, "Unauthorized"))
            server.expect("GET", "/b", a_json({}))
            (tmp_path / "token").write_text("old")
            user = {"tokenFile": str(tmp_path / "token")}
            access = await find_access(a_kubeconfig(tmp_path / "k", server.url, user), {})
            times = [0.0]
            client = await _client_of(access, lambda: times[0])
            with pytest.raises(ApiError, match="401"):
                await client.request("GET", "/a")
            (tmp_path / "token").write_text("new")
            times[0] = 11.0
            await client.request("GET", "/b")
            await client.close()
        assert [c.headers["Authorization"] for c in server.calls] == ["Bearer old", "Bearer new"]

    asyncio.run(scenario())


async def _client_of(access: Access, clock: Callable[[], float]) -> Client:
    transport = transport_for(access.configuration)
    return Client(transport, Credentials(access, clock=clock), request_timeout_s=5.0)
