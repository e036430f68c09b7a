"""The real programs that the tests run, built once from the Go modules committed beside this file.

``python -m cluster.assets [NAME...]`` builds them from the command line (all without a name).
A build is kept outside the tree in a folder named after its version and its sources, so a changed
``go.mod`` is another build, and two processes that want the same program build it once.
"""

import fcntl
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.gotool import go_build

MODULES = Path(__file__).parent / "go"
GO_VERSION = re.compile(r"v(\d+\.\d+\.\d+\S*)")


@dataclass(frozen=True)
class GoModule:
    """A folder below ``go/`` and the programs that are built from it."""

    folder: str
    of: str
    """The required module after whose version the folder in the cache is named."""
    packages: dict[str, str]
    """Program -> package."""
    tags: str = ""
    """Build tags, separated by commas."""
    told: tuple[str, ...] = ()
    """What the linker tells the programs, as NAME=VALUE; {version} is the module's."""

    @property
    def root(self) -> Path:
        """Where go.mod is."""
        return MODULES / self.folder

    @property
    def version(self) -> str:
        """Of the required module, as go.mod locks it: ``v1.36.3``."""
        locked = re.search(rf"{re.escape(self.of)} (v\S+)", (self.root / "go.mod").read_text())
        assert locked, f"{self.root}/go.mod does not require {self.of}"
        return locked[1]

    def cache(self) -> Path:
        """Where its programs are kept."""
        sources = [*sorted(self.root.glob("*.go")), self.root / "go.mod"]
        digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
        return cache_root() / f"{self.folder}-{self.version}-{digest[:12]}" / "bin"

    def linker_flags(self) -> str:
        """Without symbols; with what the program would not know of itself."""
        return " ".join(["-s -w", *(f"-X {t.format(version=self.version)}" for t in self.told)])


KUBERNETES = GoModule(
    "kubernetes",
    "k8s.io/kubernetes",
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        )
    },
    told=("k8s.io/component-base/version.gitVersion={version}",),
)
ETCD = GoModule("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"})
VERSITYGW = GoModule(
    "versitygw",
    "github.com/versity/versitygw",
    {"versitygw": "github.com/versity/versitygw/cmd/versitygw"},
)
KSTATUS = GoModule("kstatus", "sigs.k8s.io/cli-utils", {"kstatus": "."})
PROMETHEUS = GoModule(
    "prometheus",
    "github.com/prometheus/prometheus",
    {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
    tags="remove_all_sd,enable_kubernetes_sd",  # the SDKs of every cloud triple the build
)
HELM = GoModule(
    "helm",
    "helm.sh/helm/v3",
    {"helm": "helm.sh/helm/v3/cmd/helm"},
    told=(
        "helm.sh/helm/v3/internal/version.version={version}",
        # As helm's own build does; without it `helm template` claims a cluster of version 1.20.
        *(
            f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}"
            for package in ("chartutil", "lint/rules")
            for part in ("Major=1", "Minor=37")
        ),
    ),
)
ALERTMANAGER = GoModule(
    "alertmanager",
    "github.com/prometheus/alertmanager",
    {"amtool": "github.com/prometheus/alertmanager/cmd/amtool"},
)
ACTIONLINT = GoModule(
    "actionlint",
    "github.com/rhysd/actionlint",
    {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"},
)
REGISTRY = GoModule(
    "registry",
    "github.com/google/go-containerregistry",
    {"crane": "github.com/google/go-containerregistry/cmd/crane"},
)
TWIN = GoModule("twin", "sigs.k8s.io/controller-runtime", {"twin": "."})
"""What the operator is measured against."""
ALL = (ETCD, KUBERNETES, VERSITYGW, KSTATUS, PROMETHEUS, HELM, ALERTMANAGER, ACTIONLINT, REGISTRY)
BUILT = {name: module for module in (*ALL, TWIN) for name in module.packages}
ENVTEST = {*ETCD.packages, *KUBERNETES.packages}
"""What the folder that KUBEBUILDER_ASSETS names may hold."""


def cache_root() -> Path:
    """Where builds are kept: outside the tree, shared by all checkouts."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TUNEKEEPER_TEST_CACHE") or home / "tunekeeper-test")


def binary(name: str) -> Path:
    """The program, built now if it was never built.

    Raises:
        LookupError: no such program is known.
        BuildFailed: it could not be built; says why and what to do.
    """
    if name not in BUILT:
        raise LookupError(f"{name!r} is not one of {', '.join(BUILT)}")
    given = _given(name)
    return given or _built(BUILT[name], name)


def _given(name: str) -> Path | None:
    """The program in KUBEBUILDER_ASSETS; envtest's archive lacks some, which are built then."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    if not folder or name not in ENVTEST:
        return None
    if not Path(folder).is_dir():
        raise LookupError(f"KUBEBUILDER_ASSETS={folder} is no directory; mend or unset it")
    found = Path(folder).resolve() / name
    return found if os.access(found, os.X_OK) else None


def _built(module: GoModule, name: str) -> Path:
    found = module.cache() / name
    if found.is_file():
        return found
    found.parent.mkdir(parents=True, exist_ok=True)
    with locked(found.parent / ".lock"):
        if not found.is_file():
            _build(module, name, found)
    return found


def _build(module: GoModule, name: str, found: Path) -> None:
    """Built beside its place and moved there whole: who sees the name sees a finished program."""
    took = _usual_time(name)
    say(f"building {name} ({module.of} {module.version}) into {found.parent}; usually {took}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=found.parent, prefix=".building-") as scratch:
        made = Path(scratch) / name
        flags = ["-tags", module.tags, "-ldflags", module.linker_flags()]
        go_build(module.root, module.packages[name], made, flags, cache_root())
        made.replace(found)
    say(f"built {name} in {time.monotonic() - start:.0f} s")


def _usual_time(name: str) -> str:
    """On two cores with nothing in Go's own cache; seen, not promised."""
    minutes = {"kube-apiserver": "4 minutes", "versitygw": "2 minutes"}
    return minutes.get(name, "a minute") + " the first time"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the kernel lets go of it when the process dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main(names: list[str]) -> int:
    """Print where each program is."""
    for name in names or [name for module in ALL for name in module.packages]:
        sys.stdout.write(f"{binary(name)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
