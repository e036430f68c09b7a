"""One owner of an output, one newest attempt of a run."""

import json

import pytest
from builders.requests import a_request

from trainer.contract.failures import FailureClass
from trainer.contract.request import JobIdentity
from trainer.errors import FencedError, StageError
from trainer.store import layout
from trainer.store.fence import probe_conditional_writes, take_claim, take_owner
from trainer.store.file import FileStore

RUN = "a" * 16


@pytest.fixture
def store(tmp_path):
    return FileStore((tmp_path / "output").resolve())


def a_job(name="demo", uid="uid-1"):
    return JobIdentity(namespace="ml", name=name, uid=uid)


def test_a_job_created_again_finds_its_own_output(store):
    take_owner(store, a_job(uid="uid-1"))
    take_owner(store, a_job(uid="uid-2"))


def test_another_jobs_output_is_refused_and_named(store):
    take_owner(store, a_job())
    with pytest.raises(StageError, match="belongs to job ml/demo") as caught:
        take_owner(store, a_job("other"))
    assert caught.value.failure is FailureClass.OUTPUT_IN_USE
    assert json.loads(store.read(layout.OWNER))["name"] == "demo"


def test_a_later_attempt_fences_off_the_earlier(store, tmp_path):
    request = a_request(tmp_path)
    first = take_claim(store, RUN, request, pod_uid="pod-1")
    first.check()
    second = take_claim(store, RUN, request, pod_uid="pod-2")
    second.check()
    assert (first.epoch, second.epoch) == (1, 2)
    with pytest.raises(FencedError, match="epoch 2 passed epoch 1"):
        first.check()


def test_a_claim_that_was_removed_is_nobodys(store, tmp_path):
    claim = take_claim(store, RUN, a_request(tmp_path), pod_uid="pod-1")
    store.delete(layout.claim(RUN))
    with pytest.raises(FencedError, match="is gone"):
        claim.check()


def test_rubbish_in_place_of_a_claim_is_the_users_to_move(store, tmp_path):
    store.write(layout.claim(RUN), b"rubbish")
    with pytest.raises(StageError, match="move it away"):
        take_claim(store, RUN, a_request(tmp_path), pod_uid="pod-1")


def test_a_store_with_conditional_writes_passes_and_keeps_nothing_of_the_probe(store):
    probe_conditional_writes(store)
    assert list(store.list("")) == []


class Careless(FileStore):
    """A store that takes every write, as some object stores do."""

    def __init__(self, root, ignored):
        super().__init__(root)
        self.ignored = ignored

    def write(self, key, data, **conditions):
        return super().write(key, data, **(conditions | {self.ignored: None}))


@pytest.mark.parametrize("ignored", ["if_none_match", "if_match"])
def test_a_store_that_ignores_a_condition_is_refused(tmp_path, ignored):
    careless = Careless((tmp_path / "output").resolve(), ignored)
    with pytest.raises(StageError, match="use a store with conditional writes") as caught:
        probe_conditional_writes(careless)
    assert caught.value.failure is FailureClass.CONDITIONAL_WRITES_UNSUPPORTED
