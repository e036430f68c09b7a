"""What one look at a test split may cost of the error that the user allows."""

import math

from trainer.contract.spec import Evaluation


def spent(alpha: float, look: int) -> float:
    """Share of ``alpha`` that look ``look`` (from 1) may use: ``6 alpha / (pi^2 look^2)``.

    The shares of all looks there can ever be add up to ``alpha`` (Euler's sum of ``1 / k^2``),
    so nobody has to say in advance how often a test split will be looked at. It follows that the
    first look pays as well: it has 61 % of ``alpha``.
    """
    return 6 * alpha / (math.pi * look) ** 2


def confidence(evaluation: Evaluation, look: int = 1) -> float:
    """Level of the two-sided intervals that decide at this look, 0 to 1."""
    alpha = 1 - evaluation.confidence_percent / 100
    return 1 - (spent(alpha, look) if evaluation.looks == "Enforce" else alpha)


def note(evaluation: Evaluation, look: int) -> str:
    """What the looks cost, for the report."""
    allowed = 1 - evaluation.confidence_percent / 100
    share = f"{100 * spent(allowed, look):.2g} %"
    if evaluation.looks == "Report":
        return (
            f"Look {look} at this test split; with looks: Enforce it would have {share} of error "
            f"instead of {100 * allowed:.2g} %."
        )
    return (
        f"Look {look} at this test split: it may use {share} of the {100 * allowed:.2g} % of error "
        "that all looks share."
    )
