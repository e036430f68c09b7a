"""A job from its first run to its last, with the real command, stages and a tiny real model."""

import json
from pathlib import Path
from typing import Any

import yaml
from builders.whole_run import Desk, contents

VERDICTS = {"Promote", "Inconclusive", "Reject", "NotNeeded"}


def status_of(desk: Desk) -> dict[str, Any]:
    (document,) = yaml.safe_load_all((desk.root / "status.yaml").read_text())
    return document["status"]


def reasons(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_a_run_ends_with_a_verdict_and_says_so_in_the_status(first_run: Desk, long_runs) -> None:
    _, (ended,) = long_runs["first"].result()
    status = status_of(first_run)
    verdict = status["evaluation"]["verdict"]
    assert (ended.returncode, status["phase"]) == (0, "Succeeded")
    assert verdict in VERDICTS
    assert reasons(status)["Finished"] == ("True", verdict)
    assert f"{verdict}: " in ended.stdout
    assert "from peft import PeftModel" in ended.stdout
    assert first_run.stages() == ["prepare", "train", "judge"]


def test_the_status_says_what_the_run_took(first_run: Desk) -> None:
    cost = status_of(first_run)["cost"]
    assert float(cost["wallSeconds"]) > 0
    assert float(cost["tokensPerSecond"]) > 0
    assert float(cost["gpuSeconds"]) == 0


def test_a_promoted_adapter_is_the_one_that_the_manifest_vouches_for(first_run: Desk) -> None:
    status = status_of(first_run)
    (manifest,) = first_run.documents("runs/*/manifest.json")
    (pointer,) = first_run.documents("promoted.json")
    assert status["evaluation"]["verdict"] == "Promote"
    assert status["promoted"]["adapterDigest"] == manifest["adapterDigest"]
    assert pointer["adapterDigest"] == manifest["adapterDigest"]


def test_run_again_finds_it_trained_and_judged(run_again: Desk) -> None:
    before = contents(run_again.output / "runs")
    ended = run_again.tunekeeper("run", "job.yaml", "--json", "--output-status", "status.yaml")
    (job,) = json.loads(ended.stdout)["jobs"]
    assert (ended.returncode, job["exitCode"]) == (0, 0)
    assert reasons(job["status"])["Trained"] == ("True", "AlreadyTrained")
    assert "AlreadyTrained" in ended.stderr
    assert run_again.stages() == ["prepare", "judge"]
    changed = {
        name
        for name, digest in contents(run_again.output / "runs").items()
        if before.get(name) != digest
    }
    assert {name for name in changed if not name.endswith("-outcome.json")} == set()


def test_another_min_delta_is_judged_without_training(run_again: Desk) -> None:
    run_again.write_job(evaluation={"minDelta": "0.9"})
    ended = run_again.tunekeeper("run", "job.yaml", "--output-status", "status.yaml")
    verdicts = run_again.documents("runs/*/evaluations/*/verdict.json")
    assert ended.returncode == 0, ended.stderr
    assert run_again.stages() == ["prepare", "judge"]
    assert len(verdicts) == 2
    assert status_of(run_again)["evaluation"]["verdict"] != "Promote"


def test_another_way_to_ask_is_answered_without_training(run_again: Desk) -> None:
    (manifest,) = run_again.output.glob("runs/*/manifest.json")
    before = manifest.read_bytes()
    run_again.write_job(evaluation={"fewShotExamples": 2})
    ended = run_again.tunekeeper("run", "job.yaml")
    assert ended.returncode == 0, ended.stderr
    assert run_again.stages() == ["prepare", "train", "judge"]
    assert "  training" not in ended.stderr
    assert manifest.read_bytes() == before
    assert len(run_again.documents("runs/*/generations/*.json")) == 2


def test_ctrl_c_while_it_trains_costs_nothing_but_time(first_run: Desk, long_runs) -> None:
    desk, (broken, resumed) = long_runs["interrupted"].result()
    assert broken.returncode == 130, broken.stderr
    assert "the same command goes on from the last checkpoint" in broken.stderr
    assert resumed.returncode == 0, resumed.stderr
    assert not list(desk.output.glob("runs/*/e*/checkpoints/*"))
    (here,) = desk.documents("runs/*/manifest.json")
    (unbroken,) = first_run.documents("runs/*/manifest.json")
    assert here["adapterDigest"] == unbroken["adapterDigest"]


def test_a_deadline_ends_training_in_time_for_a_verdict_on_what_there_is(long_runs) -> None:
    desk, (ended, checked) = long_runs["limited"].result()
    status = status_of(desk)
    (manifest,) = desk.documents("runs/*/manifest.json")
    partial = manifest["training"]["partial"]
    assert ended.returncode == 0, ended.stderr
    assert 0 < partial["step"] < partial["maxSteps"]
    assert reasons(status)["Trained"] == ("True", "Partial")
    assert status["evaluation"]["partial"]
    assert float(status["run"]["activeSeconds"]) < 90 + 300
    assert "(partial training)" in ended.stdout
    (job,) = json.loads(checked.stdout)["jobs"]
    assert "Trained" not in reasons(job["status"])


def test_a_good_base_model_ends_the_run_before_training(long_runs) -> None:
    desk, (ended,) = long_runs["not_needed"].result()
    (job,) = json.loads(ended.stdout)["jobs"]
    assert ended.returncode == 0, ended.stderr
    assert job["status"]["evaluation"]["verdict"] == "NotNeeded"
    assert reasons(status_of(desk))["Trained"] == ("False", "NotNeeded")
    assert list(desk.output.glob("runs/*/manifest.json")) == []
    assert "  training" not in ended.stderr


def test_fail_unless_promoted_fails_when_an_arm_was_not_beaten(long_runs) -> None:
    desk, (ended,) = long_runs["beaten"].result()
    assert ended.returncode == 1
    assert "error: --fail-unless promoted" in ended.stderr
    assert len(desk.documents("runs/*/evaluations/*/verdict.json")) == 1
    assert desk.documents("promoted.json") == []


def test_the_report_is_found_parsed_and_a_page(first_run: Desk) -> None:
    document = json.loads(first_run.tunekeeper("report", "output", "--json").stdout)
    page = first_run.tunekeeper("report", "output", "--html").stdout.strip()
    assert document["judgement"]["verdict"] == status_of(first_run)["evaluation"]["verdict"]
    assert Path(page).read_text().lower().startswith("<!doctype html>")


def test_crd_prints_two_yaml_documents(desk: Desk) -> None:
    kinds = [one["kind"] for one in yaml.safe_load_all(desk.tunekeeper("crd").stdout)]
    assert kinds == ["CustomResourceDefinition"] * 2
