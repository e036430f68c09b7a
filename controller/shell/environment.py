"""The environment of a stage's container: the user's variables first, ours win."""

from collections.abc import Iterable, Sequence
from typing import Any

from controller.api.compute import EnvVar
from controller.shell.places import CACHE, SECRETS, TMP
from trainer.contract import request as contract
from trainer.contract.base import Wire
from trainer.contract.request import request_environment

OURS = "TUNEKEEPER_"
"""A part of a request that the user brings would be read as a part of ours."""

WRITABLE_HOME = {
    "HOME": f"{TMP}/home",
    "HF_HOME": f"{TMP}/hf",
    "TORCHINDUCTOR_CACHE_DIR": f"{TMP}/torchinductor",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
}
"""The root filesystem is read-only."""


PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
"""Programs read them in either case of letters, the small ones first."""


def variables(operators: Iterable[EnvVar], jobs: Sequence[EnvVar]) -> list[EnvVar]:
    """Those of the operator that the job does not set, then the job's."""
    own = {_meant(each.name) for each in jobs}
    return [*(each for each in operators if _meant(each.name) not in own), *jobs]


def _meant(name: str) -> str:
    return name.upper() if name.upper() in PROXIES else name


def environment(
    request: Wire, theirs: Iterable[EnvVar], *, port: int, image: str
) -> list[dict[str, Any]]:
    """The container's ``env``, each name once."""
    pod_uid = {"fieldRef": {"fieldPath": "metadata.uid"}}
    ours = {**WRITABLE_HOME, **_contract(request, port), contract.IMAGE_ENV: image}
    kept = {v.name: v.value for v in theirs if not v.name.startswith(OURS)} | ours
    written = [{"name": name, "value": value} for name, value in kept.items()]
    return [*written, {"name": contract.POD_UID_ENV, "valueFrom": pod_uid}]


def _contract(request: Wire, port: int) -> dict[str, str]:
    return {
        **request_environment(request),
        contract.SECRETS_ENV: SECRETS,
        contract.CACHE_ENV: CACHE,
        contract.FILE_ROOT_ENV: CACHE,
        contract.WORK_ENV: contract.DEFAULT_WORK,
        contract.LISTEN_ENV: f"0.0.0.0:{port}",
    }
