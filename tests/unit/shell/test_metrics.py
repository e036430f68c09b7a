"""What a scrape of the operator says of the jobs."""

from datetime import timedelta
from itertools import pairwise
from typing import get_args

import pytest
from builders.jobs import START, a_job
from builders.scraped import a_job_that, scraped, value

from controller.api.conditions import Condition, ConditionType
from controller.api.reasons import Reason
from controller.api.status import (
    FineTuneJobStatus,
    JobCost,
    JobProgress,
    RunBase,
    RunStatus,
    Trigger,
)
from controller.shell.happened import WORDS_ON_PROMOTION
from controller.shell.metrics import Metrics
from trainer.contract.request import Stage
from trainer.contract.verdict import (
    ArmScore,
    ForgettingResult,
    Judgement,
    OverfittingResult,
    Verdict,
)

JOB = {"namespace": "ml", "finetunejob": "intents"}
LAST_RETRAIN = "tunekeeper_job_last_retrain_timestamp_seconds"


def a_judgement():
    return Judgement(
        metric="ExactMatch",
        arms=[ArmScore(name="Tuned", score=0.75, ci_low=0.6, ci_high=0.9, n=40)],
        delta=0.25,
        ci_low=0.1,
        ci_high=0.4,
        verdict=Verdict.PROMOTE,
        reason="better",
    )


def test_a_job_is_counted_in_its_phase_and_in_no_other():
    metrics = Metrics()
    metrics.published(a_job_that(phase="Running"))
    assert value(metrics, "tunekeeper_jobs", namespace="ml", phase="Running") == 1
    assert value(metrics, "tunekeeper_jobs", namespace="ml", phase="Failed") == 0
    assert value(metrics, "tunekeeper_job_phase", phase="Running", **JOB) == 1
    assert value(metrics, "tunekeeper_job_phase", phase="Failed", **JOB) == 0


def test_a_later_status_replaces_the_earlier_one():
    metrics = Metrics()
    metrics.published(a_job_that(phase="Running", progress=JobProgress(stage=Stage.TRAIN)))
    metrics.published(a_job_that(phase="Succeeded", evaluation=a_judgement()))
    assert value(metrics, "tunekeeper_jobs", namespace="ml", phase="Running") == 0
    assert value(metrics, "tunekeeper_job_progress_percent", **JOB) is None


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("score", {"arm": "Tuned"}, 0.75),
        ("score_low", {"arm": "Tuned"}, 0.6),
        ("score_high", {"arm": "Tuned"}, 0.9),
        ("delta", {"bound": "estimate"}, 0.25),
        ("delta", {"bound": "low"}, 0.1),
        ("verdict", {"verdict": "Promote"}, 1),
        ("promoted_sequence", {}, 0),
    ],
    ids=str,
)
def test_the_newest_judgement_is_told(name, labels, expected):
    metrics = Metrics()
    metrics.published(a_job_that(phase="Succeeded", evaluation=a_judgement()))
    assert value(metrics, f"tunekeeper_job_{name}", **JOB, **labels) == expected


def test_an_arm_that_is_none_of_ours_is_not_passed_on():
    strange = ArmScore(name="x" * 100, score=1, ci_low=1, ci_high=1, n=1)
    judged = a_judgement()
    metrics = Metrics()
    metrics.published(
        a_job_that(evaluation=judged.model_copy(update={"arms": [*judged.arms, strange]}))
    )
    told = {dict(labels).get("arm") for _, labels in scraped(metrics)}
    assert told == {None, "Tuned"}


FINISHED = RunStatus(
    number=3,
    start_time=START,
    end_time=START + timedelta(minutes=20),
    base_model=RunBase(name="smol"),
    verdict="Promote",
)
RESULTS = {
    "run_start_timestamp_seconds": START.timestamp(),
    "run_end_timestamp_seconds": START.timestamp() + 1200,
    "best_eval_loss": 0.25,
    "final_train_loss": 0.125,
    "forgetting_nats": 0.0625,
    "gpu_seconds": 900,
    "wasted_gpu_seconds": 30,
    "run_tokens_per_second": 412,
}


def a_finished_job():
    forgotten = {"ci_low": 0, "ci_high": 1, "max_increase": 1, "tokens": 9, "passed": True}
    judged = a_judgement().model_copy(
        update={
            "overfitting": OverfittingResult(best_validation_loss=0.25, train_loss=0.125),
            "forgetting": ForgettingResult(base_nats=2, increase=0.0625, **forgotten),
        }
    )
    cost = JobCost(
        gpu_seconds=900,
        wasted_gpu_seconds=30,
        tokens_per_second=412,
        amount="0.63",
        currency="USD",
    )
    return a_job_that(phase="Succeeded", run=FINISHED, evaluation=judged, cost=cost)


@pytest.mark.parametrize(("name", "expected"), RESULTS.items())
def test_the_results_of_a_finished_job_come_from_its_status(name, expected):
    metrics = Metrics()
    metrics.published(a_finished_job())
    assert value(metrics, f"tunekeeper_job_{name}", **JOB) == expected


def test_what_a_run_cost_is_told_in_its_currency_and_only_where_there_is_a_price():
    metrics = Metrics()
    metrics.published(a_finished_job())
    assert value(metrics, "tunekeeper_job_cost", currency="USD", **JOB) == 0.63
    metrics.published(a_job_that(phase="Succeeded", cost=JobCost(gpu_seconds=900)))
    assert not [name for name, _ in scraped(metrics) if name == "tunekeeper_job_cost"]


def test_the_base_model_of_a_run_is_told_where_it_has_a_name():
    metrics = Metrics()
    metrics.published(a_finished_job())
    assert value(metrics, "tunekeeper_job_base_model_info", basemodel="smol", **JOB) == 1
    metrics.published(a_job_that(run=RunStatus(number=1, base_model=RunBase(revision="a"))))
    assert not [name for name, _ in scraped(metrics) if name.endswith("base_model_info")]


def test_why_a_job_is_in_its_phase_is_told_in_one_word():
    metrics = Metrics()
    for reason in (Reason.IMAGE_PULL, Reason.DIVERGED):
        said = Condition(type=ConditionType.FINISHED, status="False", reason=reason)
        metrics.published(a_job_that(phase="Failed", conditions=[said]))
    told = [dict(labels) for name, labels in scraped(metrics) if name == "tunekeeper_job_reason"]
    assert told == [{"reason": "Diverged", **JOB}]


def how_current(truth):
    return Condition(
        type=ConditionType.BASE_MODEL_CURRENT, status=truth, reason=Reason.NEW_REVISION_AVAILABLE
    )


@pytest.mark.parametrize(("truth", "expected"), [("True", 0), ("False", 1)])
def test_a_job_that_is_behind_its_base_model_is_told(truth, expected):
    condition = how_current(truth)
    metrics = Metrics()
    metrics.published(a_job_that(phase="Succeeded"))
    assert value(metrics, "tunekeeper_job_base_model_behind", **JOB) is None  # not known yet
    metrics.published(a_job_that(phase="Succeeded", conditions=[condition]))
    assert value(metrics, "tunekeeper_job_base_model_behind", **JOB) == expected


def test_progress_is_told_while_a_stage_is_under_way():
    metrics = Metrics()
    progress = JobProgress(stage=Stage.TRAIN, percent=40, train_loss=1.5, update_time=START)
    metrics.published(a_job_that(phase="Running", progress=progress))
    assert value(metrics, "tunekeeper_job_progress_percent", **JOB) == 40
    assert value(metrics, "tunekeeper_job_progress_timestamp_seconds", **JOB) == START.timestamp()
    assert value(metrics, "tunekeeper_job_train_loss", **JOB) == 1.5
    assert value(metrics, "tunekeeper_job_eval_loss", **JOB) is None


def test_the_series_of_a_job_go_with_it():
    metrics = Metrics()
    metrics.published(a_job_that(phase="Running"))
    metrics.forgotten("ml", "intents")
    assert not [name for name, _ in scraped(metrics) if name.startswith("tunekeeper_job")]


def test_only_the_leader_tells_of_jobs():
    metrics = Metrics()
    metrics.leading(True)
    metrics.published(a_job_that(phase="Running"))
    metrics.leading(False)
    assert value(metrics, "tunekeeper_leader") == 0
    assert not [name for name, _ in scraped(metrics) if name.startswith("tunekeeper_job")]


@pytest.mark.parametrize(
    ("run", "result", "reason"),
    [
        ({"verdict": "Promote"}, "Succeeded", "Promote"),
        ({"failure": "InvalidData"}, "Failed", "InvalidData"),
    ],
    ids=["a verdict", "a failure class"],
)
def test_a_run_that_ended_is_counted_by_how_it_ended(run, result, reason):
    metrics = Metrics()
    metrics.published(a_job())
    how = {"namespace": "ml", "result": result, "reason": reason}
    assert value(metrics, "tunekeeper_runs_total", **how) == 0  # before its first event
    ended = RunStatus(number=1, start_time=START, end_time=START + timedelta(minutes=20), **run)
    metrics.changed(a_job_that(phase="Succeeded", run=ended), FineTuneJobStatus())
    assert value(metrics, "tunekeeper_runs_total", **how) == 1
    assert value(metrics, "tunekeeper_run_duration_seconds_sum") == 1200


def test_a_run_that_began_is_counted_once_by_what_made_it():
    metrics = Metrics()
    judged = a_job_that(phase="Succeeded", run=RunStatus(number=1))
    metrics.published(judged)
    started = a_job_that(phase="Pending", run=RunStatus(number=2, trigger="BaseModel"))
    metrics.changed(started, judged.status)
    metrics.changed(started, started.status)
    counted = {
        trigger: value(metrics, "tunekeeper_runs_started_total", namespace="ml", trigger=trigger)
        for trigger in get_args(Trigger)
    }
    assert counted == {"Spec": 0, "Rerun": 0, "BaseModel": 1}


def promoted(truth, reason, message=""):
    return Condition(type=ConditionType.PROMOTED, status=truth, reason=reason, message=message)


@pytest.mark.parametrize(
    ("truth", "reason", "expected"),
    [
        ("True", Reason.PROMOTED, 1),
        ("True", Reason.ROLLED_BACK, 1),
        ("False", Reason.AWAITING_APPROVAL, 0),
        ("False", Reason.REJECT, 0),
        ("False", Reason.NOT_FOUND, 0),
    ],
    ids=["promoted", "rolled back", "waits for a person", "not good enough", "a refused pin"],
)
def test_whether_an_adapter_is_used_is_told_with_the_reason(truth, reason, expected):
    metrics = Metrics()
    metrics.published(a_job_that(phase="Succeeded"))
    assert not [name for name, _ in scraped(metrics) if name == "tunekeeper_job_promoted"]
    metrics.published(a_job_that(phase="Succeeded", conditions=[promoted(truth, reason)]))
    assert value(metrics, "tunekeeper_job_promoted", reason=reason.value, **JOB) == expected


def test_only_the_newest_word_on_promotion_is_there():
    metrics = Metrics()
    for truth, reason in (("False", Reason.AWAITING_APPROVAL), ("True", Reason.PINNED)):
        metrics.published(a_job_that(conditions=[promoted(truth, reason)]))
    told = [dict(labels) for name, labels in scraped(metrics) if name == "tunekeeper_job_promoted"]
    assert told == [{"reason": "Pinned", **JOB}]


def test_each_new_word_on_promotion_is_counted_and_a_repeated_one_is_not():
    metrics = Metrics()
    statuses = [
        FineTuneJobStatus(),
        FineTuneJobStatus(conditions=[promoted("True", Reason.PROMOTED, "run 1")]),
        FineTuneJobStatus(conditions=[promoted("False", Reason.REJECT, "run 2")]),
        FineTuneJobStatus(conditions=[promoted("False", Reason.REJECT, "run 2")]),
        FineTuneJobStatus(conditions=[promoted("False", Reason.REJECT, "run 3")]),
    ]
    for before, after in pairwise(statuses):
        metrics.changed(a_job().model_copy(update={"status": after}), before)
    counted = [
        value(metrics, "tunekeeper_promotions_total", namespace="ml", reason=reason)
        for reason in ("Promoted", "Reject")
    ]
    assert counted == [1, 2]


@pytest.mark.parametrize("reason", WORDS_ON_PROMOTION)
def test_a_word_on_promotion_is_counted_from_0(reason):
    metrics = Metrics()
    metrics.published(a_job())
    how = {"namespace": "ml", "reason": reason.value}
    assert value(metrics, "tunekeeper_promotions_total", **how) == 0


def test_the_time_of_the_last_retraining_is_told_from_0_on_where_there_can_be_one():
    metrics = Metrics()
    metrics.published(a_job_that(phase="Succeeded"))
    assert value(metrics, LAST_RETRAIN, **JOB) is None
    metrics.published(a_job_that(phase="Succeeded", conditions=[how_current("Unknown")]))
    assert value(metrics, LAST_RETRAIN, **JOB) == 0
    metrics.published(a_job_that(phase="Succeeded", last_retrain_time=START))
    assert value(metrics, LAST_RETRAIN, **JOB) == START.timestamp()


def test_the_lease_says_by_name_who_leads():
    metrics = Metrics("ours")
    assert value(metrics, "leader_election_master_status", name="ours") == 0
    metrics.leading(True)
    assert value(metrics, "leader_election_master_status", name="ours") == 1


CONTROLLER_SERIES = (
    ("controller_runtime_reconcile_total", {"result": "success"}),
    ("controller_runtime_reconcile_total", {"result": "requeue"}),
    ("controller_runtime_reconcile_total", {"result": "requeue_after"}),
    ("controller_runtime_reconcile_total", {"result": "error"}),
    ("controller_runtime_reconcile_errors_total", {}),
    ("controller_runtime_reconcile_panics_total", {}),
    ("controller_runtime_reconcile_time_seconds_count", {}),
    ("controller_runtime_active_workers", {}),
    ("controller_runtime_max_concurrent_reconciles", {}),
)
QUEUE_SERIES = (
    "depth",
    "adds_total",
    "retries_total",
    "queue_duration_seconds_count",
    "work_duration_seconds_count",
    "unfinished_work_seconds",
    "longest_running_processor_seconds",
)


@pytest.mark.parametrize("controller", ["finetunejob", "basemodel"])
def test_what_other_operators_export_is_there_under_their_names_before_anything_happened(
    controller,
):
    metrics = Metrics()
    metrics.queues.meter(controller)
    found = [value(metrics, n, controller=controller, **more) for n, more in CONTROLLER_SERIES]
    labels = {"name": controller, "controller": controller}
    found += [value(metrics, f"workqueue_{name}", **labels) for name in QUEUE_SERIES]
    assert set(found) == {0}


def test_the_process_tells_of_its_memory_and_its_collector():
    names = {name for name, _ in scraped(Metrics())}
    assert {"process_resident_memory_bytes", "python_gc_collections_total"} <= names
