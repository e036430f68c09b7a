"""``python -m trainer resolve`` as a process: request in, two lines and an exit code out."""

import os
import subprocess
import sys

import pytest
from builders.edits import a_repository
from builders.errands import a_resolve, errand_environment, read_last_word
from builders.sources import Asker

from trainer.contract.errand import Cause
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.sources.look import LOOKS

REPO = "acme/tiny"

SMALL_IMAGE = """
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
code = main(["resolve"])
slow = {"torch", "peft", "transformers", "scipy", "pyarrow", "numpy"} & set(sys.modules)
assert not slow, slow
sys.exit(code)
"""


@pytest.fixture
def resolve(tmp_path, hub):
    """Runs the errand in a process of its own; returns exit code and both lines."""

    def resolve(*command, **fields):
        environment = os.environ | errand_environment(tmp_path, a_resolve(**fields))
        environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        command = command or ("-m", "trainer", "resolve")
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, *command], env=environment, capture_output=True, check=False
        )
        assert (tmp_path / "outcome").exists(), done.stderr.decode()
        return done.returncode, *read_last_word(tmp_path)

    return resolve


def test_a_look_tells_the_revision_that_preparing_finds(tmp_path, hub, files, resolve):
    sha = hub.commit(REPO, a_repository(files))
    code, outcome, details = resolve()
    assert (code, outcome.failure, outcome.uid, outcome.number) == (0, None, "uid-1", 3)
    model = Asker(tmp_path, {"huggingFace": {"repo": REPO}})(weights=False)
    assert (outcome.found.revision, outcome.found.content_digest) == (sha, model.content_digest)
    hub.commit(REPO, a_repository(files) | {"README.md": b"# new"})
    hub.seen.clear()
    code, again, _ = resolve(known=outcome.found, memo=details.memo)
    assert again.found.revision != sha
    assert again.found.content_digest == model.content_digest
    assert len(hub.seen) == 1


def test_it_runs_in_the_small_image_and_imports_nothing_slow(hub, files, resolve):
    hub.commit(REPO, files)
    assert resolve("-c", SMALL_IMAGE)[0] == 0


def test_a_rate_limit_reaches_the_outcome(hub, files, resolve):
    hub.commit(REPO, files)
    hub.limited_s = 55
    code, outcome, _ = resolve()
    assert code == EXIT_CODES[FailureClass.UNAVAILABLE]
    assert (outcome.cause, outcome.retry_after_seconds) == (Cause.RATE_LIMITED, 55)


def test_messages_name_the_fields_of_a_base_model(resolve):
    code, outcome, _ = resolve()
    assert code == EXIT_CODES[FailureClass.NOT_FOUND]
    assert "spec.source.huggingFace" in outcome.message
    assert "spec.baseModel" not in outcome.message


def test_a_memo_of_a_stranger_does_no_harm(hub, files, resolve):
    hub.commit(REPO, files)
    _, first, _ = resolve()
    code, outcome, details = resolve(memo="1" + "é" * 2000)
    assert (code, outcome.found) == (0, first.found)
    assert details.memo.startswith("1")


def test_no_source_is_a_mistake_of_the_spec(resolve):
    code, outcome, _ = resolve(source={})
    assert code == EXIT_CODES[FailureClass.INVALID_SPEC]
    assert "spec.source: there is no source" in outcome.message


def test_every_kind_of_source_is_looked_at():
    assert set(LOOKS) == {"hugging_face", "git", "s3", "directory"}
