"""The types of both kinds, and the closed sets beside them."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from builders.api import a_base_model_document, a_job_document
from pydantic import ValidationError

from controller.api.basemodel import BaseModelObject
from controller.api.conditions import Condition, ConditionType
from controller.api.documents import parse
from controller.api.finetunejob import FineTuneJob
from controller.api.meta import rfc3339
from controller.api.reasons import Reason
from controller.api.status import JobProgress
from trainer.contract.failures import FailureClass
from trainer.contract.request import Stage
from trainer.contract.spec import RunSpec
from trainer.contract.verdict import Verdict

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("failure", FailureClass)
def test_every_failure_class_is_a_reason_under_the_same_word(failure):
    assert Reason(failure.value).value == failure.value


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_a_reason_under_the_same_word(verdict):
    assert Reason(verdict.value).value == verdict.value


def test_reasons_are_words_that_kubernetes_takes_for_reasons():
    assert [reason for reason in Reason if not reason.value.isalnum()] == []
    assert [reason for reason in Reason if not reason.value[0].isupper()] == []


def test_a_reason_outside_the_closed_set_is_no_condition():
    with pytest.raises(ValidationError):
        Condition.model_validate({"type": "Ready", "status": "True", "reason": "BecauseISaidSo"})


def test_a_failure_class_can_be_given_where_a_reason_is_wanted():
    condition = Condition(
        type=ConditionType.STALLED, status="True", reason=Reason(FailureClass.INVALID_DATA)
    )
    assert condition.reason is Reason.INVALID_DATA


def test_a_new_object_is_not_observed_yet():
    job = FineTuneJob.model_validate(a_job_document())
    base = BaseModelObject.model_validate(a_base_model_document())
    assert job.status.observed_generation == -1
    assert base.status.observed_generation == -1
    assert job.status.run is None


def test_metadata_that_nobody_asked_for_is_ignored():
    document = a_job_document()
    document["metadata"] |= {"managedFields": [{"manager": "kubectl"}], "uid": "u-1"}
    assert FineTuneJob.model_validate(document).metadata.uid == "u-1"


def test_a_status_of_a_newer_release_can_be_read():
    document = a_job_document() | {"status": {"observedGeneration": 4, "novelty": {"a": 1}}}
    assert FineTuneJob.model_validate(document).status.observed_generation == 4


def test_every_section_that_a_stage_reads_is_in_the_job():
    job_fields = set(FineTuneJob.model_fields["spec"].annotation.model_fields)
    assert set(RunSpec.model_fields) - job_fields == {"gpus"}


def test_times_are_written_in_utc_to_the_second():
    there = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 3, 1, 1, 30, 15, 999, tzinfo=there)) == "2026-02-28T23:30:15Z"
    assert rfc3339(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00Z"


def test_measured_progress_loses_its_fraction():
    progress = JobProgress(stage=Stage.TRAIN, percent=41.7, eta_seconds=12.2)
    assert (progress.percent, progress.eta_seconds) == (41, 12)


@pytest.mark.parametrize("example", ["quickstart", "quickstart-not-needed", "grader"])
def test_the_examples_are_valid(example):
    path = ROOT / "examples" / example / "job.yaml"
    [job] = parse(path.read_text(encoding="utf-8"), file="job.yaml", base=str(path.parent))
    assert isinstance(job, FineTuneJob)
    assert job.spec.output.uri == f"file://{path.parent}/build/output"
