"""Graders in a line or two of Python, good and bad, and what they are asked."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from trainer.arms.grader import Grader, Question

READ = """
import json, os, sys, time
asked = [json.loads(line) for line in sys.stdin]
def say(**grade): print(json.dumps(grade))
"""
EXACT = 'for a in asked: say(id=a["id"], score=float(a["answer"] in a["references"]))'
"""1 for the reference, 0 for anything else."""


def program(*lines: str, reads: bool = True) -> list[str]:
    """A command; -S and -I because it needs no packages and starts sooner without."""
    return [sys.executable, "-I", "-S", "-c", "\n".join([READ if reads else "", *lines])]


def a_grader(
    work: Path,
    *lines: str,
    command: Sequence[str] = (),
    limit_s: float = 60,
    stop: threading.Event | None = None,
    **environ: str,
) -> Grader:
    """A grader that does as the lines say."""
    return Grader(
        command=command or program(*(lines or (EXACT,))),
        work=work / "grader",
        limit_s=limit_s,
        stop=stop or threading.Event(),
        environ={"PATH": "/usr/bin:/bin", **environ},
    )


def questions(*answers: str, reference: str = "w7") -> list[Question]:
    """One for each answer, named q0, q1, ..."""
    prompt = [{"role": "user", "content": "tell"}]
    return [
        Question(f"q{number}", prompt, reference, answer) for number, answer in enumerate(answers)
    ]
