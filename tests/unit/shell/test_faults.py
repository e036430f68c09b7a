"""Whatever fails, in whatever order, and whoever leads: the invariants of the design hold.

``FAULT_EXAMPLES=5000`` looks further than CI does, and at other histories each time.
"""

import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from builders.world.machine import Faults
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from controller.core import begin
from controller.shell import apply, publish
from controller.shell.apply import Applier

ON_DEMAND = int(os.environ.get("FAULT_EXAMPLES", "0"))
EXAMPLES = 50
PROFILE = settings(
    max_examples=ON_DEMAND or EXAMPLES,
    stateful_step_count=30,
    derandomize=not ON_DEMAND,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking such histories takes minutes
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_every_invariant_holds_in_every_history() -> None:
    run_state_machine_as_test(Faults, settings=PROFILE)


async def nothing(*_: object) -> None:
    """The look that is left out."""


def without_precondition(body: Callable[..., bytes]) -> Callable[..., bytes]:
    def changed(*arguments: Any) -> bytes:
        document = msgspec.json.decode(body(*arguments))
        for name in ("resourceVersion", "uid"):
            del document["metadata"][name]
        return msgspec.json.encode(document)

    return changed


MUTANTS = [
    pytest.param(Applier, "_check_live", nothing, r"I1|I5|write-ahead", id="no live GET"),
    pytest.param(Applier, "_find_alive", nothing, "I1", id="no live look at the pods"),
    pytest.param(Applier, "_find_rival", nothing, "I1", id="no live look at the Jobs"),
    pytest.param(begin, "_is_stored", lambda _: True, "write-ahead", id="no write-ahead"),
    pytest.param(
        publish, "status_body", without_precondition(publish.status_body), "I3",
        id="no precondition",
    ),
    pytest.param(apply, "is_same_attempt", lambda *_: True, "I8", id="a foreign Job is adopted"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name", "mutant", "law"), MUTANTS)
def test_without_its_guard_a_law_is_seen_broken(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, mutant: Any, law: str
) -> None:
    monkeypatch.setattr(owner, name, mutant)
    with pytest.raises(AssertionError, match=law):
        run_state_machine_as_test(Faults, settings=PROFILE)
