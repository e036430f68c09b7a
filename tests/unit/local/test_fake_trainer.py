"""The fake trainer is a program of its own, whatever lies beside it."""

import shutil
import subprocess
from pathlib import Path

from builders.job_files import fake_command


def test_a_file_beside_it_does_not_pass_for_a_module_of_the_standard_library(
    tmp_path: Path,
) -> None:
    *python, program = fake_command()
    copy = shutil.copy(program, tmp_path)
    (tmp_path / "operator.py").write_text("raise RuntimeError('not the real one')\n")
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [*python, copy, "report", "nothing"], capture_output=True, text=True, check=False
    )
    assert "has no report" in ended.stderr
    assert ended.returncode == 15
