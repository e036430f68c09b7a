"""A server follows an output in a bucket: through bad lines, outages and Secrets that change."""

import json
import os
import sys
from pathlib import Path

import pytest
from builders.promoted import OLD_BASE, promote, train
from builders.vllm_server import VllmServer, vllm_server
from cluster.process import Process, wait_until
from cluster.s3faults import faults_before
from cluster.s3server import REGION, Identity, S3Server, s3_server

from trainer.contract.base import LocalObjectReference
from trainer.contract.source import Storage
from trainer.follow.copies import Copies
from trainer.follow.follower import Follower
from trainer.follow.vllm import Vllm
from trainer.store.s3 import S3Store, open_s3
from trainer.store.s3client import Patience
from trainer.store.secrets import SecretFiles

QUICK = Patience(connect_s=2, read_s=2, attempts=1)
NAME = "support"


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as s3:
        yield s3


@pytest.fixture(scope="module")
def ada(s3: S3Server) -> Identity:
    ada = s3.user("ada")
    s3.bucket("models", ada)
    return ada


@pytest.fixture
def server():
    with vllm_server() as server:
        yield server


@pytest.fixture
def secrets(tmp_path, ada) -> Path:
    """Where a pod has its Secrets."""
    ada.secret_files(tmp_path / "secrets" / "output")
    return tmp_path / "secrets"


@pytest.fixture
def uri(tmp_path) -> str:
    return f"s3://models/{tmp_path.name}"


@pytest.fixture
def store(s3, secrets, uri) -> S3Store:
    return open_store(s3.url, secrets, uri)


def open_store(url: str, secrets: Path, uri: str) -> S3Store:
    return open_s3(uri, a_storage(url), secrets=SecretFiles(secrets), patience=QUICK)


def a_storage(url: str) -> Storage:
    ref = LocalObjectReference(name="adapters")
    return Storage(endpoint=url, region=REGION, path_style=True, secret_ref=ref)


@pytest.fixture
def faults(s3):
    with faults_before(s3.host) as faults:
        yield faults


@pytest.fixture
def follower(tmp_path, faults, secrets, uri, server):
    copies = Copies(tmp_path / "adapters", OLD_BASE.revision)
    follower = Follower(
        NAME,
        OLD_BASE.revision,
        lambda: open_store(faults.url, secrets, uri),
        copies,
        Vllm(server.url),
    )
    yield follower
    follower.server.close()


def served(server: VllmServer) -> str:
    return Path(server.adapters.get(NAME, "")).name


def test_the_command_follows_a_bucket_as_the_secret_of_the_pod(
    tmp_path, s3, secrets, store, server
):
    key = secrets / "output" / "AWS_SECRET_ACCESS_KEY"
    right = key.read_text()
    digest = promote(store, train(store, 1))
    key.write_text("another")
    process = begin(tmp_path, s3.url, secrets, store.uri, server)
    try:
        wait_until(lambda: "AWS_SECRET_ACCESS_KEY" in process.log.read_text(), "the refusal")
        assert server.loads == []
        key.write_text(right)
        wait_until(lambda: served(server) == digest, "the adapter, with the right key")
        digest = promote(store, train(store, 2))
        wait_until(lambda: served(server) == digest, "the next adapter")
    finally:
        process.stop()
    assert right not in process.log.read_text()


def begin(folder: Path, url: str, secrets: Path, uri: str, server: VllmServer) -> Process:
    storage = a_storage(url).model_dump_json(exclude_none=True)
    words = [uri, "--name", NAME, "--base", OLD_BASE.revision, "--server", server.url]
    words += ["--directory", str(folder / "adapters"), "--period", "0.1", "--storage", storage]
    command = [sys.executable, "-P", "-m", "trainer", "follow", *words]
    root = str(Path(__file__).parents[2])
    environ = os.environ | {"PYTHONPATH": root, "TUNEKEEPER_SECRETS": str(secrets)}
    return Process("follow", command, folder, environ)


def test_a_line_that_breaks_off_again_and_again_brings_nothing_torn(
    follower, faults, store, server
):
    old = promote(store, train(store, 1))
    follower.look()
    new = promote(store, train(store, 2))
    faults.then("cut short", times=20, method="GET")
    look = follower.look()
    assert (served(server), look.notes != []) == (old, True)
    assert {path.name for path in follower.copies.root.iterdir()} == {old, "accepted", "ready"}
    faults.forget()
    follower.look()
    assert served(server) == new


def test_an_object_that_is_cut_in_the_bucket_is_not_served(follower, store, server):
    old = promote(store, train(store, 1))
    follower.look()
    run = train(store, 2)
    promote(store, run)
    key = f"runs/{run.run_id}/e1/adapter/adapter_model.safetensors"
    store.write(key, store.read(key)[:100])
    look = follower.look()
    assert "is not the adapter that was promoted" in look.notes[0]
    assert served(server) == old


@pytest.mark.parametrize("kind", ["reset", "slow down", "page"])
def test_an_outage_of_the_store_does_not_keep_a_restarted_server_empty(
    follower, faults, store, server, kind
):
    digest = promote(store, train(store, 1))
    follower.look()
    server.restart()
    faults.then(kind, times=1000)
    look = follower.look()
    assert served(server) == digest
    assert json.dumps(look.notes).count("s3://models") >= 1
