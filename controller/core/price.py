"""What a GPU hour costs: the job says it, else the operator."""

from controller.core.observed import Observed
from trainer.contract.source import Budget


def budget_of(observed: Observed) -> Budget:
    """The job's budget; a price that it lacks comes from the operator, with its currency."""
    budget, settings = observed.job.spec.budget, observed.settings
    if budget.price_per_gpu_hour is not None or settings.price_per_gpu_hour is None:
        return budget
    theirs = {"price_per_gpu_hour": settings.price_per_gpu_hour, "currency": settings.currency}
    return budget.model_copy(update=theirs)
