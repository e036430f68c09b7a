"""A look at a Hub: one question, no weights, and the digest that preparing finds."""

import json

import pytest
from builders.edits import ALL_EDITS, WEIGHTS, a_repository
from builders.looking import Looker
from builders.sources import Asker, write_secret
from cluster.hubserver import HubServer, ask_this_hub, sibling

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources.hub import HubRevision

REPO = "acme/tiny"
SOURCE = {"huggingFace": {"repo": REPO}}


@pytest.fixture
def look(tmp_path, hub, files):
    hub.commit(REPO, a_repository(files))
    return Looker(tmp_path, SOURCE)


def prepared(tmp_path, **pin):
    return Asker(tmp_path, SOURCE)(weights=False, **pin)


def files_asked_for(hub):
    return [each.path.rpartition("/")[2] for each in hub.seen if "/resolve/" in each.path]


@pytest.mark.parametrize("edit", ALL_EDITS)
def test_the_digest_moves_with_the_model_and_with_nothing_else(look, hub, files, edit):
    before = look()
    changed = edit.change(a_repository(files))
    sha = hub.commit(REPO, changed)
    after = look()
    assert after.revision == sha != before.revision
    assert (after.content_digest != before.content_digest) is edit.moves
    model = prepared(look.root)
    assert (model.revision, model.content_digest) == (after.revision, after.content_digest)
    look.forget()
    assert look() == after


def test_weights_are_never_fetched(look, hub, files):
    look()
    hub.commit(REPO, files | {WEIGHTS: b"other"})
    look()
    assert not hub.asked_for(WEIGHTS)


def test_a_commit_that_is_known_costs_one_question(look, hub):
    first = look()
    hub.seen.clear()
    assert look() == first
    assert [each.path for each in hub.seen] == [f"/api/models/{REPO}/revision/main"]


def test_an_edit_of_the_card_costs_one_question_and_no_file(look, hub, files):
    first = look()
    hub.commit(REPO, a_repository(files) | {"README.md": b"# new"})
    hub.seen.clear()
    second = look()
    assert second.content_digest == first.content_digest
    assert files_asked_for(hub) == []


def test_only_the_file_that_changed_is_read_again(look, hub, files):
    look()
    hub.commit(REPO, files | {"generation_config.json": b'{"a": 1}'})
    hub.seen.clear()
    look()
    assert sorted(files_asked_for(hub)) == ["config.json", "generation_config.json"]


def test_a_lost_memo_costs_reading_the_small_files(look, hub, files):
    first = look()
    look.forget()
    hub.seen.clear()
    assert look() == first
    assert set(files_asked_for(hub)) == set(files) - {WEIGHTS}


def test_a_pull_request_moves_nothing(look, hub, files):
    first = look()
    hub.commit(REPO, files | {WEIGHTS: b"proposed"}, branch="refs/pr/1")
    assert look() == first


def test_a_branch_pushed_back_is_the_older_revision_again(look, hub, files):
    first = look()
    hub.commit(REPO, files | {WEIGHTS: b"other"})
    second = look()
    hub.repositories[REPO].branches["main"] = first.revision
    assert look() == first != second


def test_a_pinned_commit_can_still_be_prepared_after_the_branch_moved(look, hub, files):
    first = look()
    hub.commit(REPO, files | {WEIGHTS: b"other"})
    assert look() != first
    model = prepared(look.root, revision=first.revision, contentDigest=first.content_digest)
    assert (model.revision, model.content_digest) == (first.revision, first.content_digest)


def test_another_branch_is_followed_when_it_is_named(look, hub, files):
    sha = hub.commit(REPO, files | {WEIGHTS: b"next"}, branch="next")
    assert look(huggingFace={"repo": REPO, "branch": "next"}).revision == sha


def test_a_mirror_is_asked_in_the_hubs_place_and_says_the_same(look, hub, monkeypatch):
    first = look()
    look.forget()
    mirror = HubServer(hub)
    ask_this_hub(monkeypatch, mirror)
    hub.seen.clear()
    try:
        assert look() == first
    finally:
        mirror.close()
    assert mirror.seen
    assert not hub.seen


def test_the_token_of_the_secret_is_used(look, hub):
    hub.repositories[REPO].token = "hf_secret"  # noqa: S105 - for this server alone
    look.secrets = write_secret(look.root / "secrets", token="hf_secret")  # noqa: S106
    look(huggingFace={"repo": REPO, "secretRef": {"name": "hf"}})
    assert {each.token for each in hub.seen} == {"hf_secret"}


LIMITS = [
    pytest.param({"RateLimit": '"api";r=0;t=55'}, 55, id="the Hub's own header"),
    pytest.param({"Retry-After": "120"}, 120, id="the standard's"),
    pytest.param({}, None, id="nothing said"),
    pytest.param({"RateLimit": '"api";r=0;t=99999999'}, 86_400, id="years"),
]


@pytest.mark.parametrize(("headers", "wait_s"), LIMITS)
def test_a_rate_limit_is_a_cause_with_the_time_of_the_reset(look, hub, headers, wait_s):
    hub.limit_headers = headers
    with pytest.raises(StageError, match="takes no more requests") as caught:
        look()
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert (caught.value.cause, caught.value.retry_after_s) == (Cause.RATE_LIMITED, wait_s)
    assert len(hub.seen) == 1


def gone(hub, _files):
    hub.repositories.clear()


def gated(hub, _files):
    hub.repositories[REPO].token, hub.repositories[REPO].is_gated = "another", True


def down(hub, _files):
    hub.close()


def emptied(hub, _files):
    hub.commit(REPO, {".gitattributes": b""})


def pickled(hub, files):
    kept = {name: files[name] for name in files if name != WEIGHTS}
    hub.commit(REPO, kept | {"pytorch_model.bin": b"\x80\x04"})


def half_uploaded(hub, files):
    index = {"weight_map": {"a": WEIGHTS, "b": "model-2.safetensors"}}
    hub.commit(REPO, files | {"model.safetensors.index.json": json.dumps(index).encode()})


def index_of_lists(hub, files):
    index = json.dumps({"weight_map": {"a": ["x"]}}).encode()
    hub.commit(REPO, files | {"model.safetensors.index.json": index})


def deep(hub, files):
    hub.commit(REPO, files | {"config.json": b"[" * 99999})


def crowded(hub, files):
    hub.commit(REPO, files | {f"{number}.model": b"" for number in range(2001)})


def control_characters(hub, files):
    hub.commit(REPO, files | {"a\nb.safetensors": b"x"})


FAILURES = [
    pytest.param((gone, "NotFound", None, "or hides it"), id="it disappeared"),
    pytest.param((gated, "AccessDenied", None, "gated"), id="gated"),
    pytest.param((down, "Unavailable", None, "cannot be reached"), id="nobody there"),
    pytest.param((emptied, "InvalidSpec", None, "no config.json"), id="an empty repository"),
    pytest.param((pickled, "InvalidSpec", Cause.UNSAFE_WEIGHTS, "only as pickle"), id="pickles"),
    pytest.param((half_uploaded, "InvalidSpec", None, "lacks model-2"), id="a missing shard"),
    pytest.param((index_of_lists, "InvalidSpec", None, "lacks"), id="an index of another kind"),
    pytest.param((deep, "InvalidSpec", None, "not a JSON object"), id="a deep config"),
    pytest.param((crowded, "InvalidSpec", None, "2000 are read"), id="thousands of files"),
    pytest.param((control_characters, "InvalidSpec", None, "control characters"), id="a name"),
]


@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_had_or_trained_has_its_class_and_cause(look, hub, files, case):
    fault, failure, cause, words = case
    fault(hub, files)
    with pytest.raises(StageError, match=words) as caught:
        look()
    assert (caught.value.failure.value, caught.value.cause) == (failure, cause)


SIBLING = sibling("config.json", b"{}")

LIES = [
    pytest.param({"sha": "main"}, id="no commit"),
    pytest.param({"sha": "a" * 40 + "\nevil"}, id="a commit and more"),
    pytest.param({"sha": None}, id="nothing"),
    pytest.param({"siblings": "many"}, id="a word for the files"),
    pytest.param({"siblings": [SIBLING | {"rfilename": 5}]}, id="a number for a name"),
    pytest.param({"siblings": [SIBLING | {"size": -1}]}, id="a negative size"),
    pytest.param({"siblings": [SIBLING | {"size": "9"}]}, id="a word for a size"),
    pytest.param(
        {"siblings": [SIBLING | {"lfs": {"sha256": "x", "size": 1, "pointerSize": 1}}]},
        id="no digest",
    ),
]


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_no_hub_gives_is_not_relied_on(look, hub, lie):
    hub.lies = lie
    with pytest.raises(StageError, match="did not answer as a Hub does") as caught:
        look()
    assert caught.value.failure is FailureClass.UNAVAILABLE


def test_a_login_in_the_address_of_a_mirror_is_in_no_message():
    mirror = HubRevision("https://grace:pass-word@mirror.acme.dev", "acme/tiny", "main")
    assert "https://mirror.acme.dev lists" in mirror.differs("config.json").message
    assert mirror.shown == "https://mirror.acme.dev"


def test_names_that_lead_elsewhere_are_no_part_of_a_model(look, hub, files):
    first = look()
    names = ("../../etc/config.json", "/etc/model.safetensors", "..")
    hub.commit(REPO, a_repository(files) | dict.fromkeys(names, b"x"))
    hub.seen.clear()
    assert look().content_digest == first.content_digest
    assert files_asked_for(hub) == []


def test_a_file_that_comes_garbled_is_not_believed(look, hub):
    hub.garbled.add("tokenizer.json")
    with pytest.raises(StageError, match=r"tokenizer\.json of acme/tiny") as caught:
        look()
    assert caught.value.failure is FailureClass.UNAVAILABLE


def test_a_look_that_fails_remembers_what_it_has_read(look, hub):
    hub.garbled.add("tokenizer_config.json")
    with pytest.raises(StageError):
        look()
    hub.garbled.clear()
    hub.seen.clear()
    look()
    assert "tokenizer.json" not in files_asked_for(hub)
