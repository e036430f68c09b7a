"""``python -m trainer follow`` as a process: killed, begun again, stopped, started wrongly."""

import os
import sys
from pathlib import Path

import pytest
from builders.promoted import OLD_BASE, promote, train
from builders.vllm_server import vllm_server
from cluster.process import Process, wait_until

from trainer.__main__ import main
from trainer.follow.command import keep_following, pause_s
from trainer.follow.follower import Look
from trainer.store.file import FileStore


@pytest.fixture
def server():
    with vllm_server() as server:
        yield server


@pytest.fixture
def store(tmp_path) -> FileStore:
    return FileStore(tmp_path / "output")


@pytest.fixture
def begin(tmp_path, server, store):
    """Starts the command; whatever still runs is ended with the test."""
    begun: list[Process] = []

    def begin() -> Process:
        words = [store.uri, "--name", "support", "--base", OLD_BASE.revision]
        words += ["--server", server.url, "--directory", str(tmp_path / "adapters")]
        command = [sys.executable, "-P", "-m", "trainer", "follow", *words, "--period", "0.05"]
        environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        begun.append(Process(f"follow-{len(begun)}", command, tmp_path, environ))
        return begun[-1]

    yield begin
    for process in begun:
        process.stop()


def test_a_process_that_is_killed_and_begun_again_goes_on(server, store, begin):
    old = promote(store, train(store, 1))
    first = begin()
    wait_until(lambda: is_served(server, old), "the first adapter")
    first.kill()
    new = promote(store, train(store, 2))
    second = begin()
    wait_until(lambda: is_served(server, new), "the second adapter")
    server.restart()
    wait_until(lambda: is_served(server, new), "the second adapter in a server that lost it")
    second.stop()
    assert second.exit_code == 0


def is_served(server, digest: str) -> bool:
    return server.adapters.get("support", "").endswith(digest)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["s3://b/../p"], 10, "write it without", id="no place in S3"),
        pytest.param(["{}/output", "--directory", "{}/file/x"], 14, "file", id="no directory"),
    ],
)
def test_what_no_second_look_mends_ends_it_with_the_reason(tmp_path, capsys, words, code, said):
    (tmp_path / "file").touch()
    given = [word.format(tmp_path) for word in words]
    assert main(["follow", *given, "--name", "n", "--base", "b"]) == code
    assert said in capsys.readouterr().err


def test_what_is_said_again_is_not_repeated(capsys):
    looks = iter([Look(notes=["a", "b"]), Look(notes=["a"]), Look(), Look(notes=["a"])])
    ends = iter([False, False, False, True])
    keep_following(lambda: next(looks), 10, lambda _: next(ends))
    assert capsys.readouterr().err.split() == ["a", "b", "a"]


def test_a_server_that_refuses_is_bothered_less_often_and_at_least_once_a_minute():
    assert [pause_s(10, refusals) for refusals in (0, 1, 2, 3, 99)] == [10, 20, 40, 60, 60]
    assert pause_s(120, 5) == 120


def test_refusals_are_counted_until_an_adapter_is_taken():
    looks = iter([Look(is_refused=True), Look(is_refused=True), Look()])
    pauses = []

    def wait(pause: float) -> bool:
        pauses.append(pause)
        return len(pauses) == 3

    keep_following(lambda: next(looks), 10, wait)
    assert pauses == [20, 40, 10]
