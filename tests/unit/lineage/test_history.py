"""The runs of an output, told in order with what made each."""

import json

import pytest
from builders.outputs import COMMIT, IMAGE, AnOutput, better, digest

from trainer.contract.failures import FailureClass
from trainer.contract.lineage import Cause, History, HistoryRun
from trainer.contract.verdict import Verdict
from trainer.errors import StageError
from trainer.lineage.history import read_history


@pytest.fixture
def output(tmp_path) -> AnOutput:
    return AnOutput(tmp_path)


def history(output: AnOutput) -> History:
    return read_history(output.store)


def only(output: AnOutput) -> HistoryRun:
    [run] = history(output).runs
    return run


def test_a_run_is_told_whole(output):
    run_id = output.run(better(20, 50))
    run = only(output)
    assert (run.id, run.number, run.state) == (run_id, 1, "Judged")
    assert run.created == run.judged == "2026-11-20T08:00:00Z"
    assert run.causes == [Cause.FIRST]
    assert run.base is not None
    assert run.base.content_digest == digest("base one")
    assert run.base.architecture == "LlamaForCausalLM"
    assert (run.verdict, run.promoted) == (Verdict.PROMOTE, True)
    assert {arm.name: round(arm.score, 3) for arm in run.arms} == {
        "ZeroShot": 0.333,
        "Tuned": 0.833,
    }
    assert run.hardest is not None
    assert (run.hardest.arm, run.hardest.delta) == ("ZeroShot", pytest.approx(0.5))
    assert run.cost is not None
    assert (run.git_commit, run.image) == (COMMIT, IMAGE)
    assert [move.sequence for move in run.moves] == [1]


@pytest.mark.parametrize(
    ("second", "causes"),
    [
        pytest.param({"spec": "spec two"}, [Cause.SPEC], id="another spec"),
        pytest.param({"base": "base two"}, [Cause.BASE], id="a base that moved"),
        pytest.param({"rerun": "again"}, [Cause.RERUN], id="a rerun"),
        pytest.param({"test": "other"}, [Cause.DATA], id="other data"),
        pytest.param(
            {"spec": "spec two", "base": "base two"}, [Cause.SPEC, Cause.BASE], id="two at once"
        ),
    ],
)
def test_why_a_run_was_made_is_what_differs_from_the_one_before(output, second, causes):
    output.run()
    output.run(**second)
    assert [run.causes for run in history(output).runs] == [[Cause.FIRST], causes]


def test_runs_come_in_the_order_of_their_training_whatever_their_ids(output):
    made = [output.run(base=f"base {number}", judged=False) for number in range(6)]
    assert [run.id for run in history(output).runs] == made


def test_a_run_against_the_promoted_one_is_compared_with_it(output):
    first = output.run(better(20, 50))
    output.run(better(20, 10), base="base two")
    told = history(output)
    before, after = told.runs
    assert after.verdict is Verdict.REJECT
    assert after.against_promoted is not None
    assert after.against_promoted.delta < 0
    assert (before.promoted, after.promoted, told.promoted_run_id) == (True, False, first)


def test_the_moves_of_the_pointer_are_told_with_their_runs(output):
    first, second = output.run(better(20, 40)), output.run(better(20, 58), spec="spec two")
    pointer = json.loads(output.store.read("promoted.json"))
    moves = [
        {"sequence": number, "runId": run_id, "time": f"2026-11-2{number}T09:00:00Z", "by": by}
        for number, run_id, by in ((1, first, "Policy"), (2, second, "Policy"), (3, first, "Pin"))
    ]
    back = pointer | {"runId": first, "sequence": 3, "moves": moves, "later": {}}
    output.store.write("promoted.json", json.dumps(back).encode())
    told = history(output)
    assert [(move.run_id, move.by) for move in told.moves] == [
        (first, "Policy"),
        (second, "Policy"),
        (first, "Pin"),
    ]
    assert [len(run.moves) for run in told.runs] == [2, 1]
    assert [run.promoted for run in told.runs] == [True, False]


def test_numbers_that_tell_no_runs_apart_are_left_out(output):
    for base in ("base one", "base two"):
        run_id = output.run(base=base, judged=False)
        key = f"runs/{run_id}/manifest.json"
        manifest = json.loads(output.store.read(key))
        manifest["lineage"]["run"] = 1
        output.store.write(key, json.dumps(manifest).encode())
    assert [run.number for run in history(output).runs] == [None, None]


def test_a_run_that_broke_off_comes_last_and_says_how_far_it_came(output):
    output.run()
    begun = output.begun()
    last = history(output).runs[-1]
    assert (last.id, last.state, last.number, last.verdict) == (begun, "Begun", 9, None)


def test_an_older_releases_runs_are_told_with_what_they_left(output):
    output.run(recorded=False)
    output.run(recorded=False, base="base two")
    first, second = history(output).runs
    assert (first.created, second.causes) == ("2026-11-20T08:00:00Z", [Cause.BASE])
    assert (first.git_commit, first.identity_hash) == ("", "")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("manifest.json", b"{", id="cut JSON"),
        pytest.param("manifest.json", b'{"secret": "hush"}', id="another document"),
        pytest.param("prepared/plan.json", b"\x80", id="no text"),
    ],
)
def test_a_damaged_file_is_told_without_its_content_and_the_rest_is_there(output, name, data):
    damaged, whole = output.run(), output.run(base="base two")
    output.store.write(f"runs/{damaged}/{name}", data)
    told = {run.id: run for run in history(output).runs}
    [problem] = told[damaged].problems
    assert problem.startswith(f"runs/{damaged}/{name}: is not ")
    assert "hush" not in problem
    assert told[whole].problems == []


def test_a_damaged_pointer_or_ledger_is_a_problem_and_no_end(output):
    output.run()
    for name in ("promoted.json", "test-ledger.json"):
        output.store.write(name, b"{")
    told = history(output)
    assert [problem.partition(":")[0] for problem in told.problems] == [
        "promoted.json",
        "test-ledger.json",
    ]
    assert told.promoted_run_id == ""


def test_no_output_is_said_to_be_none(output):
    with pytest.raises(StageError, match="is no output of a job") as raised:
        history(output)
    assert raised.value.failure is FailureClass.NOT_FOUND


def test_an_output_before_its_first_run_names_its_job(output):
    output.store.write("owner.json", b'{"namespace": "ml", "name": "demo"}')
    with pytest.raises(StageError, match="has no run yet; it belongs to job ml/demo"):
        history(output)


def test_thousands_of_runs_are_read_whole(output):
    for number in range(3000):
        claim = json.dumps({"epoch": 1, "run": number + 1}).encode()
        output.store._root.mkdir(parents=True, exist_ok=True)  # noqa: SLF001 - no fsync per file
        folder = output.root / "output" / "runs" / f"{number:016x}"
        folder.mkdir(parents=True)
        (folder / "claim.json").write_bytes(claim)
    told = history(output)
    assert len(told.runs) == 3000
    assert [run.number for run in told.runs] == list(range(1, 3001))
