"""A later release of the operator, made from this one.

It has one more field with a default, and another default of a field that decides about no run.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from faults.replica import ROOT

FIELD, VALUE = "spread", 7
EDITS = (
    (
        "trainer/contract/spec.py",
        "    rank: int = Field(default=16,",
        f'    {FIELD}: int = Field(default={VALUE}, ge=0, le=99, description="New.")\n',
    ),
    ("controller/api/classes.py", "lora.rank lora.alpha", f"lora.{FIELD} "),
)
LIMIT = "history_limit: int = Field(\n        default="
DEFAULT = ("10", "12")


def made_release(folder: Path) -> Path:
    """The root of its code, with its CRDs in ``manifests/crd``."""
    root = folder / "next-release"
    if root.exists():
        return root
    for package in ("controller", "trainer"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, root / package, ignore=ignored)
    for name, before, added in EDITS:
        insert(root / name, before, added)
    spec = root / "controller/api/finetunejob.py"
    change(spec, LIMIT + DEFAULT[0], LIMIT + DEFAULT[1])
    subprocess.run(
        [sys.executable, "-P", "-m", "controller.api.generate"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return root


def insert(path: Path, before: str, added: str) -> None:
    """Text before the one place where that stands."""
    change(path, before, added + before)


def change(path: Path, old: str, new: str) -> None:
    """One text for another, in its one place."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path}: {old!r} stands there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
