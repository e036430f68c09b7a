"""The workflows of CI and of a release: linted, pinned, and with no more rights than they say."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from cluster.assets import binary

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
MAKEFILE = (ROOT / "Makefile").read_text()


def lint(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [binary("actionlint"), "-no-color", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_has_nothing_to_say(path):
    assert lint(path).stdout == ""


def test_actionlint_would_say_it(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(WORKFLOWS[-1].read_text().replace("steps.push.outputs", "steps.posh.outputs"))
    assert "posh" in lint(broken).stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_and_says_which_version_that_is(path):
    used = re.findall(r"uses: (.+)", path.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_given_to_jobs_and_a_checkout_keeps_no_token(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]
        checkouts = [step for step in job["steps"] if "checkout" in step.get("uses", "")]
        assert [step["with"] for step in checkouts] == [{"persist-credentials": False}]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_script_holds_an_expression(path):
    """What GitHub would paste into a shell; scripts take it from the environment."""
    workflow = yaml.safe_load(path.read_text())
    scripts = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert [script for script in scripts if "${{" in script] == []


def test_ci_does_what_ci_does():
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())
    assert [step.get("run") for step in ci["jobs"]["ci"]["steps"]][1:] == [".ci/run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_target_that_a_workflow_makes_is_there(path):
    named = {
        name
        for words in re.findall(r"\bmake ([a-z -]+)", path.read_text())
        for name in words.split()
    }
    there = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
    assert named - there == set()
