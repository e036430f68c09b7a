"""Objects as they are written: no floats, nothing where nothing is."""

import re
from datetime import UTC, datetime

import pytest
from builders.api import a_job_document
from hypothesis import given
from hypothesis import strategies as st

from controller.api.finetunejob import FineTuneJob
from controller.api.status import FineTuneJobStatus, JobProgress
from controller.api.wire import decimal_string, to_document
from trainer.contract.base import DECIMAL_PATTERN, MAX_DECIMAL_LENGTH
from trainer.contract.outcome import DataReport
from trainer.contract.request import Stage
from trainer.contract.verdict import ArmScore, Judgement, Verdict


def a_status():
    arm = ArmScore(name="Tuned", score=0.925, ci_low=0.87, ci_high=1, n=120)
    return FineTuneJobStatus(
        observed_generation=3,
        evaluation=Judgement(metric="JsonMatch", arms=[arm], verdict=Verdict.PROMOTE, reason="x"),
        data=DataReport(rows=10, largest_label_percent=12.5),
        progress=JobProgress(
            stage=Stage.TRAIN,
            percent=40,
            train_loss=0.1234567,
            update_time=datetime(2026, 5, 4, tzinfo=UTC),
        ),
    )


def test_floats_are_written_as_decimal_strings_and_whole_numbers_as_they_are():
    written = to_document(a_status())
    assert written["evaluation"]["arms"][0]["score"] == "0.925"
    assert written["evaluation"]["arms"][0]["ciHigh"] == "1"
    assert written["evaluation"]["arms"][0]["n"] == 120
    assert written["progress"]["trainLoss"] == "0.123457"
    assert written["progress"]["percent"] == 40
    assert written["progress"]["updateTime"] == "2026-05-04T00:00:00Z"


def test_what_is_not_there_is_not_written():
    written = to_document(a_status())
    assert "promoted" not in written
    assert "evalLoss" not in written["progress"]


def test_what_is_written_reads_back():
    written = to_document(a_status())
    assert to_document(FineTuneJobStatus.model_validate(written)) == written


def test_a_whole_object_is_written_as_it_was_read():
    document = a_job_document()
    written = to_document(FineTuneJob.model_validate(document))
    assert written["apiVersion"] == document["apiVersion"]
    assert written["spec"]["baseModel"] == document["spec"]["baseModel"]
    assert to_document(FineTuneJob.model_validate(written)) == written


def test_a_number_that_is_not_finite_is_left_out():
    progress = JobProgress(stage=Stage.TRAIN, train_loss=float("nan"), eval_loss=float("inf"))
    assert {"trainLoss", "evalLoss"}.isdisjoint(to_document(progress))


@given(st.floats(min_value=-1e12, max_value=1e12).filter(lambda x: x == 0 or abs(x) > 1e-12))
def test_every_decimal_string_is_one_that_the_api_takes(number):
    text = decimal_string(number)
    assert re.match(DECIMAL_PATTERN, text)
    assert len(text) <= 24
    assert float(text) == pytest.approx(number, rel=1e-5)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        pytest.param(1.73474e-18, "1.73474e-18", id="a p-value of 60 wins to none"),
        pytest.param(2e-56, "2e-56", id="one of 186 to none"),
        pytest.param(3e-120, "0", id="smaller than an exponent of two digits says"),
        pytest.param(1.5e30, "1.5e30", id="a large one"),
    ],
)
def test_a_number_too_long_in_plain_notation_is_written_with_an_exponent(number, written):
    assert decimal_string(number) == written


@given(st.floats(min_value=-9e98, max_value=9e98))
def test_every_number_that_is_written_is_a_decimal_of_the_api(number):
    written = decimal_string(number)
    assert re.fullmatch(DECIMAL_PATTERN, written)
    assert len(written) <= MAX_DECIMAL_LENGTH


def test_a_number_that_the_api_has_no_decimal_for_is_left_out():
    progress = JobProgress(stage=Stage.TRAIN, train_loss=1e308)
    assert "trainLoss" not in to_document(progress)


def test_what_was_put_in_unread_is_written_as_what_it_stands_for():
    progress = JobProgress(stage=Stage.TRAIN).model_copy(update={"stage": "judge", "train_loss": 2})
    assert to_document(progress)["stage"] == "judge"
    assert to_document(progress)["trainLoss"] == "2"
