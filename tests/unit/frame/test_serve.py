"""The two read-only paths of a stage."""

import json
import socket
import urllib.error
import urllib.request

import pytest
from builders.requests import a_request

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.progress import ProgressTracker
from trainer.serve import serve_progress


def fetch(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read()


@pytest.fixture
def served(tmp_path):
    """A tracker and the port it is served on, through an inherited socket."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    tracker = ProgressTracker(a_request(tmp_path))
    port = listener.getsockname()[1]
    with serve_progress(tracker, f"fd:{listener.detach()}"):
        yield tracker, port


def test_progress_echoes_the_job_the_run_and_the_attempt(served):
    answer = json.loads(fetch(served[1], "/progress"))
    assert (answer["uid"], answer["run"], answer["attempt"]) == ("uid-1", 1, 1)


def test_metrics_are_prometheus_text(served):
    served[0].measure(step=7, train_loss=0.25)
    text = fetch(served[1], "/metrics").decode()
    assert "tunekeeper_trainer_step 7.0" in text
    assert "tunekeeper_trainer_train_loss_nats 0.25" in text


def test_any_other_path_is_not_found(served):
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(served[1], "/../etc/passwd")
    assert refused.value.code == 404
    refused.value.close()


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:http", "fd:x", "127.0.0.1:99999"])
def test_a_wrong_address_is_refused_with_the_address(tmp_path, address):
    with (
        pytest.raises(StageError) as refused,
        serve_progress(ProgressTracker(a_request(tmp_path)), address),
    ):
        pass
    assert refused.value.failure is FailureClass.UNAVAILABLE
    assert repr(address) in refused.value.message
