"""A sitting: the unbroken training, then broken ones on each store until there are enough kills."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random

from soak.broken import END_S, Broken
from soak.ground import GROUNDS, Ground, a_base, file_ground
from soak.places import Place, Plan, course
from soak.result import result

Say = Callable[[str], None]
Course = Callable[[Plan, Random], Sequence[Place]]


@dataclass(frozen=True)
class Model:
    """What broken trainings are measured against."""

    base: Path
    plan: Plan
    whole: dict[str, bytes]


def sit(
    folder: Path,
    *,
    seed: int,
    kills: int,
    stores: Sequence[str],
    say: Say,
    course: Course = course,
) -> dict[str, list[Broken]]:
    """Break trainings until there were so many kills, on these stores in turn."""
    model = unbroken(folder)
    say(f"unbroken: epochs end at steps {model.plan.ends}")
    runs: dict[str, list[Broken]] = {store: [] for store in stores}
    with ExitStack() as open_grounds:
        grounds = {store: open_grounds.enter_context(GROUNDS[store](folder)) for store in stores}
        for store in cycle(stores):
            name = f"{store}-{len(runs[store]) + 1}"
            places = course(model.plan, Random(f"{seed} {name}"))  # noqa: S311 - to be repeated
            runs[store].append(broken(grounds[store], name, model, places, say))
            if kills_in(runs) >= kills:
                break
    return runs


def kills_in(runs: Mapping[str, Sequence[Broken]]) -> int:
    """Of all of them."""
    return sum(len(run.kills) for broken in runs.values() for run in broken)


def unbroken(folder: Path) -> Model:
    """A training by the product as it is, which nobody disturbs and no checkpoint interrupts."""
    base = a_base(folder)
    with file_ground(folder) as ground:
        post = ground("unbroken").prepared(base)
    if post.start("train").wait(END_S):
        raise RuntimeError(f"even the unbroken training failed:\n{post.log}")
    lines = [line for line in post.metrics() if "trainLoss" in line]
    ends = [line["step"] for line in lines if float(line["epoch"]).is_integer()]
    return Model(base, Plan(ends), result(post))


def broken(ground: Ground, name: str, model: Model, places: Sequence[Place], say: Say) -> Broken:
    """One of them, to its end."""
    post = ground(name).prepared(model.base)
    run = Broken(post, model.plan, model.whole, lambda text: say(f"{name}: {text}"))
    run.run(places)
    return run
