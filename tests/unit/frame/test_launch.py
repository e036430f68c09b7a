"""Several ranks end as one stage: one exit code, one last word, nobody left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cluster.process import wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.launch import (
    End,
    Place,
    Result,
    is_first,
    own_environment,
    place_of,
    rank_environment,
    result_of,
)

CODE = EXIT_CODES
LOST, STOPPED = CODE[FailureClass.NO_PROGRESS], CODE[FailureClass.INTERRUPTED]
KILLED, DIVERGED = CODE[FailureClass.HOST_OUT_OF_MEMORY], CODE[FailureClass.DIVERGED]

ENDS = [
    pytest.param([End(1, 0), End(0, 0)], False, Result(0, 0), id="all did their work"),
    pytest.param(
        [End(0, 0), End(1, 139)], False, Result(0, 0), id="one crashed when all was published"
    ),
    pytest.param(
        [End(1, KILLED), End(0, LOST)], False, Result(KILLED, 1), id="one was killed alone"
    ),
    pytest.param(
        [End(0, LOST), End(1, KILLED)],
        False,
        Result(KILLED, 1),
        id="its peer noticed before the launcher did",
    ),
    pytest.param(
        [End(1, KILLED), End(0, STOPPED)], False, Result(KILLED, 1), id="the rest was stopped"
    ),
    pytest.param(
        [End(1, DIVERGED), End(0, DIVERGED)], False, Result(DIVERGED, 0), id="all agreed to fail"
    ),
    pytest.param(
        [End(1, CODE[FailureClass.NOT_FOUND]), End(0, LOST)],
        False,
        Result(CODE[FailureClass.NOT_FOUND], 1),
        id="the second has the last word on its own failure",
    ),
    pytest.param(
        [End(1, STOPPED), End(0, STOPPED)], True, Result(STOPPED, 0), id="told to stop, all did"
    ),
    pytest.param(
        [End(1, 143), End(0, STOPPED)],
        True,
        Result(STOPPED, 0),
        id="told to stop before one could listen",
    ),
    pytest.param([End(1, 143), End(0, LOST)], False, Result(143, 1), id="ended by hand"),
    pytest.param(
        [End(0, LOST), End(1, KILLED, is_ours=True)],
        False,
        Result(LOST, 0),
        id="one hung and was killed by us",
    ),
    pytest.param(
        [End(0, LOST), End(1, STOPPED)], False, Result(LOST, 0), id="one answered too late"
    ),
]


@pytest.mark.parametrize(("ends", "is_told", "result"), ENDS)
def test_the_first_cause_is_what_the_stage_ends_with(
    ends: list[End], is_told: bool, result: Result
) -> None:
    assert result_of(ends, is_told=is_told) == result


def test_a_rank_finds_its_place_by_torchruns_variables() -> None:
    environ = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert place_of(environ) == Place(3, 4, 1)
    assert place_of({**environ, "WORLD_SIZE": "1"}) is None
    assert place_of({"RANK": "0", "WORLD_SIZE": "2"}) is None
    assert place_of({**environ, "RANK": "none"}) is None


def test_what_the_user_set_for_threads_and_networks_stays(tmp_path: Path) -> None:
    place = Place(1, 4, 1)
    chosen = rank_environment({}, place, tmp_path, cores=10)
    assert (chosen["OMP_NUM_THREADS"], chosen["GLOO_SOCKET_IFNAME"]) == ("2", "lo")
    asked = {"OMP_NUM_THREADS": "7", "NCCL_SOCKET_IFNAME": "eth0", "RANK": "9"}
    kept = rank_environment(asked, place, tmp_path, cores=10)
    assert {name: kept[name] for name in asked} == {**asked, "RANK": "1"}


def test_only_the_first_rank_is_asked_for_progress(tmp_path: Path) -> None:
    asked = {"TUNEKEEPER_LISTEN": "0.0.0.0:9090"}
    first, second = (
        own_environment(rank_environment(asked, Place(rank, 2, rank), tmp_path, cores=2))
        for rank in (0, 1)
    )
    assert first["TUNEKEEPER_LISTEN"] == "0.0.0.0:9090"
    assert second["TUNEKEEPER_LISTEN"] == "127.0.0.1:0"
    assert first["TUNEKEEPER_OUTCOME"] != second["TUNEKEEPER_OUTCOME"]
    assert (is_first(first), is_first(second), is_first({})) == (True, False, True)


def test_under_torchrun_only_the_first_rank_has_a_last_word() -> None:
    environ = {"WORLD_SIZE": "2", "LOCAL_RANK": "1", "TUNEKEEPER_OUTCOME": "/dev/termination-log"}
    first, second = (
        own_environment({**environ, "RANK": "0"}),
        own_environment({**environ, "RANK": "1"}),
    )
    assert first["TUNEKEEPER_OUTCOME"] == "/dev/termination-log"
    assert second["TUNEKEEPER_OUTCOME"] == os.devnull


Launched = Callable[..., "subprocess.Popen[bytes]"]

LISTENING = """
import os, signal, sys, time, pathlib
rank, here = os.environ["RANK"], pathlib.Path(os.environ["HERE"])
def word(text): pathlib.Path(os.environ["TUNEKEEPER_OUTCOME"]).write_text(f"{rank}: {text}")
def told(*_):
    word("stopped")
    sys.exit(23)
signal.signal(signal.SIGTERM, told)
def wait():
    (here / rank).write_text(str(os.getpid()))
    while True: signal.pause()
"""


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Launched]:
    """Starts a launcher of two ranks that run a body; none of them outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        body: str, grace_s: float = 20.0, listener: int | None = None
    ) -> "subprocess.Popen[bytes]":
        program = (
            "import os, sys\nfrom trainer import launch\n"
            f"rank = [sys.executable, '-S', '-c', {LISTENING + body!r}]\n"
            f"sys.exit(launch.launch(rank, 2, os.environ, grace_s={grace_s}))"
        )
        places = {
            "HERE": str(tmp_path),
            "TUNEKEEPER_WORK": str(tmp_path / "work"),
            "TUNEKEEPER_OUTCOME": str(tmp_path / "outcome"),
            "TUNEKEEPER_LISTEN": "127.0.0.1:0" if listener is None else f"fd:{listener}",
        }
        launcher = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            env={**os.environ, **places},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=() if listener is None else (listener,),
        )
        started.append(launcher)
        return launcher

    yield start
    for launcher in started:
        with contextlib.suppress(ProcessLookupError), launcher:
            os.killpg(launcher.pid, signal.SIGKILL)


def pids(tmp_path: Path, ranks: Sequence[int]) -> list[int]:
    """The processes of ranks, once they listen."""
    files = [tmp_path / str(rank) for rank in ranks]
    wait_until(lambda: all(f.exists() and f.read_text() for f in files), "the ranks listen")
    return [int(file.read_text()) for file in files]


def ended(launcher: "subprocess.Popen[bytes]") -> int:
    return launcher.wait(timeout=30)


def test_sigterm_reaches_every_rank_and_the_code_and_word_come_back(
    tmp_path: Path, launched: Launched
) -> None:
    launcher = launched("wait()")
    pids(tmp_path, [0, 1])
    launcher.send_signal(signal.SIGTERM)
    assert ended(launcher) == STOPPED
    assert (tmp_path / "outcome").read_text() == "0: stopped"
    assert list((tmp_path / "work").iterdir()) == []


def test_a_rank_that_is_killed_takes_the_others_with_it(tmp_path: Path, launched: Launched) -> None:
    launcher = launched("wait()")
    first, second = pids(tmp_path, [0, 1])
    os.kill(second, signal.SIGKILL)
    assert ended(launcher) == KILLED
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


SPEAKING = """
import site
site.main()
from trainer.launch import speaks_for_stage
def told(*_):
    (here / f"{rank} speaks").write_text(str(speaks_for_stage(os.environ)))
    sys.exit(23)
signal.signal(signal.SIGTERM, told)
wait()
"""


def test_what_the_first_rank_says_is_the_stages_own_until_another_has_failed(
    tmp_path: Path, launched: Launched
) -> None:
    launcher = launched(SPEAKING)
    os.kill(pids(tmp_path, [0, 1])[1], signal.SIGKILL)
    assert ended(launcher) == KILLED
    assert (tmp_path / "0 speaks").read_text() == "False"


def test_a_stage_that_is_told_to_end_speaks_by_its_first_rank(
    tmp_path: Path, launched: Launched
) -> None:
    launcher = launched(SPEAKING)
    pids(tmp_path, [0, 1])
    launcher.send_signal(signal.SIGTERM)
    assert ended(launcher) == STOPPED
    assert [(tmp_path / f"{rank} speaks").read_text() for rank in "01"] == ["True", "False"]


def test_a_rank_that_hangs_is_killed_after_the_grace_and_blames_nobody(
    tmp_path: Path, launched: Launched
) -> None:
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nif rank == '1': wait()\n"
    body += "while not (here / '1').exists(): time.sleep(0.01)\nword('lost')\nsys.exit(22)"
    launcher = launched(body, grace_s=0.2)
    assert ended(launcher) == LOST
    assert (tmp_path / "outcome").read_text() == "0: lost"


def test_a_rank_that_fails_by_itself_has_the_last_word(tmp_path: Path, launched: Launched) -> None:
    body = "if rank == '0': wait()\n"
    body += "while not (here / '0').exists(): time.sleep(0.01)\nword('no data')\nsys.exit(15)"
    launcher = launched(body)
    assert ended(launcher) == CODE[FailureClass.NOT_FOUND]
    assert (tmp_path / "outcome").read_text() == "1: no data"


def test_work_that_all_did_ends_with_the_first_ranks_word(
    tmp_path: Path, launched: Launched
) -> None:
    launcher = launched("word('done')")
    assert ended(launcher) == 0
    assert (tmp_path / "outcome").read_text() == "0: done"


def test_the_first_rank_serves_on_the_socket_that_the_stage_was_handed(
    tmp_path: Path, launched: Launched
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        body = f"word(os.fstat({listener.fileno()}).st_ino)"
        launcher = launched(body, listener=listener.fileno())
        inode = os.fstat(listener.fileno()).st_ino
    assert ended(launcher) == 0
    assert (tmp_path / "outcome").read_text() == f"0: {inode}"
