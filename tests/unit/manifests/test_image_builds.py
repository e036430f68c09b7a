"""images/build.sh and images/sbom.py: the same commit gives the same labels and the same lists."""

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SBOM = runpy.run_path(str(ROOT / "images" / "sbom.py"))
COMMITTED = 1_764_100_000
GIT = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": f"{COMMITTED} +0000",
    "GIT_COMMITTER_DATE": f"{COMMITTED} +0000",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
TOOL = """#!/bin/sh
[ "$1" = info ] && exit 0
printf '%s\\n' "$@" > "$TOLD"
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """A repository of one commit with the script, and a builder that only listens."""
    (tmp_path / "project" / "images").mkdir(parents=True)
    project = tmp_path / "project"
    shutil.copy(ROOT / "images" / "build.sh", project / "images")
    (project / "pyproject.toml").write_text('version = "1.2.3"\n')
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "One"]):
        git(project, *words)
    for name in ("docker", "buildah"):
        tool = tmp_path / name
        tool.write_text(TOOL)
        tool.chmod(0o755)
    return project


def git(project: Path, *words: str) -> str:
    ended = subprocess.run(  # noqa: S603 - git
        ["git", "-C", str(project), *words],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | GIT,
    )
    return ended.stdout.strip()


def build(project: Path, *words: str, tool: str = "docker", **environ: str) -> list[str]:
    """What the builder was told."""
    told = project.parent / "told"
    env = os.environ | {"CONTAINER_TOOL": str(project.parent / tool), "TOLD": str(told)} | environ
    command = [project / "images" / "build.sh", *words, "tunekeeper"]
    subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603
    return told.read_text().splitlines()


def test_labels_tell_version_commit_and_its_time(project):
    told = build(project)
    assert "VERSION=1.2.3" in told
    assert f"REVISION={git(project, 'rev-parse', 'HEAD')}" in told
    assert "CREATED=2025-11-25T19:46:40Z" in told
    assert f"SOURCE_DATE_EPOCH={COMMITTED}" in told


def test_the_same_commit_gives_the_same_labels(project):
    assert build(project) == build(project)


def test_a_time_that_is_given_counts(project):
    told = build(project, SOURCE_DATE_EPOCH="0")
    assert "CREATED=1970-01-01T00:00:00Z" in told


def test_what_no_commit_holds_is_said(project):
    (project / "pyproject.toml").write_text('version = "1.2.4"\n')
    assert f"REVISION={git(project, 'rev-parse', 'HEAD')}-dirty" in build(project)


def test_a_push_carries_provenance_and_a_list_of_what_is_in_it(project):
    told = build(project, "--push", "registry.example/ml")
    assert told[:2] == ["buildx", "build"]
    assert {"--push", "--provenance=mode=max", "--sbom=true"} <= set(told)
    assert "registry.example/ml/tunekeeper:1.2.3" in told


def test_a_builder_that_makes_no_provenance_pushes_nothing(project):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        build(project, "--push", "registry.example/ml", tool="buildah")
    assert "needs docker with buildx" in caught.value.stderr


def test_a_password_is_not_published_as_provenance(project):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        build(project, "--push", "r.example/ml", UV_DEFAULT_INDEX="https://me:secret@i.example")
    assert "UV_DEFAULT_INDEX holds a password" in caught.value.stderr
    assert "secret" not in caught.value.stderr


def a_bom(serial: str, time: str) -> dict:
    return {
        "serialNumber": serial,
        "metadata": {"timestamp": time, "component": {"name": "tunekeeper", "version": "1.2.3"}},
        "components": [{"name": "a", "version": "1"}],
    }


def test_two_lists_of_one_lock_are_the_same():
    one, two = (SBOM["settled"](a_bom(*of), "image", COMMITTED) for of in ("12", "34"))
    assert one == two
    assert one["metadata"]["timestamp"] == "2025-11-25T19:46:40Z"
    assert one["metadata"]["component"]["name"] == "image"


def test_a_list_of_another_lock_has_another_number():
    other = a_bom("1", "2") | {"components": []}
    numbers = {SBOM["settled"](bom, "image", 0)["serialNumber"] for bom in (a_bom("1", "2"), other)}
    assert len(numbers) == 2


def test_what_the_images_install_is_read_off_their_requirements():
    text = "a==1 \\\n    --hash=sha256:00\nb-c==2.0 ; sys_platform == 'linux' \\\n    --hash=x\n"
    assert SBOM["requirements"](text) == {("a", "1"), ("b-c", "2.0")}


def test_the_lists_are_made_with_the_options_of_the_dockerfile():
    dockerfile = (ROOT / "Dockerfile").read_text()
    exports = dockerfile.replace("\\\n", " ").split("uv export ")[1:]
    assert ["--extra train" in each.partition("&&")[0] for each in exports] == [
        options == ["--extra", "train"] for options in SBOM["IMAGES"].values()
    ]
