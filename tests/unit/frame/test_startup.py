"""What starts often, or has to be there soon, imports nothing that it does not need at once.

``make bench-startup`` has the seconds; they depend on the machine, these names do not.
"""

import subprocess
import sys

import pytest

HEAVY = {"torch", "peft", "transformers", "scipy", "pandas", "rich", "jinja2", "huggingface_hub"}
STORES = {"boto3", "botocore", "dulwich"}
ARRAYS = {"numpy", "pyarrow"}


def imported_by(module: str) -> set[str]:
    """The packages that are there after an import."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-P", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return set(ended.stdout.split())


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        pytest.param("controller.__main__", HEAVY | STORES | ARRAYS, id="the controller"),
        pytest.param("trainer.__main__", HEAVY | STORES | ARRAYS, id="every stage"),
        pytest.param("trainer.data.stage", HEAVY | STORES, id="prepare"),
        pytest.param("trainer.follow.command", HEAVY | STORES | ARRAYS, id="follow"),
    ],
)
def test_what_is_not_needed_at_once_is_not_imported(module, spared):
    assert imported_by(module) & spared == set()
