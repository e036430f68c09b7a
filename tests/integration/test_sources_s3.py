"""A base model from a bucket: proved by its content, by an identity of its own."""

from uuid import uuid4

import pytest
from builders.sources import Asker
from builders.tiny_model import make_tokenizer
from cluster.s3faults import faults_before
from cluster.s3server import ROOT, S3Server, s3_server

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources import cached, fetch, ranges
from trainer.sources.binding import binding
from trainer.store.secrets import SecretFiles

BUCKET = "models"
NAME = "model.safetensors"
PIECE = 64 << 10
WEIGHTS = bytes(range(256)) * (2 * PIECE // 256 + 9)  # three pieces


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.bucket(BUCKET, server.user("grace"))
        server.user("eve")
        yield server


@pytest.fixture
def faults(server, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES_S", (0.0,) * 5)
    monkeypatch.setattr(ranges, "PIECE_BYTES", PIECE)
    with faults_before(server.host) as faults:
        yield faults


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A directory with a small model."""
    made = make_tokenizer(tmp_path_factory.mktemp("made"))
    (made / NAME).write_bytes(WEIGHTS)
    return made


@pytest.fixture(scope="module")
def files(made) -> dict[str, bytes]:
    """Its files by name."""
    return {path.name: path.read_bytes() for path in made.iterdir()}


@pytest.fixture(scope="module")
def prefix(server, files) -> str:
    """Where the bucket has the model, for tests that leave it as it is."""
    put(server, "tiny", files | {"README.md": b"# tiny", "old/model.safetensors": b"other"})
    return "tiny"


@pytest.fixture
def own_prefix(server, files, ask) -> str:
    """Where the bucket has the model for this test alone."""
    prefix = uuid4().hex
    put(server, prefix, files)
    ask.source["s3"]["uri"] = f"s3://{BUCKET}/{prefix}"
    return prefix


def put(server: S3Server, prefix: str, files: dict[str, bytes]) -> None:
    client = server.client(ROOT)
    for name, content in files.items():
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=content)


@pytest.fixture
def ask(tmp_path, faults, prefix) -> Asker:
    identity = type(ROOT)("grace", "grace-secret")
    identity.secret_files(tmp_path / "secrets" / "base")
    storage = {"endpoint": faults.url, "pathStyle": True, "secretRef": {"name": "models"}}
    source = {"s3": {"uri": f"s3://{BUCKET}/{prefix}", "storage": storage}}
    return Asker(tmp_path, source, SecretFiles(tmp_path / "secrets"))


def weights_read(faults) -> int:
    return len([each for each in faults.seen if each.startswith("GET") and NAME in each])


def test_a_bucket_and_a_directory_with_the_same_files_have_the_same_digest(tmp_path, made, ask):
    there = Asker(made.parent, {"directory": {"path": str(made)}})(cache=tmp_path)
    model = ask()
    assert (model.content_digest, model.revision) == (there.content_digest, there.revision)
    assert model.files == there.files


def test_an_adapter_remembers_the_uri_and_no_path(ask, prefix):
    assert binding(ask(weights=False)).source == f"s3://{BUCKET}/{prefix}"


def test_preparing_reads_the_weights_but_keeps_none(ask, files):
    prepared = ask(weights=False)
    assert {path.name for path in prepared.path.iterdir() if path.name[0] != "."} == {
        name for name in files if name != NAME
    }
    assert sum(ask.counts) == ask.sizes[0]


def test_training_fetches_what_was_prepared_and_reads_it_once(tmp_path, ask, faults):
    prepared = ask(weights=False)
    faults.forget()
    model = ask.frozen(prepared, cache=tmp_path / "another")
    assert (model.path / NAME).read_bytes() == WEIGHTS
    assert model.content_digest == prepared.content_digest
    assert weights_read(faults) == 3  # pieces


def test_training_on_the_same_volume_fetches_only_the_weights(ask, faults):
    prepared = ask(weights=False)
    faults.forget()
    model = ask.frozen(prepared)
    assert model.path == prepared.path
    assert [each for each in faults.seen if "tokenizer" in each] == []
    assert weights_read(faults) == 3


def test_a_whole_model_is_used_without_a_question(ask, faults):
    model = ask()
    faults.forget()
    assert ask.frozen(model) == model
    assert not faults.seen


@pytest.mark.parametrize("name", [NAME, "tokenizer.json"])
def test_a_damaged_file_is_fetched_again_and_no_other(ask, faults, files, name):
    model = ask()
    damaged = bytearray(files[name])
    damaged[9] ^= 1
    (model.path / name).write_bytes(damaged)
    faults.forget()
    assert ask.frozen(model) == model
    assert (model.path / name).read_bytes() == files[name]
    fetched = {each.rpartition("/")[2] for each in faults.seen if "list-type" not in each}
    assert fetched == {name}


def test_other_weights_than_the_frozen_ones_are_refused_and_not_kept(
    tmp_path, ask, server, own_prefix
):
    prepared = ask(weights=False)
    put(server, own_prefix, {NAME: b"\1" + WEIGHTS[1:]})
    for cache in (tmp_path / "cache", tmp_path / "another"):
        with pytest.raises(StageError, match="changed since this run began") as caught:
            ask.frozen(prepared, cache=cache)
        assert caught.value.failure is FailureClass.INVALID_SPEC
        assert not list(cache.glob(f"models/*/*{NAME}*"))


def test_other_weights_are_another_revision(ask, server, own_prefix):
    before = ask(weights=False)
    put(server, own_prefix, {NAME: b"\1" + WEIGHTS[1:]})
    after = ask(weights=False)
    assert before.revision != after.revision
    assert before.path != after.path


def test_a_pinned_revision_that_is_not_there_is_refused(ask):
    with pytest.raises(StageError, match=r"not spec\.baseModel\.revision 000"):
        ask(weights=False, revision="0" * 12)


@pytest.mark.parametrize("weights", [True, False], ids=["to a disk", "through"])
def test_a_read_that_breaks_off_goes_on_where_it_ended(ask, faults, weights):
    prepared = ask(weights=False)
    faults.forget()
    faults.then("cut short", 2, "GET")
    assert ask(weights=weights).content_digest == prepared.content_digest


def only_pickle(files):
    kept = {name: files[name] for name in files if name != NAME}
    return kept | {"pytorch_model.bin": b"pickle"}


def no_tokenizer(files):
    return {name: files[name] for name in files if name != "tokenizer.json"}


def nothing(_files):
    return {}


INCOMPLETE = [
    pytest.param((only_pickle, "InvalidSpec", "only as pickle"), id="weights only as pickle"),
    pytest.param((no_tokenizer, "InvalidSpec", "no tokenizer"), id="no tokenizer"),
    pytest.param((nothing, "NotFound", "nothing below it"), id="an empty prefix"),
]


@pytest.fixture(params=INCOMPLETE)
def refusal(request, server, files):
    """A prefix without a model that could be trained, the failure class and its words."""
    change, failure, words = request.param
    put(server, other := uuid4().hex, change(files))
    return f"s3://{BUCKET}/{other}", failure, words


def test_what_cannot_be_trained_is_refused_by_its_names(ask, faults, refusal):
    uri, failure, words = refusal
    with pytest.raises(StageError, match=words) as caught:
        ask(s3=ask.source["s3"] | {"uri": uri})
    assert caught.value.failure.value == failure
    assert uri in caught.value.message
    assert all("list-type" in each for each in faults.seen)


def test_a_missing_shard_is_noticed_before_weights_are_kept(ask, server, own_prefix):
    index = b'{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}'
    put(server, own_prefix, {"model.safetensors.index.json": index})
    with pytest.raises(StageError, match=r"lacks model-2\.safetensors"):
        ask()
    assert not list(ask.root.glob(f"cache/models/*/{NAME}"))


def test_the_identity_of_another_is_refused(tmp_path, ask):
    type(ROOT)("eve", "eve-secret").secret_files(tmp_path / "others" / "base")
    ask.secrets = SecretFiles(tmp_path / "others")
    with pytest.raises(StageError, match="Secret models may not") as caught:
        ask()
    assert caught.value.failure is FailureClass.ACCESS_DENIED
    assert "eve-secret" not in caught.value.message


def test_a_missing_secret_is_named(tmp_path, ask):
    ask.secrets = SecretFiles(tmp_path / "none")
    with pytest.raises(StageError, match="Secret models is missing") as caught:
        ask()
    assert caught.value.failure is FailureClass.SECRET_NOT_FOUND


def test_a_disk_that_is_too_small_is_noticed_before_the_download(ask, faults, files, monkeypatch):
    prepared = ask(weights=False)
    faults.forget()
    monkeypatch.setattr(cached.shutil, "disk_usage", lambda _p: type("U", (), {"free": 10})())
    with pytest.raises(StageError, match=f"{len(files[NAME])} bytes are to be fetched") as caught:
        ask.frozen(prepared)
    assert caught.value.failure is FailureClass.HOST_STORAGE_EXCEEDED
    assert weights_read(faults) == 0


def test_a_file_uri_is_told_where_it_belongs(tmp_path, ask):
    with pytest.raises(StageError, match=r"use spec\.baseModel\.directory\.path"):
        ask(s3={"uri": f"file://{tmp_path}/made"})


def test_no_more_pieces_are_in_memory_than_are_read_at_once():
    assert ranges.CONCURRENCY * ranges.PIECE_BYTES <= 64 << 20
