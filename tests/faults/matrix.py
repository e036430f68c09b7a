"""Every case: which fault strikes where in which life."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from faults import atwrites
from faults.case import Case
from faults.scenarios import SCENARIOS, Scenario

AT_WRITES = {
    "kill-before": atwrites.KillBefore,
    "kill-after": atwrites.KillAfter,
    "reply-lost": atwrites.ReplyLost,
    "conflict": atwrites.Conflict,
    "burst-500": atwrites.Burst,
    "burst-429": atwrites.Patience,
}

Paths = Mapping[str, Sequence[str]]
"""The writes of each scenario, as recorded."""


def every_case(paths: Paths) -> list[Case]:
    """In a fixed order."""
    return [case for scenario in SCENARIOS for case in _of(scenario, paths[scenario.name])]


def _of(scenario: Scenario, path: Sequence[str]) -> Iterator[Case]:
    for number, write in enumerate(path, start=1):
        for kind, fault in AT_WRITES.items():
            name = f"{scenario.name}/{number:02}-{write}/{kind}"
            yield Case(name, kind, scenario, partial(fault, number))
