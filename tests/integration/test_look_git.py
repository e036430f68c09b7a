"""A look at a Git repository: one question, no weights, and the digest that preparing finds."""

import json

import pytest
from builders.edits import ALL_EDITS, WEIGHTS, a_repository
from builders.looking import Looker
from builders.sources import Asker, write_secret
from builders.tiny_model import make_tokenizer
from cluster.gitserver import GitServer

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources import fetch

TENSORS = bytes(range(256)) * 1200


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES_S", (0.0,) * 3)
    monkeypatch.setenv("NO_PROXY", "*")
    server = GitServer(tmp_path / "repositories")
    yield server
    server.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    made = make_tokenizer(tmp_path_factory.mktemp("made"))
    (made / WEIGHTS).write_bytes(TENSORS)
    return a_repository({path.name: path.read_bytes() for path in made.iterdir()})


@pytest.fixture(params=["weights in LFS", "weights in Git"])
def put(request, server, files):
    """Puts a model into the repository; returns the commit."""
    repository = server.repository("acme/tiny")

    def put(files: dict[str, bytes]) -> str:
        kept = dict(files)
        if request.param == "weights in LFS":
            tensors = {name: each for name, each in files.items() if "safetensors" in name}
            kept |= {name: server.keep(each) for name, each in tensors.items()}
        return repository.commit(kept, whole=True)

    put(files)
    return put


@pytest.fixture
def look(tmp_path, server, put):
    assert put
    return Looker(tmp_path, {"git": {"url": server.repositories["acme/tiny"].url}})


@pytest.mark.parametrize("edit", ALL_EDITS)
def test_the_digest_moves_with_the_model_and_with_nothing_else(look, put, files, edit):
    before = look()
    commit = put(edit.change(files))
    after = look()
    assert after.revision == commit
    assert (after.content_digest != before.content_digest) is edit.moves
    model = Asker(look.root, look.source)(weights=False)
    assert (model.revision, model.content_digest) == (after.revision, after.content_digest)
    look.forget()
    assert look() == after


def test_files_of_lfs_are_never_fetched(look, put, files, server):
    look()
    put(files | {WEIGHTS: b"other"})
    look()
    assert not server.asked("/objects/batch")


def test_a_commit_that_is_known_costs_one_question(look, server):
    first = look()
    server.seen.clear()
    assert look() == first
    assert [each.path.rpartition("/")[2] for each in server.seen] == ["refs", "git-upload-pack"]
    assert b"ls-refs" in server.seen[-1].body


def test_an_edit_of_the_card_reads_no_file_again(look, put, files, server):
    first = look()
    put(files | {"README.md": b"# new"})
    server.seen.clear()
    assert look().content_digest == first.content_digest
    assert look.bytes_read == 0
    assert sum(each.bytes_sent for each in server.seen) < 4000


def test_only_what_changed_is_read_again(look, put, files, server):
    look()
    put(files | {"generation_config.json": b'{"a": 1}'})
    server.seen.clear()
    look()
    assert sum(each.bytes_sent for each in server.seen) < 4000


def test_a_lost_memo_costs_reading_and_gives_the_same(look):
    first = look()
    look.memo, look.known = "", first.model_copy(update={"revision": "0" * 40})
    assert look() == first


def test_a_branch_set_back_is_an_old_revision_and_nothing_else(look, put, files, server):
    first = look()
    put(files | {"tokenizer.json": files["tokenizer.json"] + b" "})
    assert look() != first
    server.repositories["acme/tiny"].move("main", first.revision)
    assert look() == first


def test_a_server_that_forbids_filters_gives_the_same(look, server):
    first = look()
    server.repositories["acme/tiny"].allow_filter(False)
    look.forget()
    assert look() == first


def without(*names):
    return lambda files: {name: files[name] for name in files if name not in names}


def missing_shard(files):
    index = json.dumps({"weight_map": {"a": WEIGHTS, "b": "model-2.safetensors"}}).encode()
    return files | {"model.safetensors.index.json": index}


INCOMPLETE = [
    pytest.param(without("config.json"), ("no config.json", None), id="no config"),
    pytest.param(without(WEIGHTS), (r"no \*.safetensors", None), id="no weights"),
    pytest.param(
        lambda files: without(WEIGHTS)(files) | {"pytorch_model.bin": b"\x80"},
        ("only as pickle", Cause.UNSAFE_WEIGHTS),
        id="weights only as pickle",
    ),
    pytest.param(missing_shard, ("lacks model-2.safetensors", None), id="a missing shard"),
    pytest.param(
        lambda files: files | {"config.json": b"[]"}, ("no", None), id="a config that is none"
    ),
]


@pytest.mark.parametrize(("change", "expected"), INCOMPLETE)
def test_what_no_run_could_train_on_is_refused(look, put, files, change, expected):
    words, cause = expected
    put(change(files))
    with pytest.raises(StageError, match=words) as caught:
        look()
    assert (caught.value.failure, caught.value.cause) == (FailureClass.INVALID_SPEC, cause)


def test_a_login_is_used(look, server):
    server.repositories["acme/tiny"].users["grace"] = "word"
    look.source["git"]["secretRef"] = {"name": "forge"}
    look.secrets = write_secret(look.root / "secrets", username="grace", password="word")  # noqa: S106
    look()
    assert {each.user for each in server.seen} == {"grace"}


def test_a_rate_limit_has_its_cause_and_its_time(look, server):
    server.status["/info/refs"] = [429]
    server.headers["Retry-After"] = "90"
    with pytest.raises(StageError) as caught:
        look()
    assert (caught.value.cause, caught.value.retry_after_s) == (Cause.RATE_LIMITED, 90)
