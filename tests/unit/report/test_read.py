import pytest
from builders.report import DIGEST, a_report

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Promoted
from trainer.errors import StageError
from trainer.report.read import latest_report
from trainer.store import layout
from trainer.store.file import FileStore

OLD, NEW, NEWEST = "a" * 16, "b" * 16, "c" * 16
FIRST = "2026-11-24T10:00:00Z"
SECOND = "2026-11-24T12:30:00+02:00"  # 10:30 UTC, though it reads as the latest
THIRD = "2026-11-24T11:00:00.5Z"


@pytest.fixture
def output(tmp_path):
    """Two judgements of an old run, one of a newer one."""
    store = FileStore(tmp_path)
    for run_id, evaluation_id, created in (
        (OLD, "e2", FIRST),
        (OLD, "e1", SECOND),
        (NEW, "e3", THIRD),
    ):
        report = a_report(run_id=run_id, evaluation_id=evaluation_id, created=created)
        key = layout.evaluation(run_id, evaluation_id, "report.json")
        store.write(key, report.model_dump_json().encode())
    return store


def promote(store, run_id):
    promoted = Promoted(
        run_id=run_id, adapter_uri="", adapter_digest=DIGEST, base_revision="1", time=FIRST
    )
    store.write(layout.POINTER, promoted.model_dump_json().encode())


def test_without_a_promoted_run_the_newest_report_is_read(output):
    assert latest_report(output).evaluation_id == "e3"


def test_the_promoted_runs_newest_report_is_read_before_a_newer_run(output):
    promote(output, OLD)
    assert latest_report(output).evaluation_id == "e1"


def test_a_run_that_is_asked_for_is_read_before_the_promoted_one(output):
    promote(output, OLD)
    assert latest_report(output, NEW).evaluation_id == "e3"


def test_a_promoted_run_whose_reports_are_gone_leaves_the_newest_of_the_others(output):
    promote(output, NEWEST)
    assert latest_report(output).evaluation_id == "e3"


@pytest.mark.parametrize(
    ("folder", "evaluation_id"),
    [
        pytest.param("", "e3", id="the job's output"),
        pytest.param(f"runs/{OLD}", "e1", id="one run"),
        pytest.param(f"runs/{OLD}/evaluations/e2", "e2", id="one evaluation"),
    ],
)
@pytest.mark.usefixtures("output")
def test_any_folder_that_holds_a_report_will_do(tmp_path, folder, evaluation_id):
    assert latest_report(FileStore(tmp_path / folder)).evaluation_id == evaluation_id


def test_a_damaged_report_does_not_hide_the_others(output):
    output.write(layout.evaluation(NEW, "e9", "report.json"), b'{"half": ')
    assert latest_report(output).evaluation_id == "e3"


def test_only_damaged_reports_are_named_without_their_content(tmp_path):
    store = FileStore(tmp_path)
    key = layout.evaluation(NEW, "e9", "report.json")
    store.write(key, b'{"firstLine": "a private answer"}')
    with pytest.raises(StageError, match=f"{key}: no report that this version can read") as caught:
        latest_report(store)
    assert caught.value.failure is FailureClass.UNEXPECTED
    assert "private" not in caught.value.message


@pytest.mark.parametrize(
    ("run_id", "whose"), [(None, "this output has no"), (NEWEST, f"run {NEWEST} has no")]
)
def test_no_report_says_what_to_do(tmp_path, run_id, whose):
    with pytest.raises(StageError, match=f"{whose} report.json; run the job") as caught:
        latest_report(FileStore(tmp_path), run_id)
    assert caught.value.failure is FailureClass.NOT_FOUND
