"""test-ledger.json: who looked at which test split, so that repeated looks cost confidence.

A *look* is one candidate's answers scored on one test split. What counts as one:

- Another recipe (data, adapter, optimisation, rerun) or other generation settings (metric, arms,
  prompts): a new look. Its answers are new chances to win on the same items.
- The same answers against other thresholds: the same look. The interval does not move, and an
  interval covers the truth at its level whatever it is compared with.
- A partial training and the same training further on: two looks, of two adapters.
- The same recipe on another base: the same look. Nobody chose it for its score here.
- Another test split: counts from one again.
"""

import hashlib
import json
import re
from decimal import Decimal
from typing import Literal

from pydantic import Field

from trainer.contract.base import DECIMAL_PATTERN, Digest, Wire
from trainer.contract.failures import FailureClass
from trainer.contract.limit import PartialTraining
from trainer.contract.request import StageRequest
from trainer.data.plan import PreparedPlan
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import ConditionError, MissingError, Store

ATTEMPTS = 8
PARTIAL = "-partial-"
HOW_NOT_WHAT = ("checkpoint_period_seconds", "stall_seconds")
"""Fields of ``training`` that change no adapter."""


class Look(Wire):
    """One run's look at one test split."""

    look: int = Field(ge=1)
    recipe: str
    generation_hash: Digest
    run_id: str
    base_digest: Digest
    against: str = Field(default="", description="Promoted run at that time; empty: none, or own.")
    anchor: str = Field(default="", description="The best promoted run at that time.")
    time: str


class Ledger(Wire):
    """Looks by test split, oldest first."""

    version: Literal[1] = 1
    splits: dict[Digest, list[Look]] = Field(default_factory=dict)


def recipe(request: StageRequest, plan: PreparedPlan) -> str:
    """Digest of everything that the candidate depends on but the base model.

    Data counts by content: a file that moved is no new candidate, a file that changed is.
    """
    spec = request.spec
    parts: dict[str, object] = {
        "splits": {name: plan.split_digests.get(name) for name in ("train", "validation")},
        "instruction": spec.dataset.instruction,
        "method": spec.method,
        "lora": spec.lora.model_dump(mode="json"),
        "quantization": spec.quantization,
        "training": spec.training.model_dump(mode="json", exclude=set(HOW_NOT_WHAT)),
        "rerun": request.rerun,
    }
    text = json.dumps(_canonical(parts), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: object) -> object:
    """Decimals as numbers are compared: ``5e-4`` and ``0.0005`` ask for the same."""
    match value:
        case dict():
            return {key: _canonical(member) for key, member in value.items()}
        case str() if re.match(DECIMAL_PATTERN, value):
            return str(Decimal(value).normalize())
        case _:
            return value


def looked_at(recipe: str, partial: PartialTraining | None) -> str:
    """The recipe as the ledger has it: of a partial training with the step that it came to."""
    return recipe if partial is None else f"{recipe}{PARTIAL}{partial.step}"


def number(looks: list[Look], candidate: Look) -> int:
    """Which look a candidate's is: its own from before, or the next."""
    for look in looks:
        if _is_same(look, candidate):
            return look.look
    return max((look.look for look in looks), default=0) + 1


def take(store: Store, split: Digest, candidate: Look) -> Look:
    """Write the look down, once; returns it with its number, as first taken.

    A look counts from when it is taken: a judge that dies right after it has still looked.

    Raises:
        StageError: others keep writing the ledger, or it is not readable.
    """
    for _ in range(ATTEMPTS):
        ledger, tag = _read(store)
        looks = ledger.splits.get(split, [])
        for look in looks:
            if _is_same(look, candidate) and look.run_id == candidate.run_id:
                return look
        taken = candidate.model_copy(update={"look": number(looks, candidate)})
        grown = Ledger(splits={**ledger.splits, split: [*looks, taken]})
        if _write(store, grown, tag):
            return taken
    message = f"{layout.LEDGER} is being written by others all the time; the stage can be retried"
    raise StageError(FailureClass.UNAVAILABLE, message)


def recipe_of(store: Store, run_id: str) -> str | None:
    """Recipe of a run that was judged before; None: never seen."""
    ledger, _ = _read(store)
    looks = (look for looks in ledger.splits.values() for look in looks)
    return next((plain_recipe(look) for look in looks if look.run_id == run_id), None)


def plain_recipe(look: Look) -> str:
    """Its recipe, however far the training came."""
    return look.recipe.partition(PARTIAL)[0]


def _is_same(look: Look, candidate: Look) -> bool:
    return (look.recipe, look.generation_hash) == (candidate.recipe, candidate.generation_hash)


def _read(store: Store) -> tuple[Ledger, str | None]:
    try:
        data, tag = store.read_tagged(layout.LEDGER)
    except MissingError:
        return Ledger(), None
    try:
        return Ledger.model_validate_json(data), tag
    except ValueError:
        message = (
            f"{store.uri}/{layout.LEDGER} is not a ledger that this version reads; looks can not "
            "be counted without it: restore it, or delete it to count from one again"
        )
        raise StageError(FailureClass.INVALID_SPEC, message) from None


def _write(store: Store, ledger: Ledger, tag: str | None) -> bool:
    data = ledger.model_dump_json(indent=1).encode()
    try:
        store.write(layout.LEDGER, data, if_none_match=tag is None, if_match=tag)
    except ConditionError:
        return False
    return True
