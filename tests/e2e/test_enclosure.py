"""What an enclosure leaves behind when its command ends: nothing."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cluster.node import cgroups
from cluster.process import wait_until

pytestmark = pytest.mark.e2e

# A number that no other test's process has on its command line.
SLEEP = "sleep 86413"
BUSY = f"""
mkdir $TUNEKEEPER_ENCLOSURE/disk; mount -t tmpfs none $TUNEKEEPER_ENCLOSURE/disk
touch $TUNEKEEPER_ENCLOSURE/disk/file; ip link add tktest type bridge
setsid {SLEEP} &
echo $TUNEKEEPER_ENCLOSURE
"""


def entered(script: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "cluster.node.enclosure", "sh", "-c", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own


def is_clean(place: str) -> bool:
    groups = [root / Path(place).name for root in cgroups.hierarchies()]
    return not is_asleep() and not any(path.exists() for path in [Path(place), *groups])


def is_asleep() -> bool:
    """Whether the process that ignores its parent's end is there."""
    wanted = "\0".join(SLEEP.split()) + "\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended as we looked
            if path.read_text(errors="replace") == wanted:
                return True
    return False


def test_it_ends_with_its_command_and_tells_how_that_ended() -> None:
    with entered(f"{BUSY} exit 3") as outer:
        place = outer.stdout.readline().strip()
        assert outer.wait(30) == 3
    assert is_clean(place)
    assert not Path("/sys/class/net/tktest").exists()


def test_sigterm_ends_everything() -> None:
    with entered(f"{BUSY} sleep 600") as outer:
        place = outer.stdout.readline().strip()
        outer.terminate()
        outer.wait(30)
    assert is_clean(place)


def test_what_a_killed_one_left_is_removed_by_the_next() -> None:
    with entered(f"{BUSY} sleep 600") as outer:
        place = outer.stdout.readline().strip()
        outer.send_signal(signal.SIGKILL)
    assert Path(place).exists()
    with entered("true") as following:
        assert following.wait(30) == 0
    wait_until(lambda: is_clean(place), "the kernel ends what was inside")
