"""Of two attempts at once only the newer one publishes, and nothing is left to go on from."""

import pytest
from builders.requests import a_request
from builders.staged import Line
from builders.training import RUN, a_binding, a_plan

from trainer.contract.failures import FailureClass
from trainer.contract.request import Stage
from trainer.errors import FencedError, StageError
from trainer.store import layout
from trainer.store.fence import Claim, take_claim
from trainer.store.file import FileStore
from trainer.train.publish import Publication

KEY = layout.manifest(RUN)


class Crowded(FileStore):
    """Something happens between an attempt's look at the claim and its write of the manifest."""

    happens = staticmethod(lambda: None)

    def write(self, key, data, **condition):
        if key == KEY:
            self.happens()
        return super().write(key, data, **condition)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "output").mkdir()
    return Crowded(tmp_path / "output")


def a_claim(store, root) -> Claim:
    return take_claim(store, RUN, a_request(root, Stage.TRAIN, run_id=RUN), pod_uid="pod")


def publication(store, root, claim) -> Publication:
    request = a_request(root, Stage.TRAIN, run_id=RUN)
    return Publication(store, claim, request, a_plan(), root)


def vouch(store, root, claim, who):
    publication(store, root, claim).vouch(KEY, a_binding(source=who))


def test_an_attempt_that_was_passed_does_not_publish(store, tmp_path):
    old, _ = a_claim(store, tmp_path), a_claim(store, tmp_path)
    with pytest.raises(FencedError, match="epoch 2 passed epoch 1"):
        vouch(store, tmp_path, old, "old")
    assert not store.exists(KEY)


def test_one_that_is_passed_at_the_last_moment_learns_that_it_was(store, tmp_path):
    old = a_claim(store, tmp_path)

    def passed():
        store.happens = lambda: None
        vouch(store, tmp_path, a_claim(store, tmp_path), "new")

    store.happens = passed
    with pytest.raises(FencedError):
        vouch(store, tmp_path, old, "old")
    assert b'"new"' in store.read(KEY)


def test_the_newer_one_goes_on_from_what_an_older_one_published_just_before(store, tmp_path):
    vouch(store, tmp_path, a_claim(store, tmp_path), "old")
    new = a_claim(store, tmp_path)
    with pytest.raises(StageError, match="run again") as caught:
        vouch(store, tmp_path, new, "new")
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert b'"old"' in store.read(KEY)


def test_checkpoints_that_outlived_their_publisher_are_removed_by_the_next_attempt(tmp_path):
    line = Line(tmp_path)
    line.prepared()
    line.trained()
    left = layout.epoch(line.run_id, 1, "checkpoints/step-00000001/manifest.json")
    line.store.write(left, b"{}")
    line.trained()
    assert not line.store.exists(left)
