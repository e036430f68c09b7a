"""`make demo-retrain` tells its story to the end; what it claims on the way it checks itself."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORY = ROOT / "examples" / "retrain" / "story.py"
CLAIMS = (
    "the new adapter is in use",
    "nothing was trained, nothing has moved",
    "the worse adapter is not promoted",
    "the first adapter is in use again",
)


def test_a_base_model_moves_and_the_story_ends_with_its_history(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "tests"),
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
    }
    told = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(STORY), str(tmp_path / "demo")],
        env=environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert [claim for claim in CLAIMS if claim not in told.stdout] == []
    assert "Promotion 3" in told.stdout
    assert "by a pin" in (tmp_path / "demo" / "history.html").read_text()
