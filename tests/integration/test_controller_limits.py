"""Deadlines and budgets on a real API server: what pods are given, and what ends a run."""

from datetime import UTC, datetime, timedelta

from builders.operated import operated
from cluster.plane import ControlPlane
from cluster.pod import Last
from cluster.process import wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.limit import SoftLimit

INTERRUPTED = FailureClass.INTERRUPTED
PARTIAL = "training was ended by spec.activeDeadlineSeconds at step 4 of 10"


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_pod_is_given_the_remainder_and_ended_by_the_kubelet_after_its_reserve(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(activeDeadlineSeconds=36000)
        pod = desk.kubelet.pod("prepare")
        assert pod.request.limit == SoftLimit(seconds=36000, failure=FailureClass.DEADLINE_EXCEEDED)
        assert pod.spec["activeDeadlineSeconds"] == 43200
        pod.running()
        pod.ended(Last(0, pod.word()), startTime=hours_ago(4))
        train = desk.kubelet.pod("train")
        told = train.request.limit
        assert told is not None
        assert 21500 <= told.seconds <= 21600
        assert train.spec["activeDeadlineSeconds"] in (
            told.seconds + told.seconds // 5 + extra for extra in (0, 1)
        )
        train.running().succeeded()
        judge = desk.kubelet.pod("judge")
        assert judge.request.limit is None


def test_a_partial_run_is_judged_and_a_raised_deadline_trains_it_on(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(activeDeadlineSeconds=3600)
        desk.kubelet.pod("prepare").running().succeeded()
        desk.kubelet.pod("train").running().succeeded(partial=True, message=PARTIAL)
        desk.kubelet.pod("judge").running().succeeded()
        status = desk.until_phase("Succeeded", "Partial")
        trained = desk.condition("Trained")
        assert (trained["status"], trained["reason"]) == ("True", "Partial")
        assert trained["message"] == PARTIAL
        assert (status["run"]["partial"], status["history"][-1]["partial"]) == (True, True)
        wait_until(lambda: desk.events("Partial"), "the event is there")
        desk.edit(activeDeadlineSeconds=7200)
        desk.kubelet.pod("train", attempt=2).running().succeeded()
        desk.kubelet.pod("judge", attempt=2).running().succeeded()
        status = desk.until(lambda s: not s["run"].get("partial"), "the run is whole")
        assert desk.condition("Trained")["reason"] == "Trained"
        assert status["run"]["number"] == 1


def test_a_pod_that_the_kubelet_ended_at_its_backstop_is_the_deadlines_failure(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(activeDeadlineSeconds=3600)
        desk.kubelet.pod("prepare").running().succeeded()
        pod = desk.kubelet.pod("train").running()
        word = pod.word(failure=INTERRUPTED, message="told to stop", checkpoint_step=7)
        text = "Pod was active on the node longer than the specified deadline"
        pod.ended(Last(EXIT_CODES[INTERRUPTED], word), reason="DeadlineExceeded", message=text)
        desk.until_phase("Failed", "DeadlineExceeded")
        assert "raise activeDeadlineSeconds" in desk.condition("Stalled")["message"]
        assert len(desk.kubelet.pods("train")) == 1
        desk.edit(activeDeadlineSeconds=7200)
        desk.kubelet.pod("train", attempt=2)


def test_a_run_whose_attempts_used_its_budget_asks_for_no_gpu_again(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace, gpus=1) as desk:
        desk.apply(compute={"gpus": 1}, budget={"maxGpuSeconds": 7200})
        desk.kubelet.pod("prepare").running().succeeded()
        first = desk.kubelet.pod("train").running()
        word = first.word(failure=INTERRUPTED, message="told to stop", checkpoint_step=7)
        first.ended(Last(EXIT_CODES[INTERRUPTED], word), startTime=hours_ago(1.5))
        second = desk.kubelet.pod("train", attempt=2).running()
        told = second.request.limit
        assert told is not None
        assert 1700 <= told.seconds <= 1800
        assert told.failure is FailureClass.BUDGET_EXCEEDED
        word = second.word(failure=INTERRUPTED, message="told to stop", checkpoint_step=9)
        second.ended(Last(EXIT_CODES[INTERRUPTED], word), startTime=hours_ago(0.6))
        status = desk.until_phase("Failed", "BudgetExceeded")
        assert float(status["cost"]["gpuSeconds"]) >= 7200
        assert len(desk.kubelet.pods("train")) == 2
        assert "raise budget.maxGpuSeconds" in status["run"]["message"]
