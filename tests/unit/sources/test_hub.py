"""A base model from a Hub: the right commit, only what is wanted, and the words when it fails."""

import os
import subprocess
import sys

import pytest
from builders.sources import Asker, write_secret
from huggingface_hub import constants, snapshot_download

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources import cached
from trainer.sources.binding import binding
from trainer.sources.counted import counted

REPO = "acme/tiny"


@pytest.fixture
def ask(tmp_path, hub, files):
    hub.commit(REPO, files | {"README.md": b"# tiny", "onnx/model.safetensors": b"other"})
    return Asker(tmp_path, {"huggingFace": {"repo": REPO}})


def test_the_library_itself_takes_this_server_for_a_hub(tmp_path, hub, files, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    hub.commit(REPO, files)
    path = snapshot_download(REPO, allow_patterns="*.safetensors", local_dir=tmp_path / "there")
    assert (tmp_path / "there" / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert path == str((tmp_path / "there").resolve())


def test_the_head_of_the_branch_becomes_the_revision(ask, hub, files):
    model = ask()
    assert model.revision == hub.repositories[REPO].branches["main"]
    assert {path.name for path in model.path.iterdir() if path.name[0] != "."} == set(files)
    assert (model.path / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_a_hub_and_a_directory_with_the_same_files_have_the_same_digest(tmp_path, ask):
    there = Asker(tmp_path, {"directory": {"path": str(tmp_path / "made")}})()
    assert ask().content_digest == there.content_digest
    assert ask().files == there.files


def test_an_adapter_remembers_the_repository_and_no_path(ask):
    assert binding(ask()).source == REPO


def test_preparing_fetches_no_weights_and_knows_the_same_digest(ask, hub):
    prepared = ask(weights=False)
    assert not hub.asked_for("model.safetensors")
    assert prepared.content_digest == ask.frozen(prepared).content_digest
    assert len(hub.asked_for("model.safetensors", host="storage")) == 1


def test_only_counted_files_at_the_top_are_fetched(ask, hub, files):
    ask()
    resolved = {each.path.rpartition("/resolve/") for each in hub.seen if "/resolve/" in each.path}
    assert {rest.partition("/")[2] for _, _, rest in resolved} == set(counted(files))


def test_all_announced_bytes_come(ask, files):
    ask()
    assert ask.sizes == [sum(len(content) for content in files.values())]
    assert sum(ask.counts) == ask.sizes[0]


def test_a_frozen_revision_stays_when_the_branch_moves(tmp_path, ask, hub, files):
    begun = ask(weights=False)
    hub.commit(REPO, files | {"config.json": files["config.json"] + b" "})
    later = ask.frozen(begun, cache=tmp_path / "another")
    assert (later.revision, later.content_digest) == (begun.revision, begun.content_digest)
    assert ask().revision != begun.revision


def test_a_tag_leads_to_its_commit(ask, hub, files):
    tagged = hub.commit(REPO, files | {"generation_config.json": b"{}"}, branch="v1")
    assert ask(revision="v1").revision == tagged


def test_xet_storage_is_not_asked(ask, hub):
    ask()
    assert not hub.asked_for("xet-token")


def test_a_token_goes_to_the_hub_and_to_no_storage_host(tmp_path, ask, hub):
    hub.repositories[REPO].token = "hf_secret"  # noqa: S105 - for this server alone
    ask.secrets = write_secret(tmp_path / "secrets", token="hf_secret")  # noqa: S106
    ask(huggingFace={"repo": REPO, "secretRef": {"name": "hf"}})
    assert {each.token for each in hub.seen if each.host == "hub"} == {"hf_secret"}
    assert {each.token for each in hub.seen if each.host == "storage"} == {""}


def test_a_missing_secret_is_named(tmp_path, ask, hub):
    ask.secrets = write_secret(tmp_path / "secrets", user="x")
    with pytest.raises(StageError, match="secretRef: Secret hf has no key token") as caught:
        ask(huggingFace={"repo": REPO, "secretRef": {"name": "hf"}})
    assert caught.value.failure is FailureClass.SECRET_NOT_FOUND
    assert not hub.seen


def without(*names):
    return lambda files: {name: files[name] for name in files if name not in names}


def only_pickle(files):
    return without("model.safetensors")(files) | {"pytorch_model.bin": b"pickle"}


def a_shard_short(files):
    index = b'{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}'
    return files | {"model.safetensors.index.json": index}


INCOMPLETE = [
    pytest.param(only_pickle, "only as pickle", id="weights only as pickle"),
    pytest.param(without("model.safetensors"), "no \\*.safetensors", id="no weights"),
    pytest.param(without("config.json"), "no config.json", id="no config"),
    pytest.param(without("tokenizer.json"), "no tokenizer.json", id="no tokenizer"),
    pytest.param(a_shard_short, "lacks model-2.safetensors", id="a missing shard"),
]


@pytest.mark.parametrize(("damage", "words"), INCOMPLETE)
def test_what_cannot_be_trained_is_refused_before_its_weights_are_fetched(
    ask, hub, files, damage, words
):
    hub.commit(REPO, damage(files))
    with pytest.raises(StageError, match=words) as caught:
        ask()
    assert caught.value.failure is FailureClass.INVALID_SPEC
    assert REPO in caught.value.message
    assert not hub.asked_for(".safetensors")
    assert not hub.asked_for(".bin")


def unknown_repository(hub):
    hub.repositories.clear()


def gated(hub):
    hub.repositories[REPO].token, hub.repositories[REPO].is_gated = "another", True


def limited(hub):
    hub.limited_s = 55


def broken(hub):
    hub.failing, hub.failures = 503, 99


def forbidding(hub):
    hub.failing, hub.failures = 403, 99


def not_a_hub(hub):
    hub.failing, hub.failures = 200, 99


def stopped(hub):
    hub.close()


REFUSALS = [
    pytest.param(
        unknown_repository, "NotFound", "has no acme/tiny at revision main", id="no repository"
    ),
    pytest.param(gated, "AccessDenied", "gated; accept its terms", id="a gated repository"),
    pytest.param(forbidding, "AccessDenied", "huggingFace.secretRef", id="a token without rights"),
    pytest.param(limited, "Unavailable", "no more requests for 55 s", id="too many requests"),
    pytest.param(broken, "Unavailable", "answered 503", id="an outage"),
    pytest.param(not_a_hub, "Unavailable", "correct HF_ENDPOINT", id="an address that is no Hub"),
    pytest.param(stopped, "Unavailable", "cannot be reached", id="nobody there"),
]


@pytest.mark.parametrize(("fault", "failure", "words"), REFUSALS)
def test_a_refusal_says_what_and_where_and_never_the_token(ask, hub, fault, failure, words):
    fault(hub)
    ask.secrets = write_secret(ask.root / "secrets", token="hf_hidden")  # noqa: S106
    with pytest.raises(StageError, match=words) as caught:
        ask(huggingFace={"repo": REPO, "secretRef": {"name": "hf"}})
    assert caught.value.failure.value == failure
    assert hub.endpoint in caught.value.message
    assert "hf_hidden" not in caught.value.message


def test_a_revision_that_is_not_there_is_named(ask):
    with pytest.raises(StageError, match="acme/tiny at revision v9") as caught:
        ask(revision="v9")
    assert caught.value.failure is FailureClass.NOT_FOUND


def test_a_name_that_no_repository_can_have_is_refused(ask):
    with pytest.raises(StageError, match=r"huggingFace\.repo: acme/ti--ny") as caught:
        ask(huggingFace={"repo": "acme/ti--ny"})
    assert caught.value.failure is FailureClass.INVALID_SPEC


def test_a_short_outage_is_waited_out(ask, hub):
    hub.failing, hub.failures = 502, 2
    assert ask().revision


def test_a_file_that_comes_garbled_is_not_kept(ask, hub):
    hub.garbled.add("model.safetensors")
    with pytest.raises(StageError, match=r"model\.safetensors of acme/tiny") as caught:
        ask()
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert not list(ask.root.glob("cache/models/*/*model.safetensors*"))


def test_a_disk_that_is_too_small_is_noticed_before_the_download(ask, hub, files, monkeypatch):
    room = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(cached.shutil, "disk_usage", lambda _path: room)
    needed = sum(len(content) for content in files.values())
    with pytest.raises(StageError, match=f"{needed} bytes are to be fetched") as caught:
        ask()
    assert caught.value.failure is FailureClass.HOST_STORAGE_EXCEEDED
    assert not [each for each in hub.seen if "/resolve/" in each.path]


def test_offline_says_so_and_asks_nobody(ask, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(StageError, match="HF_HUB_OFFLINE forbids") as caught:
        ask()
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert not hub.seen


OFFLINE = """
from pathlib import Path
from trainer.contract.source import PinnedModel
from trainer.sources.resolve import resolve
source = PinnedModel.model_validate({"huggingFace": {"repo": "acme/tiny"}})
try:
    resolve(source, cache=Path("cache"), file_root=Path("."))
except Exception as error:
    print(error.failure.value, error)
"""


def test_the_environment_of_a_process_can_forbid_it(tmp_path, hub):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": hub.endpoint}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    said = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", OFFLINE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith("Unavailable spec.baseModel.huggingFace")
    assert hub.endpoint in said.stdout
    assert not hub.seen
