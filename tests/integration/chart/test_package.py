"""`make package`: the archive at the version of the tag, or nothing."""

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from cluster.assets import binary

ROOT = Path(__file__).parents[3]
COMMITTED_S = 1_700_000_000
NOBODY = {
    "GIT_COMMITTER_DATE": f"@{COMMITTED_S} +0000",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with what the script reads; a wheel is made by nothing here."""
    for folder in ("charts", "docs", "manifests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "All")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    command = ["git", *arguments]
    subprocess.run(command, cwd=folder, env=os.environ | NOBODY, check=True, timeout=30)  # noqa: S603 - git


def packed(checkout: Path, **own: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | NOBODY | {"HELM": str(binary("helm")), "UV": "true"} | own
    script = checkout / "charts" / "package.sh"
    return subprocess.run(  # noqa: S603 - ours
        [script], env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("tag", ["", "v0.1.0", "nightly"])
def test_the_archive_has_the_version_of_the_project(checkout: Path, tag: str) -> None:
    if tag:
        git(checkout, "tag", tag)
    packed(checkout)
    assert [path.name for path in (checkout / "dist").iterdir()] == ["tunekeeper-0.1.0.tgz"]


def test_nothing_in_the_archive_tells_when_and_by_whom_it_was_packed(checkout: Path) -> None:
    packed(checkout)
    path = checkout / "dist" / "tunekeeper-0.1.0.tgz"
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert "tunekeeper/Chart.yaml" in names
    assert names == sorted(names)
    assert {(each.mtime, each.uid, each.uname) for each in members} == {(COMMITTED_S, 0, "")}
    assert {each.mode for each in members} == {0o755, 0o644}
    assert path.read_bytes()[4:8] == bytes(4)  # gzip's own time


def uv() -> Path:
    """The one that the Makefile installs."""
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return ROOT / ".tools" / f"uv-{version}" / "bin" / "uv"


def test_wheel_and_archive_are_made_and_named(checkout: Path) -> None:
    for name in ("controller", "trainer", "images"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    ended = packed(checkout, UV=str(uv()))
    assert ended.returncode == 0, ended.stderr
    wheel, archive = ended.stdout.split()
    assert (wheel, archive) == (
        "dist/tunekeeper-0.1.0-py3-none-any.whl",
        "dist/tunekeeper-0.1.0.tgz",
    )
    with zipfile.ZipFile(checkout / wheel) as packed_wheel:
        names = packed_wheel.namelist()
        entry = packed_wheel.read("tunekeeper-0.1.0.dist-info/entry_points.txt").decode()
    assert "tunekeeper = controller.cli:main" in entry
    assert {name.split("/")[0] for name in names} == {
        "controller",
        "trainer",
        "tunekeeper-0.1.0.dist-info",
    }
    assert {"controller/__main__.py", "trainer/__main__.py"} <= set(names)


def test_without_gnu_tar_nothing_half_made_stays(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    tar = programs / "tar"
    tar.write_text('#!/bin/sh\ncase "$1" in -c*) exit 1;; esac\nexec /bin/tar "$@"\n')
    tar.chmod(0o755)
    ended = packed(checkout, PATH=f"{programs}:{os.environ['PATH']}")
    assert (ended.returncode, ended.stderr) == (
        2,
        "charts/package.sh: GNU tar is needed to pack the chart\n",
    )
    assert not list((checkout / "dist").glob("*.new"))


def test_a_tag_of_another_version_is_refused(checkout: Path) -> None:
    git(checkout, "tag", "v0.2.0")
    ended = packed(checkout)
    assert ended.returncode == 2
    assert "the commit is tagged v0.2.0, and pyproject.toml says 0.1.0" in ended.stderr
    assert not (checkout / "dist").exists()
