"""The whole command on a real object store: data from it, results to it, one identity or three."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from builders.whole_run import Desk, Ended, a_base_model, finished
from cluster.s3server import Identity, S3Server, s3_server

TIMEOUT_S = 900
"""Half a minute on a quiet machine, many on one that runs other tests."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory) -> Path:
    return a_base_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture(scope="module")
def desk(tmp_path_factory, bytecode, tiny_base) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"), bytecode).laid_out(tiny_base)


def put(server: S3Server, owner: Identity, bucket: str, path: Path, key: str) -> None:
    server.client(owner).put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def get(server: S3Server, owner: Identity, bucket: str, key: str) -> bytes:
    return server.client(owner).get_object(Bucket=bucket, Key=key)["Body"].read()


def write_sections(desk: Desk, **sections: Any) -> None:
    """Whole sections of the job's spec, in place of those that are there."""
    file = desk.root / "job.yaml"
    document = yaml.safe_load(file.read_text())
    document["spec"] |= sections
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def status_of(ended: Ended) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    (job,) = json.loads(ended.stdout)["jobs"]
    return job["status"]


def reason_of(status: dict[str, Any], kind: str) -> str:
    return next(one["reason"] for one in status["conditions"] if one["type"] == kind)


LOAD = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), sys.argv[2])
print(sum("lora" in name for name, _ in model.named_parameters()))
"""


def load_with_peft(base: Path, adapter: Path) -> int:
    """Plain peft, as anybody would; returns how many tensors the adapter has."""
    command = [sys.executable, "-P", "-c", LOAD, str(base), str(adapter)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


@pytest.fixture(scope="module")
def ada(server: S3Server) -> Identity:
    ada = server.user("ada")
    server.bucket("acme-data", ada)
    server.bucket("acme-models", ada)
    return ada


@pytest.fixture(scope="module")
def first(server, ada, desk) -> tuple[Desk, Ended]:
    """A run from a bucket to a bucket, with the credentials of the environment."""
    put(server, ada, "acme-data", desk.data, "intents/train.jsonl")
    text = Path(__file__).read_bytes() * 4
    server.client(ada).put_object(Bucket="acme-data", Key="text.txt", Body=text)
    storage = {"endpoint": server.url}
    desk.write_job(evaluation={"forgetting": {"tokens": 1024, "uri": "s3://acme-data/text.txt"}})
    write_sections(
        desk,
        dataset={"train": {"uri": "s3://acme-data/intents/"}, "storage": storage},
        output={"uri": "s3://acme-models/intents", "storage": storage},
    )
    return desk, run(desk, ada.environ())


def run(desk: Desk, environ: dict[str, str], *arguments: str) -> Ended:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        return finished(desk.start(*(arguments or ("run", "job.yaml", "--json"))), TIMEOUT_S)


def test_a_run_goes_from_a_bucket_to_a_promoted_adapter(server, ada, first, tiny_base, tmp_path):
    _, ended = first
    status = status_of(ended)
    pointer = json.loads(get(server, ada, "acme-models", "intents/promoted.json"))
    assert status["promoted"]["adapterURI"] == pointer["adapterURI"]
    assert pointer["adapterURI"].startswith("s3://acme-models/intents/runs/")
    folder = pointer["adapterURI"].removeprefix("s3://acme-models/")
    keys = server.keys("acme-models", f"{folder}/")
    for key in keys:
        (tmp_path / Path(key).name).write_bytes(get(server, ada, "acme-models", key))
    assert load_with_peft(tiny_base, tmp_path) > 0


def test_progress_and_the_end_name_the_bucket(first):
    _, ended = first
    assert "Promote: " in ended.stderr
    assert "  fetch data: " in ended.stderr
    assert "s3://acme-models/intents" in ended.stderr
    assert "aws s3 cp --recursive" in ended.stderr


def test_nothing_is_left_of_the_probe_and_of_the_data(first, server):
    assert [key for key in server.keys("acme-models") if "probe" in key] == []
    assert not list((first[0].root / "state").rglob("train-0*.jsonl"))


def test_the_report_is_found_by_its_uri(server, ada, first):
    desk, _ = first
    environ = {**ada.environ(), "AWS_ENDPOINT_URL": server.url}
    ended = run(desk, environ, "report", "s3://acme-models/intents", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["judgement"]["verdict"] == "Promote"


def test_run_again_finds_it_trained(ada, first):
    desk, ended = first
    status = status_of(run(desk, ada.environ()))
    assert reason_of(status, "Trained") == "AlreadyTrained"
    assert status["promoted"] == status_of(ended)["promoted"]
    assert desk.stages() == ["prepare", "train", "judge", "prepare", "judge"]


@pytest.fixture
def again(tmp_path, bytecode, tiny_base) -> Desk:
    return Desk(tmp_path / "desk", bytecode).laid_out(tiny_base)


def test_bad_rows_are_told_by_their_uri_and_line(server, ada, again):
    lines = again.data.read_text().splitlines()
    again.data.write_text("\n".join([*lines[:40], '{"prompt": 7}', *lines[40:]]))
    put(server, ada, "acme-data", again.data, "bad/train.jsonl")
    storage = {"endpoint": server.url}
    uri = "s3://acme-data/bad/train.jsonl"
    write_sections(again, dataset={"train": {"uri": uri}, "storage": storage})
    ended = run(again, ada.environ(), "run", "job.yaml")
    assert ended.returncode == 2
    assert f"{uri}:41" in re.sub(r"\s+", " ", ended.stderr)
    assert "/work/data" not in ended.stderr


ROLES = ("base", "dataset", "output")


def test_three_identities_that_may_touch_only_their_own_bucket(server, again):
    users = {role: server.user(f"{role}-user") for role in ROLES}
    for role, user in users.items():
        server.bucket(f"three-{role}", user)
        user.secret_files(again.root / "secrets" / role)
    put(server, users["dataset"], "three-dataset", again.data, "train.jsonl")
    for path in again.base.iterdir():
        put(server, users["base"], "three-base", path, f"tiny/{path.name}")
    write_sections(
        again,
        baseModel={"s3": {"uri": "s3://three-base/tiny", "storage": storage(server, "base")}},
        dataset={
            "train": {"uri": "s3://three-dataset/train.jsonl"},
            "storage": storage(server, "dataset"),
        },
        output={"uri": "s3://three-output/tiny", "storage": storage(server, "output")},
    )
    secrets = {"TUNEKEEPER_SECRETS": str(again.root / "secrets"), "AWS_ACCESS_KEY_ID": "nobody"}
    status = status_of(run(again, secrets))
    assert status["promoted"]["adapterURI"].startswith("s3://three-output/tiny/")
    assert "tiny/promoted.json" in server.keys("three-output")
    assert server.keys("three-dataset") == ["train.jsonl"]
    for role, user in users.items():
        for other in ROLES:
            assert may_list(server, user, f"three-{other}") is (role == other)


def storage(server: S3Server, role: str) -> dict[str, Any]:
    return {"endpoint": server.url, "secretRef": {"name": f"{role}-secret"}}


def may_list(server: S3Server, user: Identity, bucket: str) -> bool:
    try:
        server.client(user).list_objects_v2(Bucket=bucket)
    except ClientError as error:
        return error.response["Error"]["Code"] != "AccessDenied"
    return True


def test_a_role_with_anothers_keys_is_denied_by_name(server, again):
    server.bucket("swapped", server.user("owner"))
    server.user("other").secret_files(again.root / "secrets" / "output")
    output = {"uri": "s3://swapped/out", "storage": storage(server, "output")}
    write_sections(again, output=output)
    ended = run(again, {"TUNEKEEPER_SECRETS": str(again.root / "secrets")}, "run", "job.yaml")
    said = re.sub(r"\s+", " ", ended.stderr)
    assert ended.returncode == 2
    assert "AccessDenied" in said
    assert "Secret output-secret may not do" in said
    assert "other-secret" not in said
