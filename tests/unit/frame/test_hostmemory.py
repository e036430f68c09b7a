"""The memory that a container may use, by what the kernel writes in its files."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.hostmemory import MemoryLimit, memory_limit

GIB = 1 << 30
MEMINFO = "MemTotal:       16777216 kB\nMemFree: 1 kB\nSwapTotal:      0 kB\nHugePages_Total: 0\n"
NO_LIMIT_V1 = "9223372036854771712\n"


def a_machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


CASES = [
    pytest.param(
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{4 * GIB}\n"},
        MemoryLimit(4 * GIB, "memory.max of the container says"),
        id="v2, in a container with a namespace of its own",
    ),
    pytest.param(
        {
            "proc/self/cgroup": "0::/kubepods/pod1/c1\n",
            "sys/fs/cgroup/kubepods/pod1/c1/memory.max": "max\n",
            "sys/fs/cgroup/kubepods/pod1/memory.max": f"{6 * GIB}\n",
            "sys/fs/cgroup/kubepods/memory.max": f"{12 * GIB}\n",
        },
        MemoryLimit(6 * GIB, "memory.max of the container says"),
        id="v2, a group above it is the tightest",
    ),
    pytest.param(
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"},
        MemoryLimit(16 * GIB, "the machine has"),
        id="v2, no limit",
    ),
    pytest.param(
        {"proc/self/cgroup": "0::/../../c2\n", "sys/fs/cgroup/memory.max": f"{2 * GIB}\n"},
        MemoryLimit(2 * GIB, "memory.max of the container says"),
        id="v2, a path that leads out of the namespace",
    ),
    pytest.param(
        {
            "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{3 * GIB}\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
        },
        MemoryLimit(3 * GIB, "memory.limit_in_bytes of the container says"),
        id="v1, as the host sees it, beside an empty v2",
    ),
    pytest.param(
        {
            "proc/self/cgroup": "4:memory:/kubepods/pod1/c1\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{5 * GIB}\n",
        },
        MemoryLimit(5 * GIB, "memory.limit_in_bytes of the container says"),
        id="v1, in a container, whose folder is the root",
    ),
    pytest.param(
        {
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
        },
        MemoryLimit(16 * GIB, "the machine has"),
        id="v1, no limit",
    ),
    pytest.param({}, MemoryLimit(16 * GIB, "the machine has"), id="no cgroups"),
    pytest.param(
        {"proc/meminfo": MEMINFO.replace("SwapTotal:      0", "SwapTotal: 4194304")},
        MemoryLimit(20 * GIB, "the machine has"),
        id="a machine with swap",
    ),
    pytest.param({"proc/meminfo": ""}, None, id="a kernel that does not tell"),
]


@pytest.mark.parametrize(("files", "expected"), CASES)
def test_the_tightest_limit_holds(tmp_path, files, expected):
    assert memory_limit(a_machine(tmp_path, files)) == expected


def test_this_machine_tells():
    found = memory_limit()
    assert found is not None
    assert found.bytes > GIB // 4


def test_it_is_read_without_torch():
    code = "import sys, trainer.hostmemory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
