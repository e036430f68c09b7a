"""Finds the API server and the credentials, by the official client's loaders."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.aio import config as loaders
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import incluster_config

from controller.kube.errors import ConfigError

DEFAULT_KUBECONFIG = "~/.kube/config"
# what the loaders raise for files that are missing, broken or of another shape
_BROKEN: Final = (
    loaders.ConfigException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    yaml.YAMLError,
)


@dataclass(frozen=True)
class Access:
    """Where the server is and how to be somebody there."""

    configuration: Configuration
    reload: Callable[[bool], Awaitable[None]]
    """Reads tokens and certificates again into ``configuration``; True: those were refused."""


async def find_access(kubeconfig: str, environ: Mapping[str, str] = os.environ) -> Access:
    """The named file, or else KUBECONFIG, the pod's service account, or the user's own file.

    Raises:
        ConfigError: none of them is usable; names what was tried.
    """
    named = kubeconfig or environ.get("KUBECONFIG", "")
    if named:
        return await _from_file(named)
    if environ.get(incluster_config.SERVICE_HOST_ENV_NAME):
        return await _from_pod()
    if _is_file(DEFAULT_KUBECONFIG):
        return await _from_file(DEFAULT_KUBECONFIG)
    raise ConfigError(
        f"no API server is configured: set KUBECONFIG, write {DEFAULT_KUBECONFIG}, or run in a pod"
        " with a service account token"
    )


async def _from_pod() -> Access:
    """The token file is read again by ``reload``: the kubelet rotates it."""
    configuration = _new_configuration()
    make_loader: Any = incluster_config.InClusterConfigLoader  # has no types
    loader = make_loader(
        token_filename=incluster_config.SERVICE_TOKEN_FILENAME,
        cert_filename=incluster_config.SERVICE_CERT_FILENAME,
        try_refresh_token=False,
    )

    async def reload(_refused: bool) -> None:
        _guarded("the pod's service account", lambda: loader.load_and_set(configuration))

    await reload(False)
    return Access(configuration, reload)


async def _from_file(paths: str) -> Access:
    configuration = _new_configuration()
    if not any(_is_file(path) for path in paths.split(os.pathsep) if path):
        raise ConfigError(f"kubeconfig {paths}: there is no such file; set KUBECONFIG")
    load: Any = loaders.load_kube_config  # has no types
    try:
        loader = await load(
            config_file=paths, client_configuration=configuration, persist_config=False
        )
    except _BROKEN as error:
        raise _broken(f"kubeconfig {paths}", error) from None
    _check_plugin(paths, loader)

    async def reload(refused: bool) -> None:
        if refused:  # else the loader keeps a plugin's token until just before it expires
            vars(loader).pop("exec_plugin_expiry", None)
        elif is_lasting(loader):
            return
        try:
            await loader.load_and_set(configuration)
        except _BROKEN as error:
            raise _broken(f"kubeconfig {paths}", error) from None

    return Access(configuration, reload)


def is_lasting(loader: Any) -> bool:  # noqa: ANN401 - the loader has no types
    """Whether a plugin gave a credential without an end: asked again only when it is refused."""
    return "exec" in _user(loader) and "exec_plugin_expiry" not in vars(loader)


def _check_plugin(path: str, loader: Any) -> None:  # noqa: ANN401 - the loader has no types
    """The loader only logs that a plugin failed, and would go on as nobody."""
    given = vars(loader)
    if "exec" in _user(loader) and not (given.get("token") or given.get("cert_file")):
        command = _user(loader)["exec"].get("command", "")
        raise ConfigError(
            f"kubeconfig {path}: the credential plugin {command!r} failed; run it by hand"
        )


def _user(loader: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the loader has no types
    user = loader._user  # noqa: SLF001 - as the client's own refresh_token does
    return user.value if user is not None else {}


def _is_file(path: str) -> bool:
    return Path(path).expanduser().is_file()


def _new_configuration() -> Configuration:
    configuration = Configuration()
    # each watch holds a connection for minutes: a bounded pool would starve the other requests
    configuration.connection_pool_maxsize = 0
    return configuration


def _guarded(source: str, load: Callable[[], object]) -> None:
    try:
        load()
    except _BROKEN as error:
        raise _broken(source, error) from None


def _broken(source: str, error: Exception) -> ConfigError:
    """Names the place, not the content: the loaders' own messages may hold a whole user entry."""
    told = str(error) if isinstance(error, (loaders.ConfigException, OSError)) else ""
    what = told.partition(" in ")[0] if told.startswith("Invalid kube-config") else told
    return ConfigError(f"{source} cannot be used: {what or type(error).__name__}")
