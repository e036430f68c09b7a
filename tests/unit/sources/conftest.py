"""A Hub on loopback, and a model to put there."""

import pytest
from builders.tiny_model import make_tokenizer
from cluster.hubserver import HubServer, ask_this_hub
from huggingface_hub import close_session, constants

from trainer.sources import fetch

WEIGHTS = bytes(range(256)) * 1200


@pytest.fixture
def files(tmp_path):
    """The files of a small model by name."""
    made = make_tokenizer(tmp_path / "made")
    (made / "model.safetensors").write_bytes(WEIGHTS)
    return {path.name: path.read_bytes() for path in made.iterdir()}


@pytest.fixture
def hub(monkeypatch):
    """A Hub that this process asks, with no account of the one who runs the tests."""
    server = HubServer()
    ask_this_hub(monkeypatch, server)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    monkeypatch.setattr(fetch, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "*")
    close_session()
    yield server
    close_session()
    server.close()
