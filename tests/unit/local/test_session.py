"""Jobs on this machine: real processes, the same decisions."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.local.ends import Exit
from controller.local.statusfile import StatusFile
from trainer.contract.request import Stage


def logs(folder: Path) -> list[str]:
    return sorted(path.name.split("-", 2)[2] for path in folder.glob("s/**/*.log"))


def test_a_job_goes_through_all_stages(run_jobs: Any, tmp_path: Path) -> None:
    ends, printed = run_jobs()
    assert [end.code for end in ends] == [Exit.DONE]
    assert ends[0].job.status.phase == "Succeeded"
    assert logs(tmp_path) == ["r1-judge-1.log", "r1-prepare-1.log", "r1-train-1.log"]
    assert "train done in" in printed


def test_nothing_of_a_stage_is_left_but_its_log(run_jobs: Any, tmp_path: Path) -> None:
    run_jobs()
    assert list(tmp_path.glob("s/tunekeeper/scratch/*/*")) == []
    (log,) = tmp_path.glob("s/**/*prepare-1.log")
    assert log.read_text() == "working on prepare\n"


def test_jobs_of_a_file_run_in_turn_and_find_their_base_model(run_jobs: Any, two_jobs: str) -> None:
    ends, _ = run_jobs(two_jobs)
    assert [(end.job.metadata.name, end.code) for end in ends] == [("first", 0), ("second", 0)]


def test_bad_data_is_the_users_error_and_ends_the_run(run_jobs: Any, tmp_path: Path) -> None:
    wrong = {"do": "fail", "failure": "InvalidData", "message": "train.jsonl: 2 of 9 rows are bad"}
    ends, _ = run_jobs(plan={"prepare": [wrong]})
    assert ends[0].code is Exit.USERS
    assert ends[0].message == "prepare: train.jsonl: 2 of 9 rows are bad"
    assert logs(tmp_path) == ["r1-prepare-1.log"]


def test_a_crash_is_tried_again_and_may_pass(run_jobs: Any, tmp_path: Path) -> None:
    ends, _ = run_jobs(plan={"train": [{"do": "crash"}, {"do": "ok"}]})
    assert ends[0].code is Exit.DONE
    assert "r1-train-2.log" in logs(tmp_path)


def test_a_stage_that_always_crashes_is_our_failure_and_names_its_log(run_jobs: Any) -> None:
    ends, _ = run_jobs(plan={"prepare": [{"do": "crash"}]})
    assert ends[0].code is Exit.OURS
    assert "without its outcome with exit code 1" in ends[0].message
    assert ends[0].log.endswith("r1-prepare-3.log")


def test_progress_that_is_garbage_changes_nothing(run_jobs: Any) -> None:
    ends, printed = run_jobs(plan={"prepare": [{"do": "garbage"}]})
    assert ends[0].code is Exit.DONE
    assert "\x00" not in printed


def test_check_stops_after_prepare(run_jobs: Any, tmp_path: Path) -> None:
    ends, _ = run_jobs(last_stage=Stage.PREPARE)
    assert ends[0].code is Exit.DONE
    assert logs(tmp_path) == ["r1-prepare-1.log"]


def test_a_suspended_job_starts_nothing(run_jobs: Any, tmp_path: Path) -> None:
    from builders.job_files import job_text  # noqa: PLC0415 - the text of this test alone

    ends, _ = run_jobs(job_text() + "  suspend: true\n")
    assert ends[0].code is Exit.USERS
    assert logs(tmp_path) == []


def test_the_status_file_is_yaml_with_the_end(run_jobs: Any, two_jobs: str, tmp_path: Path) -> None:
    file = tmp_path / "status.yaml"
    run_jobs(two_jobs, status_file=StatusFile(file))
    documents = list(yaml.safe_load_all(file.read_text()))
    assert [document["metadata"]["name"] for document in documents] == ["first", "second"]
    assert {document["status"]["phase"] for document in documents} == {"Succeeded"}


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        pytest.param("OutputInUse", Exit.USERS, id="an output of another job is the user's error"),
        pytest.param("HostStorageExceeded", Exit.OURS, id="a full disk is not"),
        pytest.param("Unavailable", Exit.OURS, id="nor is an outage"),
    ],
)
def test_the_exit_code_says_whose_failure_it_was(run_jobs: Any, failure: str, code: Exit) -> None:
    ends, _ = run_jobs(plan={"prepare": [{"do": "fail", "failure": failure, "message": "x"}]})
    assert ends[0].code is code
