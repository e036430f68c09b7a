"""One training, killed again and again along a course, then left to come to its end."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from builders.ranked import Outpost
from soak.brake import Brake
from soak.hunt import go_on, kill, reach, run_on, wait
from soak.nursery import Process, start
from soak.places import Place, Plan, landed, told
from soak.result import differences, leftovers, result
from soak.sight import Sight, look

from trainer.contract.failures import EXIT_CODES, FailureClass

END_S = 300.0


@dataclass(frozen=True)
class Kill:
    """One, and where it fell."""

    kind: str
    has_landed: bool
    where: str


@dataclass
class Broken:
    """A training on its way."""

    post: Outpost
    plan: Plan
    whole: dict[str, bytes]
    """What the unbroken training left."""
    say: Callable[[str], None]
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    paused: Process | None = None

    def run(self, places: Sequence[Place]) -> None:
        """All of the course, then the end and the comparison."""
        try:
            for place in places:
                if place.pauses:
                    self.pause(place)
                elif not self.killed(place):
                    break
            self.ended()
        finally:
            if self.paused is not None:
                kill(self.paused)
        self.compare()

    def killed(self, place: Place) -> bool:
        """Start the next attempt and kill it at the place; False: there is nothing left to kill."""
        epoch = self.epoch() + 1
        process = start(self.post, self.brake(place, epoch))
        try:
            if reach(process, place) and place.more_s:
                run_on(process, place.more_s)
        finally:
            was_killed = kill(process)
        if not was_killed:
            return self.came_to_end(process, place)
        sight = self.look(epoch)
        self.kills.append(
            Kill(place.kind, landed(place.kind, sight, self.plan), told(sight, self.plan))
        )
        self.say(f"SIGKILL at {place.kind}: attempt {epoch}, {self.kills[-1].where}")
        return True

    def came_to_end(self, process: Process, place: Place) -> bool:
        self.say(f"attempt ended with {process.exitcode} before {place.kind}")
        if process.exitcode != 0:
            self.problems.append(
                f"an attempt ended with {process.exitcode}: {self.post.log[-400:]}"
            )
        return False

    def pause(self, place: Place) -> None:
        """Leave an attempt standing still, as on a node that has lost its network or its CPU."""
        epoch = self.epoch() + 1
        process = start(self.post, self.brake(place, epoch))
        if reach(process, place):
            self.paused = process
            self.say(f"attempt {epoch} stands still: {told(self.look(epoch), self.plan)}")

    def ended(self) -> None:
        """The attempt that nobody disturbs, then the one that wakes up too late."""
        code = wait(start(self.post), END_S)
        if code:
            self.problems.append(f"the last attempt ended with {code}: {self.post.log[-400:]}")
        if self.paused is not None:
            self.woken(self.paused)

    def woken(self, late: Process) -> None:
        """An attempt that another one passed publishes nothing and says why."""
        go_on(late)
        code = wait(late, END_S)
        self.say(f"the attempt that stood still went on and ended with {code}")
        if code != EXIT_CODES[FailureClass.SUPERSEDED]:
            self.problems.append(f"the attempt that was passed ended with {code}")

    def compare(self) -> None:
        """With the unbroken one."""
        if self.problems:
            return
        different = differences(result(self.post), self.whole)
        self.problems += [f"{name} differs" for name in different]
        self.problems += [f"{name} was left" for name in leftovers(self.post)]
        self.say("equal, bit for bit" if not self.problems else f"DIFFERS: {self.problems}")

    def brake(self, place: Place, epoch: int) -> Brake | None:
        """For an attempt that stops itself at the place."""
        return Brake(place.is_here, self.post.folder, epoch) if place.is_here else None

    def epoch(self) -> int:
        """Of the newest claim."""
        path = self.post.folder / "claim.json"
        return int(json.loads(path.read_bytes())["epoch"]) if path.exists() else 0

    def look(self, epoch: int) -> Sight:
        return look(self.post.folder, epoch)
