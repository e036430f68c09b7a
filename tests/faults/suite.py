"""Chooses cases, runs them side by side on one control plane, and tells what came of it."""

import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from faults.case import Case, Ground, Result, recording, run
from faults.ground import ROOT, apply_crds, prepared_plane
from faults.loop import Loop
from faults.matrix import every_case
from faults.rig import Knobs
from faults.scenarios import EVERY_SCENARIO, Scenario

SAMPLE = 36
LANES = 3
"""Cases at once: most of a case is waiting."""
Say = Callable[[str], None]


def to_stdout(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass
class Suite:
    """One sitting."""

    loop: Loop
    knobs: Knobs = field(default_factory=Knobs)
    lanes: int = LANES
    say: Say = to_stdout
    recorded: dict[str, Result] = field(default_factory=dict)
    """The undisturbed runs, by scenario."""

    def record(self, ground: Ground, scenarios: Iterable[Scenario]) -> None:
        """Run what is to be disturbed.

        Raises:
            RuntimeError: even undisturbed it went wrong.
        """
        cases = [recording(scenario) for scenario in scenarios]
        for result in self._in_lanes(ground, cases):
            if not result.has_passed:
                raise RuntimeError(f"{result.case.id} went wrong:\n{result.told()}")
            self.recorded[result.case.scenario.name] = result

    def cases(self) -> list[Case]:
        """All of them, on the recorded paths."""
        return every_case({name: result.writes for name, result in self.recorded.items()})

    def run(self, ground: Ground, cases: Sequence[Case]) -> list[Result]:
        """Those that leave the control plane alone."""
        return self._told(self._in_lanes(ground, cases), cases)

    def run_alone(self, cases: Sequence[Case]) -> list[Result]:
        """One after the other, on a control plane of their own, with our CRDs before each."""
        if not cases:
            return []
        with prepared_plane() as plane:
            ground = Ground(plane, self.loop, self.knobs)
            return self._told((self._restored(ground, case) for case in cases), cases)

    def _restored(self, ground: Ground, case: Case) -> Result:
        apply_crds(ground.plane, ROOT)
        return self._one(ground, case)

    def _in_lanes(self, ground: Ground, cases: Sequence[Case]) -> Iterable[Result]:
        with ThreadPoolExecutor(self.lanes) as pool:
            yield from pool.map(lambda case: self._one(ground, case), cases)

    def _one(self, ground: Ground, case: Case) -> Result:
        known = self.recorded.get(case.scenario.name)
        return run(ground, case, known.end if known else None)

    def _told(self, results: Iterable[Result], cases: Sequence[Case]) -> list[Result]:
        """Each as soon as it is there."""
        kept = []
        for result in results:
            kept.append(result)
            verdict = "ok    " if result.has_passed else "FAILED"
            place = f"[{len(kept)}/{len(cases)}]"
            self.say(f"{place} {verdict} {result.case.id}  {result.seconds:.1f} s")
            if not result.has_passed:
                self.say(result.told())
        return kept


def sampled(cases: Sequence[Case], seed: int, size: int = SAMPLE) -> list[Case]:
    """Of every kind at least one, and others up to the size; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - it only chooses
    shuffled = chance.sample(cases, len(cases))
    first = {case.kind: case for case in reversed(shuffled)}
    chosen = [case for case in shuffled if first[case.kind] is case]
    rest = [case for case in shuffled if first[case.kind] is not case and not case.is_alone]
    return [*chosen, *rest[: max(0, size - len(chosen))]]


def chosen(cases: Sequence[Case], *, seed: int, case_id: str, is_all: bool) -> list[Case]:
    """What was asked for.

    Raises:
        LookupError: there is no such case; names some that there are.
    """
    if case_id:
        found = [case for case in cases if case_id in (case.id, case.kind)]
        if not found:
            near = [case.id for case in cases if case_id in case.id][:20]
            raise LookupError(f"CASE={case_id}: there is no such case; near: {near}")
        return found
    return list(cases) if is_all else sampled(cases, seed)


def by_kind(results: Iterable[Result]) -> Mapping[str, list[Result]]:
    """In the order of their first."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.case.kind, []).append(result)
    return found


def sit(
    *, seed: int, case_id: str, is_all: bool, count: int, knobs: Knobs, lanes: int
) -> list[Result]:
    """Record, choose, run; every result."""
    with Loop() as loop:
        suite = Suite(loop, knobs, lanes)
        with prepared_plane() as plane:
            ground = Ground(plane, loop, knobs)
            suite.record(ground, EVERY_SCENARIO)
            cases = chosen(suite.cases(), seed=seed, case_id=case_id, is_all=is_all) * count
            suite.say(f"{len(cases)} runs")
            results = suite.run(ground, [case for case in cases if not case.is_alone])
        return results + suite.run_alone([case for case in cases if case.is_alone])
