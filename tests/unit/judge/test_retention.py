"""output.keepRuns: older runs go, and never one that somebody may still need."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from builders.finished import a_context
from builders.outputs import AnOutput, better

from trainer.contract.failures import FailureClass
from trainer.contract.verdict import Verdict
from trainer.data.publish import Finished, find_finished
from trainer.errors import StageError
from trainer.judge import pointer
from trainer.judge.pin import PinRefusedError, usable_run
from trainer.judge.retention import Housekeeping, prune
from trainer.judge.stage import judge
from trainer.lineage.diff import diff, side
from trainer.lineage.history import read_history
from trainer.lineage.target import inventory
from trainer.lineage.verify import verify
from trainer.stage import StageContext
from trainer.store import layout
from trainer.store.file import FileStore

NO_BETTER = better(20, 20)


@dataclass
class Kept(AnOutput):
    """An output that keeps so many runs; specs are called a, b, c ..., each a run of its own."""

    keep: int = 2

    def add(self, spec: str, **fields: Any) -> str:
        place = {"uri": f"file://{self.root}/output", "keepRuns": self.keep}
        return self.run(fields.pop("scores", NO_BETTER), spec=spec, output=place, **fields)

    def rejected(self, specs: Iterable[str]) -> list[str]:
        return [self.add(spec) for spec in specs]

    def trained(self, specs: Iterable[str]) -> list[str]:
        """The same without the figures of a judgement, which take their time."""
        made = []
        for spec in specs:
            made.append(self.add(spec, judged=False))
            assert self.pruned(made[-1], spec) == ""
        return made

    def pruned(self, run_id: str, spec: str, **sections: Any) -> str:
        """What the judge of that run does at its end."""
        place = {"uri": f"file://{self.root}/output", "keepRuns": self.keep}
        ctx = self.context(run_id, spec, "", {"output": place, **sections})
        return prune(Housekeeping(self.store, ctx.request, frozenset(), "2026-12-01T00:00:00Z"))

    def whole(self) -> set[str]:
        """Runs that have more than a stone."""
        return {run_id for run_id, files in inventory(self.store).items() if len(files) > 1}

    def improving(self) -> list[str]:
        """Three runs, each better than the one before and put in use."""
        made = zip("abc", (20, 35, 50), strict=True)
        return [self.add(spec, scores=better(5, right)) for spec, right in made]


@pytest.fixture
def output(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_of_the_runs_that_were_never_in_use_the_newest_stay(output: Kept) -> None:
    first = output.add("a", scores=better(20, 50))
    others = output.trained("bcde")
    assert output.whole() == {first, *others[-2:]}


def test_as_many_as_there_is_room_for_all_stay(output: Kept) -> None:
    made = [output.add("a", scores=better(20, 50)), *output.trained("bc")]
    assert output.whole() == set(made)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_run_that_is_judged_is_one_of_them(tmp_path: Path, keep: int) -> None:
    output = Kept(tmp_path, keep=keep)
    made = output.trained("abcde")
    assert output.whole() == set(made[-keep:])


def test_runs_that_were_in_use_lately_stay_beside_them(output: Kept) -> None:
    promoted = output.improving()
    others = output.trained("def")
    assert pointer.read(output.store)[0].run_id == promoted[2]
    assert output.whole() == {*promoted[1:], *others[-2:]}


def test_the_anchor_stays_although_the_pointer_has_left_it_long_ago(output: Kept) -> None:
    output.keep = 1
    made = output.improving()
    seen = pointer.read(output.store)
    pointer.keep(output.store, seen, anchor_run_id=made[0])
    output.trained("de")
    assert made[0] in output.whole()


def test_what_the_run_in_use_was_measured_against_stays(output: Kept) -> None:
    output.keep = 1
    made = output.improving()
    output.trained("de")
    assert made[1] in output.whole()


def test_the_pinned_run_and_the_policys_choice_stay(output: Kept) -> None:
    output.keep = 1
    promoted = output.add("a", scores=better(20, 50))
    pinned = output.add("b", judged=False)
    candidate = usable_run(output.store, pinned, output.root, time="2026-11-21T08:00:00Z")
    pointer.move(output.store, candidate, pointer.read(output.store), by="Pin")
    output.trained("cde")
    assert {promoted, pinned} < output.whole()


def test_a_pin_that_is_not_followed_yet_stays(output: Kept) -> None:
    output.keep = 1
    pinned = output.add("a", judged=False)
    for spec in "bcd":
        output.pruned(output.add(spec, judged=False), spec, promotion={"pin": pinned})
    assert pinned in output.whole()


@pytest.mark.parametrize(
    ("claim", "stays"),
    [
        pytest.param({"uid": "other", "run": 1, "attempt": 1}, True, id="another's, no end known"),
        pytest.param({"uid": "uid-1", "run": 1, "attempt": 1}, False, id="an attempt of our own"),
        pytest.param({"uid": "ended", "run": 1, "attempt": 3}, False, id="another's that ended"),
        pytest.param({"uid": "ended", "run": 1, "attempt": 4}, True, id="another's newer attempt"),
    ],
)
def test_a_run_that_somebody_may_work_on_stays(output: Kept, claim: dict, stays: bool) -> None:
    first = output.add("a")
    output.store.write(layout.claim(first), json.dumps({"epoch": 1, **claim}).encode())
    word = {"stage": "train", "uid": "ended", "run": 1, "attempt": 3, "runId": first}
    output.store.write(layout.outcome(first, "train"), json.dumps(word).encode() + b"\n{}\n")
    output.trained("bcd")
    assert (first in output.whole()) is stays


def test_a_run_that_broke_off_counts_by_its_last_file(output: Kept) -> None:
    begun = output.begun()
    claim = {"epoch": 1, "uid": "uid-1", "run": 9, "attempt": 1}
    output.store.write(layout.claim(begun), json.dumps(claim).encode())
    output.store.write(layout.run(begun, "e1/checkpoints/step-5/state.json"), b"{}")
    output.trained("abc")
    assert begun in output.whole()  # written today, after the others by what they say
    for path in (output.root / "output/runs" / begun).rglob("*.json"):
        os.utime(path, (0, 0))
    output.trained("d")
    assert begun not in output.whole()
    assert not (output.root / "output/runs" / begun / "e1").exists()


def test_age_is_what_the_documents_say_not_when_the_files_were_written(output: Kept) -> None:
    made = output.trained("abc")
    oldest = made[-2]
    for entry in list(output.store.list(layout.run(oldest))):
        output.store.write(entry.key, output.store.read(entry.key))  # as a copy would
    output.trained("d")
    assert oldest not in output.whole()


def test_owner_split_and_ledger_are_never_touched(output: Kept) -> None:
    output.store.write(layout.OWNER, b"{}")
    output.store.write(layout.SPLIT, b"{}")
    output.store.write(layout.LEDGER, b"{}")
    output.trained("abcde")
    assert all(output.store.exists(key) for key in (layout.OWNER, layout.SPLIT, layout.LEDGER))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Four runs that were judged, and room for all of them."""
    output = Kept(tmp_path_factory.mktemp("four"), keep=9)
    output.rejected("abcd")
    return output


@pytest.fixture
def output_of_four(tmp_path: Path, four: Kept) -> Kept:
    """The same with room for two."""
    shutil.copytree(four.root, tmp_path / "copy")
    return Kept(tmp_path / "copy", made=list(four.made), keep=2)


def removed(output: Kept) -> str:
    """The first of the four runs, which is gone."""
    assert output.pruned(output.made[-1], "d") == ""
    first = output.made[0]
    left = [entry.key for entry in output.store.list(layout.run(first))]
    assert left == [f"runs/{first}/removed.json"]
    return first


def test_a_history_still_tells_of_it_and_of_what_came_after_it(output_of_four: Kept) -> None:
    output = output_of_four
    first = removed(output)
    history = read_history(output.store)
    told = history.runs[0]
    assert (told.id, told.state, told.number, told.verdict) == (
        first,
        "Removed",
        1,
        Verdict.INCONCLUSIVE,
    )
    assert told.reason.startswith("its files were removed by spec.output.keepRuns (2) at ")
    assert told.base is not None
    assert [run.causes for run in history.runs] == [["First"], *[["SpecChanged"]] * 3]
    assert (history.problems, told.problems) == ([], [])


def test_a_verification_says_that_it_was_removed_and_finds_no_fault(output_of_four: Kept) -> None:
    output = output_of_four
    first = removed(output)
    found = verify(output.store, inventory(output.store), whole=True)
    assert (found.ok, found.findings) == (True, [])
    told = [note for note in found.notes if first in note]
    assert ["removed by spec.output.keepRuns (2) at " in note for note in told] == [True]


def test_a_difference_says_that_one_side_was_removed(output_of_four: Kept) -> None:
    output = output_of_four
    first = removed(output)
    found = diff(side(output.store, first), side(output.store, output.made[-1]))
    assert any("removed by spec.output.keepRuns" in note for note in found.notes)


def test_it_can_not_be_pinned_and_the_refusal_says_why(output_of_four: Kept) -> None:
    output = output_of_four
    first = removed(output)
    with pytest.raises(PinRefusedError, match=r"spec\.output\.keepRuns has removed") as refused:
        usable_run(output.store, first, output.root, time="now")
    assert refused.value.failure is FailureClass.NOT_FOUND
    assert output.made[-1] in refused.value.message


def test_it_is_trained_again_when_its_spec_comes_back(output_of_four: Kept) -> None:
    output = output_of_four
    first = removed(output)
    request = a_context(output.root, run_id=first).request
    assert find_finished(output.store, first, request) == Finished()
    again = output.add("a")
    assert again == first
    assert read_history(output.store).runs[-1].state == "Judged"
    assert verify(output.store, inventory(output.store), whole=True).findings == []


class PowerCutError(Exception):
    """The process is gone."""


@dataclass
class Failing(FileStore):
    """A store that does so many deletions and then no more."""

    root: Path
    left: int
    error: Callable[[], Exception] = PowerCutError

    def __post_init__(self) -> None:
        super().__init__(self.root)

    def delete(self, key: str) -> None:
        if key.startswith("runs/"):
            self.left -= 1
            if self.left < 0:
                raise self.error()
        super().delete(key)


def again(output: Kept, run_id: str, spec: str) -> StageContext:
    place = {"uri": f"file://{output.root}/output", "keepRuns": output.keep}
    return output.context(run_id, spec, "", {"output": place})


@pytest.mark.parametrize("deletions", range(16))
def test_wherever_a_removal_breaks_off_no_run_looks_whole_and_the_next_goes_on(
    output_of_four: Kept, deletions: int
) -> None:
    output = output_of_four
    request = again(output, output.made[-1], "d").request
    store = Failing(output.root / "output", deletions)
    with pytest.raises(PowerCutError):
        prune(Housekeeping(store, request, frozenset(), "2026-12-01T00:00:00Z"))
    gone = [run_id for run_id in output.made if not has_manifest(output, run_id)]
    assert gone == (output.made[:1] if deletions else [])
    for run_id in gone:
        assert not find_finished(output.store, run_id, request).trained
    assert read_history(output.store).runs
    assert output.pruned(output.made[-1], "d") == ""
    assert output.whole() == set(output.made[-2:])
    assert verify(output.store, inventory(output.store), whole=True).findings == []


def has_manifest(output: Kept, run_id: str) -> bool:
    return output.store.exists(layout.manifest(run_id))


def test_what_goes_wrong_is_a_note_and_no_failure_of_the_judgement(
    output_of_four: Kept, caplog
) -> None:
    output, made = output_of_four, output_of_four.made

    def refuse() -> Exception:
        return StageError(FailureClass.ACCESS_DENIED, "runs/: permission denied")

    ctx = again(output, made[-1], "d")
    result = judge(replace(ctx, store=Failing(output.root / "output", 0, refuse)))
    assert result.outcome.verdict == "Inconclusive"
    assert result.outcome.failure is None
    told = "Older runs could not be removed (spec.output.keepRuns): runs/: permission denied"
    assert result.details.evaluation.notes[-1] == told
    assert "permission denied" in caplog.text
    assert output.whole() == set(made)


def test_a_run_that_the_pointer_comes_to_meanwhile_stays(output_of_four: Kept) -> None:
    """A judge that was held up may not remove what another has put in use since."""
    output, made = output_of_four, output_of_four.made
    ctx = again(output, made[-1], "d")

    class Moving(FileStore):
        def list(self, prefix: str) -> Any:
            found = list(super().list(prefix))
            if prefix == "runs/":
                candidate = usable_run(output.store, made[0], output.root, time="2026-12-01")
                pointer.move(output.store, candidate, pointer.read(output.store), by="Pin")
            return iter(found)

    judge(replace(ctx, store=Moving(output.root / "output")))
    assert made[0] in output.whole()


def test_where_nothing_is_removed_one_listing_is_all_it_costs(output_of_four: Kept) -> None:
    output, made = replace(output_of_four, keep=9), output_of_four.made
    asked: list[str] = []

    class Counting(FileStore):
        def list(self, prefix: str) -> Any:
            asked.append(f"list {prefix}")
            return super().list(prefix)

        def delete(self, key: str) -> None:
            asked.append(f"delete {key}")
            super().delete(key)

    judge(replace(again(output, made[-1], "d"), store=Counting(output.root / "output")))
    assert asked == ["list runs/"]
