"""The operator's settings: flags, environment, and what is wrong with a value."""

import dataclasses
import subprocess
import sys

import pytest

from controller.settings import OperatorSettings, SettingsError, env_of, flag_of, read_settings


def test_without_flags_and_environment_the_defaults_hold() -> None:
    assert read_settings([], {}) == OperatorSettings()


def test_the_lease_of_a_cluster_is_15_10_2() -> None:
    settings = OperatorSettings()
    times = (settings.lease_duration_s, settings.lease_renew_s, settings.lease_retry_s)
    assert times == (15.0, 10.0, 2.0)


def test_a_variable_sets_and_a_flag_wins() -> None:
    environ = {"TUNEKEEPER_WORKERS": "3", "TUNEKEEPER_LEASE_NAME": "other"}
    settings = read_settings(["--workers", "5"], environ)
    assert (settings.workers, settings.lease_name) == (5, "other")


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read_settings([], {"TUNEKEEPER_WORKERS": ""}).workers == OperatorSettings().workers


@pytest.mark.parametrize(
    ("argv", "environ", "said"),
    [
        pytest.param(["--workers=many"], {}, "--workers: 'many' is not a whole number", id="text"),
        pytest.param(["--workers=0"], {}, "--workers: '0' cannot be used; write 1", id="too few"),
        pytest.param([], {"TUNEKEEPER_WORKERS": "0"}, "TUNEKEEPER_WORKERS: '0'", id="variable"),
        pytest.param(["--retry-base-s=nan"], {}, "a number above 0", id="not a number"),
        pytest.param(["--retry-base-s=inf"], {}, "a number above 0", id="infinite"),
        pytest.param(["--metrics-address=8080"], {}, "HOST:PORT", id="address without host"),
        pytest.param(["--health-address=x:99999"], {}, "HOST:PORT", id="port out of range"),
        pytest.param(["--progress-port=0"], {}, "1 to 65535", id="no port"),
        pytest.param(["--log-level=loud"], {}, "debug, info, warning, error", id="level"),
        pytest.param(["--image-pull-policy=no"], {}, "IfNotPresent, Always, Never", id="policy"),
        pytest.param(["--lease-renew-s=20"], {}, "falling order", id="a leader that never ends"),
        pytest.param(["--price-per-gpu-hour=2,50"], {}, "such as 2.50", id="price"),
        pytest.param(["--currency=euro"], {}, "such as EUR", id="currency"),
        pytest.param(["--stage-env=A=b"], {}, "write a JSON object", id="variables as a shell's"),
        pytest.param(['--stage-env={"A": 1}'], {}, "of texts", id="a number"),
        pytest.param(['--stage-env=["A"]'], {}, "of texts", id="a list of names"),
        pytest.param([f'--stage-env={{"A": "{4097 * "x"}"}}'], {}, "4096", id="a long text"),
        pytest.param(['--stage-env={"a-b": ""}'], {}, "of texts", id="no name of a variable"),
        pytest.param(['--stage-env={"TUNEKEEPER_X": ""}'], {}, "TUNEKEEPER_", id="a name of ours"),
        pytest.param(["--train-resources=cpu: 4"], {}, "write JSON", id="resources as YAML"),
        pytest.param(['--train-resources={"cpu": "4"}'], {}, "requests", id="no such part"),
        pytest.param(['--train-resources={"requests": ["4"]}'], {}, "write JSON", id="a list"),
        pytest.param(
            ['--cpu-stage-resources={"limits": {"cpu": 0.5}}'], {}, "write JSON", id="no quantity"
        ),
        pytest.param(["--fs-group=-1"], {}, "write 0 or more", id="negative group"),
    ],
)
def test_a_bad_value_is_named_with_its_place_and_remedy(
    argv: list[str], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        read_settings(argv, environ)


def test_help_names_every_flag_with_its_variable_and_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="0"):
        read_settings(["--help"], {})
    text = " ".join(capsys.readouterr().out.split())
    for row in dataclasses.fields(OperatorSettings):
        shown = row.default if row.default != "" else '""'
        assert flag_of(row.name) in text
        assert f"[{env_of(row.name)}, default {shown}]" in text.replace("- ", "-")


def test_the_process_ends_with_2_and_one_line_for_a_bad_value() -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "controller", "--workers", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr == "error: --workers: '0' cannot be used; write 1 or more\n"
