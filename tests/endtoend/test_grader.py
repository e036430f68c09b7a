"""A job that a program grades: broken once, mended, asked for nothing twice; then another one."""

import json
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from builders.whole_run import Desk, Ended

GRADER = """
import json, os, sys

calls, broken = sys.argv[1:3]
asked = [json.loads(line) for line in sys.stdin]
with open(calls, "a") as file:
    file.write(json.dumps({"environ": sorted(os.environ), "asked": asked}) + "\\n")
if os.path.exists(broken) and sum(1 for _ in open(calls)) == int(open(broken).read()):
    sys.exit("cannot grade " + asked[0]["answer"])
for one in asked:
    both = one["answer"], one["references"][0]
    score = len(os.path.commonprefix(both)) / max(1, *map(len, both))
    print(json.dumps({"id": one["id"], "score": score, "flags": ["whole"] if score == 1 else []}))
"""
SAMPLED, FREE, ASKED = 2, 2, 3
"""Calls before the tuned model's: the sample twice, the arms without a model, those with one."""
TUNED_CALL = SAMPLED + FREE + ASKED + 1
SECRETS = {"AWS_SECRET_ACCESS_KEY": "s", "AWS_ACCESS_KEY_ID": "a", "HF_TOKEN": "t"}


def score(answer: str, reference: str) -> float:
    """As the grader does."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(answer, reference, strict=False))
    return sum(1 for _ in same) / max(1, len(answer), len(reference))


class Graded:
    """A desk, its grader's memory, and what was said."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        (desk.root / "grade.py").write_text(GRADER)
        self.ask()

    def ask(self, *more: str) -> None:
        """Name the grader in the job."""
        command = [sys.executable, "./grade.py", "./calls.jsonl", "./broken", *more]
        grading = {"metric": "Grader", "grader": {"command": command}}
        self.desk.write_job(training={"epochs": 1}, evaluation=grading)

    def break_at(self, call: int) -> None:
        (self.desk.root / "broken").write_text(str(call))

    def mend(self) -> None:
        (self.desk.root / "broken").unlink()

    def run(self) -> Ended:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in SECRETS.items():
                patch.setenv(name, value)
            return self.desk.tunekeeper("run", "job.yaml")

    @property
    def calls(self) -> list[dict[str, Any]]:
        lines = (self.desk.root / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def answers(self) -> list[dict[str, Any]]:
        """The published ones, of the newest settings."""
        paths = self.desk.output.glob("runs/*/e*/answers/*/answers.jsonl")
        newest = max(paths, key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(line) for line in newest.read_text().splitlines()]


@pytest.fixture(scope="module")
def graded(tmp_path_factory, bytecode: Path, tiny_base: Path) -> Graded:
    desk = Desk(tmp_path_factory.mktemp("graded"), bytecode)
    return Graded(desk.laid_out(tiny_base, shared=True))


@pytest.fixture(scope="module")
def runs(graded: Graded) -> tuple[Ended, Ended]:
    """The grader fails at the tuned model's answers; then it is mended."""
    graded.break_at(TUNED_CALL)
    broken = graded.run()
    graded.mend()
    return broken, graded.run()


def test_a_grader_that_fails_ends_the_run_and_the_message_says_where_the_log_is(
    graded: Graded, runs: tuple[Ended, Ended]
) -> None:
    broken, _ = runs
    assert broken.returncode == 2, broken.stderr
    assert "spec.evaluation.grader: the grader exited with 1" in broken.stderr
    assert "cannot grade" not in broken.stderr
    log = Path(broken.stderr.rpartition("log: ")[2].strip())
    assert "cannot grade" in log.read_text()
    assert (graded.desk.output / "promoted.json").exists() is (runs[1].returncode == 0)


def test_the_next_run_grades_what_is_left_and_trains_nothing(
    graded: Graded, runs: tuple[Ended, Ended]
) -> None:
    _, mended = runs
    assert mended.returncode == 0, mended.stderr
    assert "  training" not in mended.stderr
    asked = graded.calls[: TUNED_CALL + 2]
    sizes = [len(call["asked"]) for call in asked]
    rows = sizes[SAMPLED]
    assert sizes == [16, 16, *[rows] * (FREE + ASKED), rows, 16, rows]
    assert asked[TUNED_CALL - 1] == asked[TUNED_CALL + 1]  # the tuned answers themselves were kept


def test_the_published_scores_are_the_graders(graded: Graded, runs: tuple[Ended, Ended]) -> None:
    assert runs[1].returncode == 0
    references = {one["id"]: one["references"][0] for call in graded.calls for one in call["asked"]}
    answers = graded.answers()
    assert {one["arm"] for one in answers} >= {"Tuned", "ZeroShot", "NearestRow"}
    for one in answers:
        assert one["score"] == score(one["answer"], references[one["id"]])
        assert one.get("flags", []) == (["whole"] if one["score"] == 1 else [])


def test_graded_scores_are_judged_as_such_and_flags_are_told(
    graded: Graded, runs: tuple[Ended, Ended]
) -> None:
    assert runs[1].returncode == 0
    verdict = graded.desk.documents("runs/*/evaluations/*/verdict.json")[0]
    assert verdict["metric"] == "Grader"
    methods = {one["method"] for one in verdict["comparisons"]}
    assert methods
    assert "Tango" not in methods
    [told] = [note for note in verdict["notes"] if note.startswith("The grader flagged")]
    whole = [one["arm"] for one in graded.answers() if one["score"] == 1]
    assert f"NearestRow {whole.count('NearestRow')}" in told


def test_it_is_told_no_arm_and_given_no_credentials(
    graded: Graded, runs: tuple[Ended, Ended]
) -> None:
    assert runs[1].returncode == 0
    for call in graded.calls:
        assert not {
            name for name in call["environ"] if name.startswith(("AWS", "HF_", "TUNEKEEPER"))
        }
        assert all(set(one) == {"id", "prompt", "references", "answer"} for one in call["asked"])
        assert [one["id"] for one in call["asked"]] == [
            one["id"] for one in graded.calls[0 if len(call["asked"]) == 16 else SAMPLED]["asked"]
        ]


def test_another_command_answers_and_grades_anew_and_trains_nothing(
    graded: Graded, runs: tuple[Ended, Ended]
) -> None:
    assert runs[1].returncode == 0
    (manifest,) = graded.desk.output.glob("runs/*/manifest.json")
    before, count = manifest.read_bytes(), len(graded.calls)
    graded.ask("--version=2")
    again = graded.run()
    assert again.returncode == 0, again.stderr
    assert "  training" not in again.stderr
    assert manifest.read_bytes() == before
    assert len(graded.calls) == count + TUNED_CALL
    assert len(graded.desk.documents("runs/*/generations/*.json")) == 2


def test_a_grader_that_cannot_work_ends_the_run_before_any_answer_is_given(desk: Desk) -> None:
    graded = Graded(desk)
    graded.break_at(1)
    ended = graded.run()
    assert ended.returncode == 2, ended.stderr
    assert "spec.evaluation.grader: the grader exited with 1" in ended.stderr
    assert len(graded.calls) == 1
    assert not list(desk.output.glob("runs/*/e*/answers"))


def test_a_grader_that_is_not_on_this_machine_is_refused_before_anything_runs(desk: Desk) -> None:
    desk.write_job(evaluation={"metric": "Grader", "grader": {"command": ["/opt/graders/grade"]}})
    ended = desk.tunekeeper("run", "job.yaml")
    assert ended.returncode == 2
    assert "spec.evaluation.grader.command: names /opt/graders/grade" in ended.stderr
    assert desk.stages() == []
