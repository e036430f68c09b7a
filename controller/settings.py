"""The operator's own settings: one table, from flags and environment variables.

Every field of ``OperatorSettings`` is a flag (``max_concurrent_runs`` is
``--max-concurrent-runs``) and an environment variable (``TUNEKEEPER_MAX_CONCURRENT_RUNS``); a
flag wins. What a person may set per job is in the job's spec, not here.
"""

import argparse
import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ENV_PREFIX = "TUNEKEEPER_"

LOG_LEVELS = ("debug", "info", "warning", "error")
PULL_POLICIES = ("IfNotPresent", "Always", "Never")

MAX_VARIABLE = 4096
"""Characters of a variable's value, as in a job."""

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
_VARIABLE = re.compile(r"(?!TUNEKEEPER_)[A-Za-z_][A-Za-z0-9_]{0,127}")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

Check = Callable[[Any], str | None]
"""What is wrong with a value that has the right type; None when nothing is."""


class SettingsError(ValueError):
    """A setting cannot be used; the message names it, its value and what would do."""


def _one_of(*allowed: str) -> Check:
    return lambda value: None if value in allowed else f"write one of {', '.join(allowed)}"


def _at_least(least: float) -> Check:
    return lambda value: None if least <= value < math.inf else f"write {least:g} or more"


def _above_zero(value: float) -> str | None:
    return None if 0 < value < math.inf else "write a number above 0"


def _not_empty(value: str) -> str | None:
    return None if value else "write a name"


def _address(value: str) -> str | None:
    host, colon, port = value.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 <= int(port) < 1 << 16
    return None if host and colon and is_port else "write HOST:PORT, such as 0.0.0.0:8080"


def _namespaces(value: str) -> str | None:
    is_list = all(_NAMESPACE.fullmatch(name) for name in value.split(",")) if value else True
    return None if is_list else "write names of namespaces with commas between, such as ml,nlp"


def _price(value: str) -> str | None:
    is_price = not value or _DECIMAL.fullmatch(value)
    return None if is_price else "write a decimal number, such as 2.50"


def _currency(value: str) -> str | None:
    return None if _CURRENCY.fullmatch(value) else "write an ISO 4217 code, such as EUR"


def _resources(value: str) -> str | None:
    try:
        parts = json.loads(value or "{}")
        is_known = parts.keys() <= {"requests", "limits"}
        amounts = [amount for part in parts.values() for amount in part.values()]
    except (ValueError, AttributeError):
        is_known, amounts = False, []
    if is_known and all(map(_is_quantity, amounts)):
        return None
    return 'write JSON, such as {"requests": {"cpu": "4", "memory": "16Gi"}}'


def _is_quantity(amount: object) -> bool:
    is_written = isinstance(amount, int | str) and not isinstance(amount, bool)
    return is_written and bool(_QUANTITY.fullmatch(str(amount)))


def _variables(value: str) -> str | None:
    try:
        variables = json.loads(value or "{}").items()
    except (ValueError, AttributeError):
        variables = [("", None)]
    if all(_VARIABLE.fullmatch(name) and _is_text(text) for name, text in variables):
        return None
    return (
        'write a JSON object of texts, such as {"HTTPS_PROXY": "http://proxy:3128"}; no name '
        f"begins with {ENV_PREFIX}, no text has more than {MAX_VARIABLE} characters"
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_VARIABLE


def _port(value: int) -> str | None:
    return None if 0 < value < 1 << 16 else "write a port from 1 to 65535"


def _setting(default: Any, text: str, check: Check | None = None) -> Any:  # noqa: ANN401 - fields of any type
    """One row of the table."""
    return dataclasses.field(default=default, metadata={"help": text, "check": check})


@dataclass(frozen=True)
class OperatorSettings:
    """Everything that can be set about the operator; each default is what a cluster gets."""

    namespace: str = _setting("tunekeeper-system", "namespace of the Lease", _not_empty)
    watch_namespaces: str = _setting(
        "", "namespaces to work in, with commas between; empty: all", _namespaces
    )
    image: str = _setting("tunekeeper", "image of prepare and judge", _not_empty)
    trainer_image: str = _setting("tunekeeper-trainer", "image of train", _not_empty)
    image_pull_policy: str = _setting(
        "IfNotPresent", "pull policy of both images", _one_of(*PULL_POLICIES)
    )
    train_resources: str = _setting(
        "",
        "what train asks for where a job with at most one GPU says nothing, as JSON; empty: little",
        _resources,
    )
    cpu_stage_resources: str = _setting(
        "",
        "what prepare and judge ask for where a job says nothing, as JSON; empty: little",
        _resources,
    )
    stage_env: str = _setting(
        "",
        "environment variables of every pod that is started, such as a proxy, as a JSON object; a "
        "job's own win, and no value is a secret; empty: none",
        _variables,
    )
    price_per_gpu_hour: str = _setting(
        "", "price of a GPU hour where a job gives none; empty: no cost is shown", _price
    )
    currency: str = _setting("EUR", "currency of that price", _currency)
    fs_group: int = _setting(65532, "group that owns a pod's volumes; 0: none", _at_least(0))
    max_concurrent_runs: int = _setting(
        0, "runs under way at once in the whole cluster, oldest first; 0: no limit", _at_least(0)
    )
    max_concurrent_retrains: int = _setting(
        0,
        "runs under way at once that a moved base model made, oldest first; 0: no limit",
        _at_least(0),
    )
    max_concurrent_looks: int = _setting(
        10,
        "base models whose sources are looked at at once, longest wait first; 0: no limit",
        _at_least(0),
    )
    workers: int = _setting(8, "objects that are worked on at once", _at_least(1))
    progress_port: int = _setting(9090, "port where a stage serves its progress", _port)
    progress_period_s: float = _setting(
        2.0, "seconds between two looks at a stage's progress", _above_zero
    )
    pending_grace_s: float = _setting(
        20.0, "seconds a pod may take to start before its events are looked at", _at_least(0)
    )
    events_period_s: float = _setting(
        30.0, "seconds between two looks at the events of a pod that does not start", _above_zero
    )
    retry_base_s: float = _setting(
        10.0, "pause after a first failed attempt; doubles with each", _above_zero
    )
    retry_cap_s: float = _setting(600.0, "longest pause between two attempts", _above_zero)
    requeue_cap_s: float = _setting(
        60.0, "longest pause after errors of the API server, or while it refuses", _above_zero
    )
    metrics_address: str = _setting("0.0.0.0:8080", "where /metrics is served", _address)
    health_address: str = _setting(
        "0.0.0.0:8081",
        "where /healthz and /readyz are served",
        _address,
    )
    lease_name: str = _setting("tunekeeper", "name of the Lease of the leader", _not_empty)
    lease_duration_s: float = _setting(
        15.0, "seconds without renewal after which another may lead", _above_zero
    )
    lease_renew_s: float = _setting(
        10.0, "seconds of failed renewals after which the leader gives up", _above_zero
    )
    lease_retry_s: float = _setting(2.0, "seconds between two tries at the Lease", _above_zero)
    loop_stall_s: float = _setting(
        10.0,
        "seconds that the event loop may stand still before its stack is logged",
        _above_zero,
    )
    kubeconfig: str = _setting("", "path of a kubeconfig; empty: KUBECONFIG, else the pod's own")
    log_level: str = _setting("info", "least level that is logged", _one_of(*LOG_LEVELS))


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> OperatorSettings:
    """The settings of this process.

    Raises:
        SettingsError: A value, or two together, cannot be used.
        SystemExit: Help was asked for (0), or a flag does not exist (2).
    """
    flags = vars(_parser().parse_args(argv))
    values = {}
    for row in dataclasses.fields(OperatorSettings):
        flag, variable = flag_of(row.name), env_of(row.name)
        if flags[row.name] is not None:
            values[row.name] = _read(row, flags[row.name], flag)
        elif environ.get(variable):
            values[row.name] = _read(row, environ[variable], variable)
    settings = OperatorSettings(**values)
    _check_lease(settings)
    return settings


def flag_of(name: str) -> str:
    """The flag of a setting."""
    return f"--{name.replace('_', '-')}"


def env_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"{ENV_PREFIX}{name.upper()}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controller",
        description="The Tunekeeper operator.",
        epilog="A flag wins over its environment variable.",
        allow_abbrev=False,
    )
    for row in dataclasses.fields(OperatorSettings):
        shown = row.default if row.default != "" else '""'
        text = f"{row.metadata['help']} [{env_of(row.name)}, default {shown}]"
        parser.add_argument(flag_of(row.name), metavar=_metavar(row), help=text)
    return parser


def _metavar(row: "dataclasses.Field[Any]") -> str:
    return {str: "TEXT", int: "N", float: "SECONDS"}[type(row.default)]


def _read(row: "dataclasses.Field[Any]", text: str, place: str) -> Any:  # noqa: ANN401 - fields of any type
    kind: Callable[[str], Any] = type(row.default)
    try:
        value = kind(text)
    except ValueError:
        wanted = "a whole number" if isinstance(row.default, int) else "a number"
        raise SettingsError(f"{place}: {text!r} is not {wanted}") from None
    check: Check | None = row.metadata["check"]
    wrong = check(value) if check else None
    if wrong:
        raise SettingsError(f"{place}: {text!r} cannot be used; {wrong}")
    return value


def _check_lease(settings: OperatorSettings) -> None:
    """A leader must give up before another may begin."""
    times = (settings.lease_duration_s, settings.lease_renew_s, settings.lease_retry_s)
    if not times[0] > times[1] > times[2]:
        names = ", ".join(flag_of(f"lease_{part}_s") for part in ("duration", "renew", "retry"))
        written = ", ".join(f"{time:g}" for time in times)
        raise SettingsError(f"{names}: {written} must be in falling order, such as 15, 10, 2")
