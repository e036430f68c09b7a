"""An output in a bucket is told and verified as one in a directory is."""

import json
from pathlib import Path

import pytest
from builders.outputs import AnOutput, better
from cluster.s3server import Identity, S3Server, s3_server

from trainer.__main__ import main


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def ada(server: S3Server) -> Identity:
    ada = server.user("ada")
    server.bucket("kept", ada)
    return ada


@pytest.fixture(scope="module")
def made(tmp_path_factory, server, ada) -> list[str]:
    """Two runs, copied into the bucket."""
    output = AnOutput(tmp_path_factory.mktemp("output"))
    output.run(better(20, 40))
    output.run(better(22, 58), base="base two")
    root = output.root / "output"
    for path in sorted(each for each in root.rglob("*") if each.is_file()):
        put(server, ada, path.relative_to(root).as_posix(), path)
    return output.made


def put(server: S3Server, ada: Identity, key: str, path: Path) -> None:
    server.client(ada).put_object(Bucket="kept", Key=f"place/{key}", Body=path.read_bytes())


@pytest.fixture
def asked(server, ada, monkeypatch, capsys):
    for name, value in {**ada.environ(), "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)

    def ask(*arguments: str) -> tuple[int, dict]:
        code = main(arguments)
        return code, json.loads(capsys.readouterr().out or "{}")

    return ask


URI = "s3://kept/place"


def test_history_and_diff_read_a_bucket(asked, made):
    code, told = asked("history", URI)
    assert (code, [run["id"] for run in told["runs"]]) == (0, made)
    code, found = asked("diff", made[0][:7], f"{URI}/runs/{made[1]}", "--output", URI)
    assert (code, found["changes"]["wrongToRight"]) == (0, 18)


def test_verify_streams_a_bucket_and_finds_a_changed_object(asked, made, server, ada, tmp_path):
    assert asked("verify", URI)[0] == 0
    key = f"runs/{made[1]}/e1/adapter/adapter_model.safetensors"
    changed = tmp_path / "changed"
    changed.write_bytes(b"other weights")
    put(server, ada, key, changed)
    assert asked("verify", f"{URI}/runs/{made[0]}")[0] == 0
    code, found = asked("verify", URI)
    assert code == 2
    assert [finding["place"] for finding in found["findings"]] == [key]


def test_a_bucket_that_is_not_there_is_told(asked, made):
    del made
    assert asked("history", "s3://nowhere/place")[0] == 15


def test_a_prefix_without_a_run_is_no_output(asked, made):
    del made
    assert asked("verify", "s3://kept/elsewhere")[0] == 15
