"""The environment of a stage's container."""

from typing import Any

import pytest
from builders.stage_jobs import asked, container_of, env_of, manifest

from controller.settings import OperatorSettings
from controller.shell.loops import pod_settings
from controller.shell.template import PodSettings
from trainer.contract.request import MAX_ENV_BYTES, StageRequest, joined_request


def test_the_environment_is_the_contract() -> None:
    document = manifest(pods=PodSettings(progress_port=9191))
    env = env_of(document)
    request = env.pop("TUNEKEEPER_REQUEST")
    assert StageRequest.model_validate_json(request).stage == "train"
    assert env == {
        "TUNEKEEPER_SECRETS": "/var/run/tunekeeper",
        "TUNEKEEPER_CACHE": "/cache",
        "TUNEKEEPER_WORK": "/tmp/tunekeeper",  # noqa: S108
        "TUNEKEEPER_FILE_ROOT": "/cache",
        "TUNEKEEPER_LISTEN": "0.0.0.0:9191",
        "TUNEKEEPER_STAGE_IMAGE": "registry/big:1",
        "HOME": "/tmp/home",  # noqa: S108
        "HF_HOME": "/tmp/hf",  # noqa: S108
        "TORCHINDUCTOR_CACHE_DIR": "/tmp/torchinductor",  # noqa: S108
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
    }
    uid = container_of(document)["env"][-1]
    assert uid == {
        "name": "TUNEKEEPER_POD_UID",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}},
    }


def test_ours_win_over_the_users_variables() -> None:
    theirs = [
        {"name": "HOME", "value": "/root"},
        {"name": "TUNEKEEPER_REQUEST_1", "value": "}"},
        {"name": "TUNEKEEPER_POD_UID", "value": "forged"},
        {"name": "NCCL_DEBUG", "value": "WARN"},
        {"name": "NCCL_DEBUG", "value": "INFO"},
    ]
    written = container_of(manifest(compute={"env": theirs}))["env"]
    names = [variable["name"] for variable in written]
    assert len(names) == len(set(names))
    assert names[0] == "HOME"
    env = {variable["name"]: variable.get("value") for variable in written}
    assert (env["HOME"], env["NCCL_DEBUG"]) == ("/tmp/home", "INFO")  # noqa: S108
    assert env["TUNEKEEPER_POD_UID"] is None
    assert "TUNEKEEPER_REQUEST_1" not in env


def test_a_request_of_150_kib_survives_whole_and_unexpanded() -> None:
    text = "$(HOME) $$ ü" * 1000
    storage = {"caBundle": "x" * 60_000}
    dataset = {"train": {"uri": "file:///data/train.jsonl"}, "instruction": text[:16_000]}
    output = {"uri": "file:///out/intents", "storage": storage}
    spec = {
        "dataset": {**dataset, "storage": storage},
        "output": output,
        "evaluation": {"systemPrompt": text[:16_000]},
    }
    env = env_of(manifest(**spec))
    parts = {name: value for name, value in env.items() if name.startswith("TUNEKEEPER_REQUEST")}
    assert sum(len(part.encode()) for part in parts.values()) > 150 * 1024
    assert len(parts) >= 2
    assert max(len(part.encode()) for part in parts.values()) <= MAX_ENV_BYTES
    assert not any("$" in part for part in parts.values())
    request = StageRequest.model_validate_json(joined_request(parts))
    assert request == asked(**spec)[1].request


PROXY = {"name": "HTTPS_PROXY", "value": "http://theirs:3128"}


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "Https_Proxy"])
def test_a_jobs_proxy_wins_in_either_case_of_letters(name: str) -> None:
    settings = OperatorSettings(stage_env=f'{{"{name}": "http://ours:3128", "NO_PROXY": "x"}}')
    env = env_of(manifest(pods=pod_settings(settings), compute={"env": [PROXY]}))
    told = {key.upper(): value for key, value in env.items() if key.upper() == "HTTPS_PROXY"}
    assert told == {"HTTPS_PROXY": "http://theirs:3128"}
    assert (name in env) == (name == "HTTPS_PROXY")
    assert env["NO_PROXY"] == "x"


def test_only_proxies_are_the_same_in_small_letters() -> None:
    """Or a job would take the operator's mirror away by a name that no program reads."""
    settings = OperatorSettings(stage_env='{"HF_ENDPOINT": "https://mirror.example"}')
    own = {"env": [{"name": "hf_endpoint", "value": "https://mirror.example"}]}
    env = env_of(manifest(pods=pod_settings(settings), compute=own))
    assert env["HF_ENDPOINT"] == "https://mirror.example"


@pytest.mark.parametrize("stage", ["prepare", "train", "judge"])
def test_variables_of_the_operator_are_in_every_stage_and_those_of_a_job_win(stage: str) -> None:
    settings = OperatorSettings(stage_env='{"HTTPS_PROXY": "http://ours:3128", "HOME": "/root"}')
    plain = env_of(manifest(stage, pod_settings(settings)))
    assert (plain["HTTPS_PROXY"], plain["HOME"]) == ("http://ours:3128", "/tmp/home")  # noqa: S108
    own: dict[str, Any] = {"env": [PROXY]}
    assert env_of(manifest(stage, pod_settings(settings), compute=own))["HTTPS_PROXY"] == (
        "http://theirs:3128"
    )


def test_the_request_is_compact() -> None:
    request = env_of(manifest())["TUNEKEEPER_REQUEST"]
    assert ": " not in request
    assert "null" not in request
