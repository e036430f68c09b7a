"""The example on the grader's page is the one that ships, and does what the page shows."""

import json
import re
from pathlib import Path

from builders.graders import a_grader, program

from trainer.arms.grader import KEPT_ENVIRONMENT, Grade, Question, read_grades

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/grader.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "examples/grader/grade.py"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def shown() -> tuple[list[Question], dict[str, Grade]]:
    """What the page says goes in and comes out."""
    given, said = blocks("json")
    asked = [json.loads(line) for line in given.splitlines()]
    questions = [Question(a["id"], a["prompt"], *a["references"], a["answer"]) for a in asked]
    assert [question.line() for question in questions] == given.splitlines(keepends=True)
    return questions, read_grades(said.encode(), {question.id for question in questions})


def test_the_example_of_the_page_is_the_one_that_ships():
    assert blocks("python") == [SCRIPT.read_text(encoding="utf-8")]


def test_the_example_says_what_the_page_shows(tmp_path):
    questions, grades = shown()
    grader = a_grader(tmp_path, command=[*program()[:-2], str(SCRIPT)])
    assert grader.grade(questions) == [grades[question.id] for question in questions]


def test_the_page_names_what_is_left_of_the_environment():
    kept = {"PATH", "TZ", "LD_LIBRARY_PATH", "OMP_NUM_THREADS"}
    rest = ("LANG", "LC_", "CUDA_", "NVIDIA_")  # the locale, the GPUs' names
    assert {name for name in KEPT_ENVIRONMENT if not name.startswith(rest)} == kept
    assert all(f"`{name}`" in PAGE for name in kept)
