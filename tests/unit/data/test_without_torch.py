"""Prepare lives in an image without torch."""

import json
import subprocess
import sys

from builders.preparing import (
    preparing,
    rows,
    write_jsonl,
)

WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

class Hidden(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "peft"):
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path = [Hidden if one is PathFinder else one for one in sys.meta_path]
from trainer.__main__ import main
code = main(["prepare"])
assert not {"torch", "peft"} & set(sys.modules)
sys.exit(code)
"""


def test_prepare_works_where_torch_cannot_be_imported(root):
    write_jsonl(root / "train.jsonl", rows(200))
    environ = {
        "TUNEKEEPER_REQUEST": preparing(root).model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(root / "outcome"),
        "TUNEKEEPER_LISTEN": "127.0.0.1:0",
        "TUNEKEEPER_WORK": str(root / "work"),
        "TUNEKEEPER_CACHE": str(root / "cache"),
        "TUNEKEEPER_FILE_ROOT": str(root),
        "PATH": "",
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", WITHOUT_TORCH], env=environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads((root / "outcome").read_text().splitlines()[0])["runId"]
