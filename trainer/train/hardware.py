"""What the run's first attempt found out about its hardware, for every later attempt.

Answers and training of one run have one precision, whatever machine an attempt lands on: what was
measured once is kept beside the prepared data, written once and read from then on.
"""

from collections.abc import Callable

from pydantic import Field, ValidationError

from trainer.contract.base import Wire
from trainer.model.precision import Precision, pick_precision
from trainer.stage import StageContext
from trainer.store import layout
from trainer.store.base import ConditionError, MissingError, Store
from trainer.train.ranks import Ranks


class Hardware(Wire):
    """Autos that depend on the machine."""

    precision: Precision = Field(description="Arithmetic of the base model.")


def precision_of(ranks: Ranks, ctx: StageContext, device: str) -> str:
    """The run's precision: the spec's, else the one that its first attempt chose."""
    wanted = ctx.request.spec.training.precision
    if wanted != "Auto":
        return wanted
    run_id = ctx.request.run_id
    return ranks.told(
        "precision",
        lambda: kept(ctx.store, run_id, lambda: pick_precision(wanted, device)).precision,
    )


def kept(store: Store, run_id: str, choose: Callable[[], Precision]) -> Hardware:
    """What is kept for the run; where nothing is, or nothing readable, the choice, kept now."""
    key = layout.hardware(run_id)
    try:
        return Hardware.model_validate_json(store.read(key))
    except (MissingError, ValidationError):
        chosen = Hardware(precision=choose())
    try:
        store.write(key, chosen.model_dump_json().encode(), if_none_match=True)
    except ConditionError:  # another attempt was first, or what lies there cannot be read
        return _read(store, key) or chosen
    return chosen


def _read(store: Store, key: str) -> Hardware | None:
    try:
        return Hardware.model_validate_json(store.read(key))
    except (MissingError, ValidationError):
        return None
