"""A whole run on a base model from a Hub: prepared by its listing, trained on the frozen commit."""

import threading

import pytest
from builders.whole_run import Desk, a_base_model, finished
from cluster.hubserver import HubServer

REPO = "acme/tiny"
LATE = "tokenizer_config.json"
WAIT_S = 240


@pytest.fixture
def hub():
    server = HubServer()
    yield server
    server.close()


@pytest.fixture
def desk(tmp_path) -> Desk:
    desk = Desk(tmp_path / "desk", tmp_path / "bytecode")
    desk.laid_out(a_base_model(tmp_path / "base"))
    desk.edit_job("directory:\n      path: ./base", f"huggingFace:\n      repo: {REPO}")
    return desk


def test_a_branch_that_moves_during_a_run_does_not_move_the_run(desk, hub):
    files = {path.name: path.read_bytes() for path in desk.base.iterdir()}
    first = hub.commit(REPO, files)
    hub.gates[LATE] = threading.Event()
    settings = [f"HF_ENDPOINT={hub.endpoint}", "HF_HUB_OFFLINE=0", "NO_PROXY=*"]
    command = desk.start("run", "job.yaml", before=["env", *settings])
    assert hub.half_sent.wait(WAIT_S)  # prepare has seen the branch
    hub.commit(REPO, files | {"generation_config.json": b"{}"})
    hub.gates[LATE].set()
    ended = finished(command)
    assert ended.returncode == 0, ended.stderr
    [config] = desk.documents("runs/*/e*/adapter/adapter_config.json")
    assert (config["base_model_name_or_path"], config["revision"]) == (REPO, first)
    assert {each.path for each in hub.seen if each.path.startswith("/api/models/")} == {
        f"/api/models/{REPO}/revision/main",
        f"/api/models/{REPO}/revision/{first}",
    }
    assert len(hub.asked_for("model.safetensors", host="storage")) == 1
