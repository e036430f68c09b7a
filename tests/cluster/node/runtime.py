"""containerd with its CRI, in the enclosure's directory."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.node import network, pause
from cluster.process import Process, wait_until

# restrict_oom_score_adj: where CAP_SYS_RESOURCE is missing, runc cannot lower a pod's score, and
# every sandbox would fail with "can't get final child's PID from pipe".
CONFIG = """\
version = 2
root = "{root}/containerd"
state = "{root}/containerd-state"

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{root}/cni"
"""
NAMESPACE = "k8s.io"  # the one in which the CRI looks for images
IMPORTED_WITHIN_S = 900


@dataclass(frozen=True)
class Runtime:
    """A running containerd."""

    socket: Path

    def load(self, archive: Path) -> list[str]:
        """Import an OCI or docker archive; the names by which pods can ask for its images."""
        before = set(self.images())
        self._ctr("images", "import", "--snapshotter", "overlayfs", str(archive))
        added = set(self.images()) - before
        return [self._named(name) for name in sorted(added) if not name.startswith("sha256:")]

    def _named(self, name: str) -> str:
        """An archive may hold a short name, which the CRI looks for under its full one."""
        registry, slash, _ = name.partition("/")
        if slash and ("." in registry or ":" in registry or registry == "localhost"):
            return name
        full = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
        self._ctr("images", "tag", name, full)
        return full

    def images(self) -> list[str]:
        """Names of all images."""
        return self._ctr("images", "list", "--quiet").split()

    def _ctr(self, *arguments: str) -> str:
        command = ["ctr", "--address", str(self.socket), "--namespace", NAMESPACE, *arguments]
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, timeout=IMPORTED_WITHIN_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


Run = Callable[[str, Sequence[str | Path]], Process]


def start(root: Path, run: Run) -> Runtime:
    """Start containerd below ``root`` and give it the image that pods are built around."""
    runtime = Runtime(root / "containerd.sock")
    network.write_cni(root / "cni", root / "cni-state")
    process = run("containerd", ["containerd", "--config", _written_config(root, runtime.socket)])
    wait_until(lambda: _answers(runtime, process), "containerd answers")
    runtime.load(pause.write_archive(root / "pause.tar"))
    return runtime


def _written_config(root: Path, socket: Path) -> Path:
    path = root / "containerd.toml"
    plugins = network.plugins()
    path.write_text(CONFIG.format(root=root, socket=socket, pause=pause.NAME, plugins=plugins))
    return path


def _answers(runtime: Runtime, process: Process) -> bool:
    process.check()
    try:
        runtime.images()
    except RuntimeError:
        return False
    return True
