"""What output.keepRuns removes from a real bucket, by how many requests, and when that fails."""

from dataclasses import replace
from uuid import uuid4

import pytest
from builders.outputs import AnOutput, better
from cluster.s3faults import Faults, faults_before
from cluster.s3server import Identity, S3Server, s3_server

from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.judge.stage import judge
from trainer.lineage.history import read_history
from trainer.lineage.target import inventory
from trainer.lineage.verify import verify
from trainer.stage import StageContext
from trainer.store.base import Store
from trainer.store.s3 import open_s3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def ada(server: S3Server) -> Identity:
    ada = server.user("ada")
    server.bucket("kept", ada)
    return ada


@pytest.fixture
def faults(server):
    with faults_before(server.host) as faults:
        yield faults


@pytest.fixture
def store(faults, ada, monkeypatch) -> Store:
    for name, value in ada.environ().items():
        monkeypatch.setenv(name, value)
    storage = Storage(endpoint=faults.url, path_style=True)
    return open_s3(f"s3://kept/{uuid4().hex}/out", storage)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> AnOutput:
    """Four runs, none of them promoted."""
    output = AnOutput(tmp_path_factory.mktemp("made"))
    for spec in "abcd":
        output.run(better(20, 20), spec=spec)
    return output


def last_judge(made: AnOutput, store: Store, keep: int) -> StageContext:
    """The judge of the newest run, after the output was copied into the bucket."""
    root = made.root / "output"
    for path in sorted(each for each in root.rglob("*.*") if each.is_file()):
        store.upload(path, path.relative_to(root).as_posix())
    place = {"uri": f"file://{root}", "keepRuns": keep}
    return replace(made.context(made.made[-1], "d", "", {"output": place}), store=store)


def posts(faults: Faults) -> int:
    return sum(seen.startswith("POST") for seen in faults.seen)


def test_the_oldest_runs_go_and_their_stones_tell_of_them(made, store, faults) -> None:
    ctx = last_judge(made, store, keep=2)
    faults.forget()
    assert judge(ctx).outcome.verdict == "Inconclusive"
    assert posts(faults) == 2  # one for each run, whatever it holds
    history = read_history(store)
    assert [(run.id, run.state) for run in history.runs] == [
        *((run_id, "Removed") for run_id in made.made[:2]),
        *((run_id, "Judged") for run_id in made.made[2:]),
    ]
    assert verify(store, inventory(store), whole=True).findings == []
    assert all(list(inventory(store)[run_id]) == ["removed.json"] for run_id in made.made[:2])
    faults.forget()
    judge(ctx)
    assert posts(faults) == 0


def test_a_bucket_that_keeps_what_it_is_told_to_delete_fails_no_judgement(
    made, store, faults
) -> None:
    ctx = last_judge(made, store, keep=3)
    faults.then("kept", method="POST")
    result = judge(ctx)
    assert (result.outcome.verdict, result.outcome.failure) == ("Inconclusive", None)
    note = result.details.evaluation.notes[-1]
    assert "spec.output.keepRuns" in note
    assert "(AccessDenied)" in note
    assert "secret-looking" not in note
    judge(ctx)  # the next one ends what was begun
    assert list(inventory(store)[made.made[0]]) == ["removed.json"]


def test_a_service_that_deletes_one_at_a_time_is_asked_so(store, faults) -> None:
    for key in ("a", "b"):
        store.write(key, b"1")
    faults.then("not implemented", method="POST")
    store.delete_all(["a", "b", "never-there"])
    assert list(store.list("")) == []


def test_what_is_still_there_is_told(store, faults) -> None:
    faults.then("kept", method="POST")
    with pytest.raises(StageError, match=r"1 objects could not be deleted") as caught:
        store.delete_all(["a"])
    assert caught.value.failure is FailureClass.ACCESS_DENIED


def test_many_keys_go_by_few_requests(store, server, ada, faults) -> None:
    prefix = store.uri.removeprefix("s3://kept/")
    client = server.client(ada)
    keys = [f"runs/a/{number}" for number in range(1001)]
    for key in keys:
        client.put_object(Bucket="kept", Key=f"{prefix}/{key}", Body=b"")
    faults.forget()
    store.delete_all(iter(keys))
    assert list(store.list("")) == []
    assert posts(faults) == 2


def test_a_listing_says_when_an_object_was_written(store) -> None:
    store.write("a", b"1")
    (entry,) = store.list("")
    assert entry.modified is not None
    assert entry.modified.tzinfo is not None
