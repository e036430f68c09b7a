"""The cache volume is shared: what lies there is used when it proves right, and mended else."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders.sources import Asker
from huggingface_hub import constants

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources import fetch

REPO = "acme/tiny"
NAME = "model.safetensors"
WAIT_S = 20


@pytest.fixture
def ask(tmp_path, hub, files):
    hub.commit(REPO, files)
    return Asker(tmp_path, {"huggingFace": {"repo": REPO}})


def test_a_whole_model_is_used_without_a_question(ask, hub):
    model = ask()
    hub.seen.clear()
    assert ask.frozen(model) == model
    assert ask.frozen(model, weights=False) == model
    assert not hub.seen


def test_a_whole_model_is_used_offline(ask, monkeypatch):
    model = ask()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert ask.frozen(model) == model


def test_every_byte_of_a_cached_model_is_read_again(ask, files):
    model = ask()
    ask.counts.clear()
    ask.frozen(model)
    assert sum(ask.counts) == sum(len(content) for content in files.values())


def flipped(path, _elsewhere):
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


def torn(path, _elsewhere):
    path.write_bytes(path.read_bytes()[:-5])


def missing(path, _elsewhere):
    path.unlink()


def a_link(path, elsewhere):
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


DAMAGES = [
    pytest.param(flipped, id="a flipped bit"),
    pytest.param(torn, id="a torn file"),
    pytest.param(missing, id="a missing file"),
    pytest.param(a_link, id="a link to somewhere else"),
]


@pytest.mark.parametrize("name", [NAME, "tokenizer.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_fetched_again_and_no_other(ask, hub, files, damage, name):
    model = ask()
    hub.seen.clear()
    damage(model.path / name, ask.root / "elsewhere")
    assert ask.frozen(model) == model
    assert (model.path / name).read_bytes() == files[name]
    assert not (model.path / name).is_symlink()
    assert [each.path.rpartition("/")[2] for each in hub.seen if "/resolve/" in each.path] == [name]


def test_what_is_no_part_of_the_model_is_not_left_beside_it(ask):
    model = ask()
    (model.path / "adapter_config.json").write_text("{}")
    (model.path / "chat_templates").mkdir()
    (model.path / "chat_templates" / "tool.jinja").write_text("evil")
    ask.frozen(model)
    assert {path.name for path in model.path.iterdir() if path.name[0] != "."} == set(model.files)


def forged(path):
    path.write_text(json.dumps({NAME: "0" * 64}))


def nonsense(path):
    path.write_text("[")


def numbers(path):
    path.write_text('{"config.json": 7}')


@pytest.mark.parametrize("change", [forged, nonsense, numbers])
def test_a_record_that_does_not_add_up_is_not_believed(ask, hub, change):
    model = ask()
    change(model.path / ".files.json")
    (model.path / NAME).write_bytes(b"evil")
    assert ask.frozen(model) == model
    assert (model.path / NAME).read_bytes() != b"evil"
    assert hub.asked_for(NAME)


def test_another_content_than_the_frozen_one_is_refused(ask):
    model = ask()
    with pytest.raises(StageError, match="changed since this run began") as caught:
        ask.frozen(model, contentDigest="sha256:" + "0" * 64)
    assert caught.value.failure is FailureClass.INVALID_SPEC


@pytest.mark.parametrize("knows_ranges", [True, False], ids=["with ranges", "without ranges"])
def test_a_transfer_that_breaks_off_goes_on_where_it_ended(ask, hub, files, knows_ranges):
    hub.knows_ranges = knows_ranges
    hub.cut_after[NAME] = [100_000, 40_000, 150_000]
    model = ask()
    assert (model.path / NAME).read_bytes() == files[NAME]
    assert sum(ask.counts) == ask.sizes[0]
    asked = [each.range for each in hub.asked_for(NAME, host="storage")]
    ends = (100_000, 140_000, 290_000) if knows_ranges else (100_000, 100_000, 150_000)
    assert asked == ["", *(f"bytes={end}-" for end in ends)]


def test_a_transfer_that_brings_nothing_is_given_up(ask, hub):
    hub.cut_after[NAME] = [0] * 99
    with pytest.raises(StageError, match="cannot be reached") as caught:
        ask()
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert len(hub.asked_for(NAME, host="storage")) == len(fetch.PAUSES_S) + 1


def interrupt_after(count):
    left = [count]

    def on_bytes(arrived):
        left[0] -= arrived
        if left[0] <= 0:
            raise StageError(FailureClass.INTERRUPTED, "stopped")

    return on_bytes


def test_a_stopped_stage_leaves_what_the_next_one_takes_up(ask, hub, files):
    hub.cut_after[NAME] = [100_000]
    ask(weights=False)
    with pytest.raises(StageError) as caught:
        ask(on_bytes=interrupt_after(sum(ask.counts) + 100_001))
    assert caught.value.failure is FailureClass.INTERRUPTED
    hub.seen.clear()
    assert (ask().path / NAME).read_bytes() == files[NAME]
    assert [each.range for each in hub.asked_for(NAME, host="storage")] == ["bytes=100000-"]


def test_a_part_with_foreign_bytes_only_costs_a_download(ask, hub, files):
    model = ask(weights=False)
    (model.path / f".{NAME}.0.part").write_bytes(b"evil" * 1000)
    assert (ask().path / NAME).read_bytes() == files[NAME]
    assert [each.range for each in hub.asked_for(NAME, host="storage")] == ["bytes=4000-", ""]


def test_a_planted_link_is_not_written_through(ask):
    model = ask(weights=False)
    victim = ask.root / "victim"
    victim.write_bytes(b"precious")
    (model.path / f".{NAME}.0.part").symlink_to(victim)
    with pytest.raises(StageError) as caught:
        ask()
    assert caught.value.failure is FailureClass.ACCESS_DENIED
    assert victim.read_bytes() == b"precious"


def test_a_stop_is_heard_between_two_tries(ask, hub, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES_S", (600.0,))
    hub.failing, hub.failures = 503, 99
    stop = threading.Event()

    def on_bytes(_count):
        raise StageError(FailureClass.INTERRUPTED, "stopped")

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, stop=stop, on_bytes=on_bytes)
        stop.set()
        assert asked.exception(WAIT_S).failure is FailureClass.INTERRUPTED


def test_two_stages_at_once_both_get_a_whole_model(ask, hub, files):
    hub.gates[NAME] = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask)
        assert hub.half_sent.wait(WAIT_S)
        hub.half_sent.clear()
        second = pool.submit(ask)
        assert hub.half_sent.wait(WAIT_S)
        hub.gates[NAME].set()
        models = [first.result(WAIT_S), second.result(WAIT_S)]
    assert models[0] == models[1]
    assert (models[0].path / NAME).read_bytes() == files[NAME]
    assert not list(models[0].path.glob("*.part"))
