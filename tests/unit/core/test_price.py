"""What a GPU hour costs where a job does not say it."""

import pytest
from builders.jobs import Scene, a_job

from controller.core.actions import StartStage
from controller.core.observed import Settings
from trainer.contract.source import Budget

THEIRS = Settings(price_per_gpu_hour="3.00", currency="USD")


@pytest.mark.parametrize(
    ("settings", "budget", "expected"),
    [
        pytest.param(Settings(), {}, (None, "EUR"), id="nobody says it"),
        pytest.param(THEIRS, {}, ("3.00", "USD"), id="the operator says it"),
        pytest.param(THEIRS, {"currency": "CHF"}, ("3.00", "USD"), id="in its own currency"),
        pytest.param(THEIRS, {"pricePerGpuHour": "0"}, ("0", "EUR"), id="the job says nothing"),
        pytest.param(
            THEIRS,
            {"pricePerGpuHour": "2.50", "currency": "CHF"},
            ("2.50", "CHF"),
            id="the job says it",
        ),
    ],
)
def test_a_stage_is_told_the_price_of_the_job_else_of_the_operator(
    settings: Settings, budget: dict[str, str], expected: tuple[str | None, str]
) -> None:
    told = budget_told(Scene(job=a_job(budget=budget), settings=settings))
    assert (told.price_per_gpu_hour, told.currency) == expected


def budget_told(scene: Scene) -> Budget:
    (action,) = scene.stepped().decided().actions
    assert isinstance(action, StartStage)
    return action.request.spec.budget


def test_the_rest_of_the_budget_stays_the_jobs() -> None:
    job = a_job(budget={"maxGpuSeconds": 600})
    assert budget_told(Scene(job=job, settings=THEIRS)).max_gpu_seconds == 600


def test_the_status_counts_with_the_price_of_the_operator() -> None:
    scene = Scene(job=a_job(compute={"gpus": 2}), settings=THEIRS).settled()
    trained = scene.succeeded().settled().passed(1800).succeeded().settled()
    cost = trained.job.status.cost
    assert cost is not None
    assert (cost.amount, cost.currency) == ("3.00", "USD")
