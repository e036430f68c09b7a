"""``tether.py PARENT COMMAND...``: become COMMAND, and be killed by the kernel when PARENT dies.

A test that is killed outright runs no clean-up; the kernel does this one for it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent died first")
    os.execvp(command[0], command)  # noqa: S606 - what the test wants to run


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
