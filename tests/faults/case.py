"""One case from its start to its verdict."""

import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from cluster.api import Json
from cluster.plane import ControlPlane
from faults.fault import Fault, Undisturbed
from faults.history import HistoryBrokenError
from faults.invariants import Violation
from faults.loop import Loop
from faults.objects import is_finished, is_over
from faults.report import timeline
from faults.requests import Sort
from faults.rig import Knobs, Rig
from faults.scenarios import Scenario
from faults.verdict import end_of, left_over, written_since, wrong_with

CALM_S = 0.6
"""Nothing written for so long: the last events are out and the quiet period may begin."""


@dataclass(frozen=True)
class Case:
    """A scenario, a fault and where it strikes; the id names all three."""

    id: str
    kind: str
    scenario: Scenario
    fault: Callable[[], Fault]
    mutant: str = ""
    """The safeguard that is taken out."""
    caught_by: str = ""
    """The promise that its absence breaks: that violation is then what is wanted."""
    is_alone: bool = False
    """It disturbs the whole control plane."""


@dataclass(frozen=True)
class Result:
    """What became of a case."""

    case: Case
    violations: tuple[Violation, ...]
    seconds: float
    end: Json = field(default_factory=dict)
    writes: tuple[str, ...] = ()
    """The numbered writes, each as verb and what it is about."""
    story: str = ""
    """What happened, for a person; only where something is wrong."""

    @property
    def has_passed(self) -> bool:
        """A mutant passes when the promise that it must break was seen to be broken."""
        if self.case.mutant:
            return any(one.promise == self.case.caught_by for one in self.violations)
        return not self.violations

    def told(self) -> str:
        """What is wrong, and the story that shows why."""
        said = [f"  {violation}" for violation in self.violations] or ["  it was not caught"]
        return "\n".join([*said, self.story])


@dataclass
class Ground:
    """Where cases run."""

    plane: ControlPlane
    loop: Loop
    knobs: Knobs


def run(ground: Ground, case: Case, wanted: Json | None) -> Result:
    """Everything that is wrong is in the result; nothing is raised."""
    fault, began_s = case.fault(), time.monotonic()
    title = re.sub(r"[^a-z0-9]+", "-", case.id.lower())
    rig = Rig(ground.plane, ground.loop, fault, ground.knobs, title, case.mutant)
    fault.attach(rig)
    found, end = [], {}
    try:
        with rig.opened(case.scenario.ends, fault.replicas):
            found = _lived(rig, case, fault, wanted)
            end = end_of(rig)
            story = timeline(rig) if found or case.mutant else ""
    except Exception:  # noqa: BLE001 - one case must not end the suite
        found = [Violation("case", traceback.format_exc())]
        story = timeline(rig) if hasattr(rig, "history") else ""
    writes = tuple(
        f"{entry.request.verb}-{entry.request.about}" for entry in rig.journal.of(Sort.WRITE)
    )
    return Result(case, tuple(found), time.monotonic() - began_s, end, writes, story)


def _lived(rig: Rig, case: Case, fault: Fault, wanted: Json | None) -> list[Violation]:
    """From apply to the end of the quiet period."""
    late: list[Violation] = []
    try:
        rig.apply(**dict(case.scenario.spec))
        case.scenario.user(rig)
        rig.until(lambda: is_finished(rig.job()), "it is finished")
        rig.at_point("ended")
        rig.until(lambda: _is_at_rest(rig, fault), "it is at rest, and finished")
        began_s = time.monotonic()
        time.sleep(rig.knobs.quiet_s)
        late += written_since(rig, began_s)
        rig.until(lambda: not any(left_over(rig)), "nothing is left over", LEFT_OVER_S)
    except TimeoutError as error:
        late.append(Violation("I9 same end", str(error)))
    try:
        rig.until(rig.history.has_caught_up, "the history shows everything")
        return [*wrong_with(rig, fault, wanted, case.scenario.allows), *late]
    except (HistoryBrokenError, TimeoutError) as error:
        return [Violation("history", str(error)), *late]


def _is_at_rest(rig: Rig, fault: Fault) -> bool:
    """The fault is over, somebody leads, all has ended and nothing is written any more."""
    has_ended = is_finished(rig.job()) and all(map(is_over, rig.children()))
    return fault.is_over and has_ended and rig.is_quiet(CALM_S)


LEFT_OVER_S = 30.0


def recording(scenario: Scenario) -> Case:
    """The undisturbed run that says what the path is and how it ends."""
    return Case(f"{scenario.name}/undisturbed", "undisturbed", scenario, Undisturbed)
