"""Whoever ends a stage ends what it started, in whatever group."""

import subprocess
import sys
from pathlib import Path

from cluster.process import wait_until

from controller.local.process import end_session

STAGE = """
import subprocess, time
grader = subprocess.Popen(["sleep", "600"], process_group=0)
print(grader.pid, flush=True)
time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_grader_ends_with_its_stage() -> None:
    command = [sys.executable, "-I", "-S", "-c", STAGE]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as stage,  # noqa: S603 - our own
        subprocess.Popen(["sleep", "600"]) as another,  # noqa: S607 - any process of ours
    ):
        assert stage.stdout is not None
        grader = int(stage.stdout.readline())
        end_session(stage.pid)
        assert stage.wait(30) == -9
        wait_until(lambda: is_gone(grader), "the grader to be gone")
        assert another.poll() is None
        another.kill()
