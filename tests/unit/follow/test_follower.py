"""A server is brought to the promoted adapter, whatever happens to it, to the store or to us."""

import json
from pathlib import Path

import httpx2
import pytest
from builders.promoted import NEW_BASE, OLD_BASE, promote, run_id, train
from builders.vllm_server import VllmServer, vllm_server

from trainer.contract.failures import FailureClass
from trainer.contract.limit import PartialTraining
from trainer.errors import StageError
from trainer.follow.copies import Copies
from trainer.follow.follower import Follower
from trainer.follow.vllm import Vllm
from trainer.store import layout
from trainer.store.file import FileStore
from trainer.store.manifest import EarlierAdapter

NAME = "support"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def process():
    with vllm_server() as server:
        yield server


@pytest.fixture
def server(process: VllmServer) -> VllmServer:
    process.__init__(url=process.url)
    return process


@pytest.fixture
def store(tmp_path) -> FileStore:
    return FileStore(tmp_path / "output")


@pytest.fixture
def a_follower(tmp_path, server, store):
    """Makes one as a process that has just begun; what is on the disk is from the one before."""
    made = []

    def make(base=OLD_BASE) -> Follower:
        copies = Copies(tmp_path / "adapters", base.revision)
        made.append(Follower(NAME, base.revision, lambda: store, copies, Vllm(server.url)))
        return made[-1]

    yield make
    for follower in made:
        follower.server.close()


@pytest.fixture
def follower(a_follower) -> Follower:
    return a_follower()


def served(server: VllmServer) -> str | None:
    """The name of the copy that is served: the adapter's digest."""
    path = server.adapters.get(NAME)
    return Path(path).name if path else None


def is_ready(follower: Follower) -> bool:
    return (follower.copies.root / "ready").exists()


def copies_of(follower: Follower) -> set[str]:
    return {path.name for path in follower.copies.root.iterdir() if path.is_dir()} - {"accepted"}


def test_the_promoted_adapter_is_served_under_the_name(follower, server, store):
    digest = promote(store, train(store, 1))
    follower.look()
    assert served(server) == digest
    assert is_ready(follower)


def test_before_the_first_promotion_nothing_is_served_and_the_pod_is_not_ready(follower, server):
    look = follower.look()
    assert (server.loads, is_ready(follower)) == ([], False)
    assert "nothing is promoted" in look.notes[0]


def test_a_promotion_replaces_the_adapter_in_place(follower, server, store):
    promote(store, train(store, 1))
    follower.look()
    digest = promote(store, train(store, 2))
    follower.look()
    assert served(server) == digest
    assert all(asked["load_inplace"] for asked in server.asked)


def test_the_copies_of_the_last_promotions_stay_and_older_ones_go(follower, store):
    digests = []
    for number in range(1, 6):
        digests.append(promote(store, train(store, number)))
        follower.look()
    assert copies_of(follower) == set(digests[-3:])


def test_a_look_at_a_server_that_is_right_asks_it_for_nothing(follower, server, store):
    promote(store, train(store, 1))
    follower.look()
    follower.copies.fetch = pytest.fail  # nor is the copy read again, which may be large
    follower.look()
    assert len(server.loads) == 1


def test_a_promotion_that_moves_back_is_followed_back(follower, server, store):
    first = train(store, 1)
    digest = promote(store, first)
    follower.look()
    promote(store, train(store, 2))
    follower.look()
    promote(store, first)
    follower.look()
    assert served(server) == digest


def test_a_server_that_lost_its_adapters_gets_them_again(follower, server, store):
    digest = promote(store, train(store, 1))
    follower.look()
    server.restart()
    follower.look()
    assert served(server) == digest


def test_a_server_that_is_away_makes_the_pod_unready_and_is_served_when_it_is_back(
    follower, server, store
):
    digest = promote(store, train(store, 1))
    follower.look()
    server.is_down = True
    server.restart()
    look = follower.look()
    assert not is_ready(follower)
    assert "does not answer" in look.notes[-1]
    server.is_down = False
    follower.look()
    assert (served(server), is_ready(follower)) == (digest, True)


def test_an_adapter_is_fetched_while_the_server_is_still_starting(follower, server, store):
    server.is_down = True
    digest = promote(store, train(store, 1))
    follower.look()
    assert copies_of(follower) == {digest}


@pytest.mark.parametrize("fault", ["500", "503", "reset", "page"])
def test_a_load_that_fails_leaves_the_old_adapter_and_is_tried_again(
    follower, server, store, fault
):
    old = promote(store, train(store, 1))
    follower.look()
    new = promote(store, train(store, 2))
    server.faults.append(fault)
    look = follower.look()
    assert (served(server), is_ready(follower), look.is_refused) == (old, True, True)
    follower.look()
    assert served(server) == new


def test_an_adapter_that_the_server_cannot_take_leaves_the_old_one_also_after_its_restart(
    follower, server, store
):
    old = promote(store, train(store, 1))
    follower.look()
    promote(store, train(store, 2, rank=64))
    look = follower.look()
    assert "LoRA rank 64 is greater than max_lora_rank 16" in look.notes[-1]
    assert served(server) == old
    server.restart()
    follower.look()
    assert (served(server), is_ready(follower)) == (old, True)


def test_a_download_that_was_torn_is_never_served(follower, server, store):
    old = promote(store, train(store, 1))
    follower.look()
    new = promote(store, train(store, 2))
    key = layout.epoch(run_id(2), 1, f"adapter/{WEIGHTS}")
    whole = store.read(key)
    store.write(key, whole[: len(whole) // 2])
    look = follower.look()
    assert "is not the adapter that was promoted" in look.notes[-1]
    assert (served(server), copies_of(follower)) == (old, {old})
    store.write(key, whole)
    follower.look()
    assert served(server) == new


def test_a_copy_that_was_damaged_here_is_fetched_again_before_a_server_gets_it(
    follower, server, store
):
    digest = promote(store, train(store, 1))
    follower.look()
    copy = follower.copies.root / digest / WEIGHTS
    good = copy.read_bytes()
    copy.write_bytes(b"damaged")
    server.restart()
    follower.look()
    assert (served(server), copy.read_bytes()) == (digest, good)


def test_a_pointer_that_was_deleted_changes_nothing(a_follower, follower, server, store):
    digest = promote(store, train(store, 1))
    follower.look()
    store.delete(layout.POINTER)
    look = follower.look()
    assert (served(server), is_ready(follower)) == (digest, True)
    assert "nothing is promoted" in look.notes[0]
    server.restart()
    a_follower().look()
    assert served(server) == digest


def test_a_store_that_is_away_does_not_keep_a_restarted_server_empty(
    a_follower, follower, server, store
):
    digest = promote(store, train(store, 1))
    follower.look()
    server.restart()
    again = a_follower()

    def away():
        raise StageError(FailureClass.UNAVAILABLE, "the store does not answer")

    again.open_store = away
    look = again.look()
    assert (served(server), is_ready(again)) == (digest, True)
    assert look.notes[0] == "the store does not answer"


def test_a_new_process_takes_over_without_loading_anything(a_follower, follower, server, store):
    promote(store, train(store, 1))
    follower.look()
    a_follower().look()
    assert len(server.loads) == 1


def test_what_a_killed_process_left_half_fetched_is_removed(a_follower, follower):
    torn = follower.copies.root / ".tunekeeper-half"
    torn.mkdir()
    (torn / WEIGHTS).write_bytes(b"half")
    a_follower()
    assert not torn.exists()


def test_a_server_on_the_old_base_model_keeps_the_newest_adapter_for_it(follower, server, store):
    promote(store, train(store, 1))
    newest = promote(store, train(store, 2))
    promote(store, train(store, 3, base=NEW_BASE))
    look = follower.look()
    assert served(server) == newest
    assert f"keeps to run {run_id(2)}" in look.notes[0]


def test_of_a_run_that_was_promoted_twice_no_adapter_is_guessed(follower, server, store):
    run = train(store, 1)
    earlier = EarlierAdapter(
        epoch=1,
        adapter_digest=run.adapter_digest,
        files=run.files,
        partial=PartialTraining(limit=FailureClass.DEADLINE_EXCEEDED, step=1, max_steps=2),
    )
    again = run.model_copy(update={"earlier": [earlier]})
    store.write(layout.manifest(run.run_id), again.model_dump_json().encode())
    promote(store, run)
    promote(store, train(store, 2, base=NEW_BASE))
    look = follower.look()
    assert server.loads == []
    assert "none was promoted for that" in look.notes[0]


def test_a_server_on_the_new_base_model_gets_the_new_adapter(a_follower, server, store):
    promote(store, train(store, 1))
    digest = promote(store, train(store, 2, base=NEW_BASE))
    a_follower(NEW_BASE).look()
    assert served(server) == digest


def test_an_adapter_whose_own_record_names_another_base_is_never_served(follower, server, store):
    run = train(store, 1, base=NEW_BASE)
    promote(store, run.model_copy(update={"base": OLD_BASE}))
    look = follower.look()
    assert server.loads == []
    assert "is for base model" in look.notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"adapterURI": "s3://b/runs/../../etc"}, "is no adapter", id="a place"),
        pytest.param({"sequence": "two"}, "sequence", id="a field"),
    ],
)
def test_a_pointer_that_cannot_be_read_changes_nothing(follower, server, store, change, words):
    digest = promote(store, train(store, 1))
    follower.look()
    document = json.loads(store.read(layout.POINTER)) | change
    store.write(layout.POINTER, json.dumps(document).encode())
    look = follower.look()
    assert served(server) == digest
    assert words in look.notes[0]


def test_a_pointer_of_a_later_release_is_read(follower, server, store):
    digest = promote(store, train(store, 1))
    document = json.loads(store.read(layout.POINTER)) | {"newField": 1}
    store.write(layout.POINTER, json.dumps(document).encode())
    follower.look()
    assert served(server) == digest


def test_an_output_that_was_copied_elsewhere_is_followed_there(follower, server, store):
    digest = promote(store, train(store, 1))
    document = json.loads(store.read(layout.POINTER))
    document["adapterURI"] = f"s3://before/{layout.epoch(run_id(1), 1, 'adapter')}"
    store.write(layout.POINTER, json.dumps(document).encode())
    follower.look()
    assert served(server) == digest


def test_what_somebody_else_unloaded_is_loaded_again(follower, server, store):
    digest = promote(store, train(store, 1))
    follower.look()
    httpx2.post(f"{server.url}/v1/unload_lora_adapter", json={"lora_name": NAME})
    assert served(server) is None
    follower.look()
    assert served(server) == digest


def test_the_store_is_opened_once_and_again_after_it_failed(follower, store):
    opened = []
    follower.open_store = lambda: opened.append(store) or store
    promote(store, train(store, 1))
    follower.look()
    follower.look()
    assert len(opened) == 1
    store.write(layout.POINTER, b"cut")
    follower.look()
    follower.look()
    assert len(opened) == 2


def test_what_somebody_else_loaded_under_the_name_is_replaced(follower, server, store):
    digest = promote(store, train(store, 1))
    server.adapters[NAME] = "/somewhere/else"
    follower.look()
    assert served(server) == digest


def test_an_answer_that_is_not_vllms_is_said(follower, server, store, monkeypatch):
    promote(store, train(store, 1))
    monkeypatch.setattr(server, "models", lambda: ["?"])
    look = follower.look()
    assert "does not answer as vLLM does" in look.notes[0]
    assert not is_ready(follower)
