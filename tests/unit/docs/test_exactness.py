"""docs/exactness.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_test_that_the_page_names_exists():
    page = (ROOT / "docs/exactness.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", page)
    code = "\n".join(path.read_text() for path in (ROOT / "tests/unit").rglob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in code] == []
    assert len(named) == len(set(named)) > 40
