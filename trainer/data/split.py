"""Which split a row is in: by a hash of its group, so that adding rows never moves a row.

Owns split.json, which the first run of an output writes and no later run changes.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainer.contract.base import Wire
from trainer.contract.failures import FailureClass
from trainer.contract.source import Dataset
from trainer.data.spool import Keys
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import ConditionError, Store
from trainer.store.checked import read_document

TRAIN, VALIDATION, TEST = 0, 1, 2
CODES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
Codes = NDArray[np.int8]

WANTED_TEST_GROUPS = 100
LEAST_TEST_PERCENT, MOST_TEST_PERCENT = 10, 30


class SplitRule(Wire):
    """split.json. A share is None while that split is a file of the user's own."""

    salt: str
    test_percent: int | None
    validation_percent: int | None
    group_by: str | None = None
    metric: str | None = Field(default=None, description="What Auto was for the first run.")
    max_new_tokens: int | None = Field(default=None, description="What Auto was.")
    few_shot_examples: int | None = Field(default=None, description="What Auto was.")


def read_rule(store: Store) -> SplitRule | None:
    """The rule of earlier runs; None: this is the first."""
    return read_document(store, layout.SPLIT, SplitRule)


def salt_of(seed: int) -> str:
    """The first run's salt; from the seed, so that the same job splits alike everywhere."""
    return hashlib.sha256(f"tunekeeper split {seed}".encode()).hexdigest()[:16]


def make_rule(dataset: Dataset, shares: NDArray[np.float64], salt: str) -> SplitRule:
    """The rule of a first run; ``shares`` are the places of its distinct groups."""
    wanted = dataset.split.test_percent
    return SplitRule(
        salt=salt,
        test_percent=None
        if dataset.test is not None
        else auto_test_percent(shares)
        if wanted == "Auto"
        else int(wanted),
        validation_percent=None
        if dataset.validation is not None
        else dataset.split.validation_percent,
        group_by=dataset.split.group_by,
    )


def auto_test_percent(shares: NDArray[np.float64]) -> int:
    """The smallest share from 10 to 30 % that holds 100 groups; 30 if none does."""
    for percent in range(LEAST_TEST_PERCENT, MOST_TEST_PERCENT):
        if np.count_nonzero(shares < percent / 100) >= WANTED_TEST_GROUPS:
            return percent
    return MOST_TEST_PERCENT


def continued(rule: SplitRule, dataset: Dataset, fresh: SplitRule) -> SplitRule:
    """The rule of earlier runs, with a share filled in that they had no need of.

    Raises:
        StageError: the spec asks for another split than the one that is fixed.
    """
    asked = dataset.split
    changes: list[tuple[str, Any, Any]] = [("groupBy", rule.group_by, asked.group_by)]
    if asked.test_percent != "Auto" and dataset.test is None:
        changes.append(("testPercent", rule.test_percent, asked.test_percent))
    if dataset.validation is None:
        changes.append(("validationPercent", rule.validation_percent, asked.validation_percent))
    for name, fixed, wanted in changes:
        if fixed != wanted and (fixed is not None or name == "groupBy"):
            message = (
                f"spec.dataset.split.{name}: {wanted}, but the first run of this output fixed "
                f"{fixed} in {layout.SPLIT}, so that no row moves between the splits; set it back, "
                f"or choose another output"
            )
            raise StageError(FailureClass.INVALID_SPEC, message)
    missing = {
        name: getattr(fresh, name)
        for name in ("test_percent", "validation_percent")
        if getattr(rule, name) is None
    }
    return rule.model_copy(update=missing)


def write_rule(store: Store, rule: SplitRule, before: SplitRule | None) -> None:
    """Fix the rule; the first writer wins.

    Raises:
        StageError: another attempt of this job fixed another one in between.
    """
    if rule == before:
        return
    data = (rule.model_dump_json(indent=1) + "\n").encode()
    try:
        if before is None:
            store.write(layout.SPLIT, data, if_none_match=True)
        else:
            store.write(layout.SPLIT, data, if_match=store.read_tagged(layout.SPLIT)[1])
    except ConditionError:
        if read_rule(store) != rule:
            message = f"{store.uri}/{layout.SPLIT} was written by another attempt; run again"
            raise StageError(FailureClass.UNAVAILABLE, message) from None


def places(groups: Keys, salt: str) -> NDArray[np.float64]:
    """Where each group lies between 0 and 1; equal groups lie at the same place."""
    unique, inverse = np.unique(groups, return_inverse=True)
    place_of: Callable[[int], float] = lambda group: (  # noqa: E731 - a line of arithmetic
        int.from_bytes(
            hashlib.blake2b(
                int(group).to_bytes(8, "big"), digest_size=8, key=salt.encode()
            ).digest(),
            "big",
        )
        / 2**64
    )
    at_unique = np.fromiter(map(place_of, unique), np.float64, len(unique))
    return at_unique[inverse] if len(unique) else at_unique


def assign(at: NDArray[np.float64], given: Codes, rule: SplitRule, dataset: Dataset) -> Codes:
    """The split of each row: test lies at the low end, validation at the high end.

    Rows of files that were given for a split are in that split whatever their hash.
    """
    codes = given.copy()
    free = given == TRAIN
    if dataset.validation is None:
        codes[free & (at >= 1 - (rule.validation_percent or 0) / 100)] = VALIDATION
    if dataset.test is None:
        codes[free & (at < (rule.test_percent or 0) / 100)] = TEST
    return codes
