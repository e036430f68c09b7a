"""Both kinds of store keep the same promises: the same tests over a directory and a real bucket."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from cluster.s3server import S3Server, s3_server

from trainer.contract.failures import FailureClass
from trainer.contract.request import JobIdentity
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import ConditionError, Entry, MissingError, Store
from trainer.store.fence import probe_conditional_writes, take_owner
from trainer.store.open import open_store
from trainer.store.s3transfer import PART_BYTES


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def bucket(server: S3Server) -> str:
    return server.bucket("conformance", server.user("ada"))


@pytest.fixture(params=["file", "s3"])
def store(request, tmp_path) -> Store:
    if request.param == "file":
        return open_store(f"file://{tmp_path}/output", Storage(), file_root=tmp_path)
    server, bucket = request.getfixturevalue("server"), request.getfixturevalue("bucket")
    monkeypatch = request.getfixturevalue("monkeypatch")
    for name, value in {"AWS_ACCESS_KEY_ID": "ada", "AWS_SECRET_ACCESS_KEY": "ada-secret"}.items():
        monkeypatch.setenv(name, value)
    uri = f"{bucket}/{uuid4().hex}/output/"
    return open_store(uri, Storage(endpoint=server.url), file_root=tmp_path)


def test_the_uri_has_no_slash_at_its_end(store):
    assert store.uri.endswith("/output")


def test_what_was_written_is_read(store):
    store.write("runs/a/plan.json", b"{}")
    assert store.read("runs/a/plan.json") == b"{}"
    assert store.exists("runs/a/plan.json")


def test_a_later_write_replaces_an_earlier(store):
    store.write("a", b"1")
    store.write("a", b"22")
    assert store.read("a") == b"22"


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda store, _path: store.read("a"), id="read"),
        pytest.param(lambda store, _path: store.read_tagged("a"), id="read_tagged"),
        pytest.param(lambda store, path: store.download("a", path), id="download"),
    ],
)
def test_a_key_that_is_not_there_is_missing(store, tmp_path, read):
    with pytest.raises(MissingError):
        read(store, tmp_path / "copy")
    assert not store.exists("a")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_key_is_no_key(store):
    store.write("runs/a", b"")
    assert not store.exists("runs")
    with pytest.raises(MissingError):
        store.read("runs")


def test_a_prefix_of_a_key_is_no_key(store):
    store.write("runs.json", b"")
    assert not store.exists("runs")


def test_a_first_write_happens_once(store):
    store.write("a", b"mine", if_none_match=True)
    with pytest.raises(ConditionError):
        store.write("a", b"theirs", if_none_match=True)
    assert store.read("a") == b"mine"


def test_a_first_write_of_the_same_bytes_is_refused_too(store):
    store.write("a", b"same", if_none_match=True)
    with pytest.raises(ConditionError):
        store.write("a", b"same", if_none_match=True)


def test_a_swap_needs_the_newest_tag(store):
    first = store.write("a", b"1")
    assert store.read_tagged("a") == (b"1", first)
    second = store.write("a", b"2", if_match=first)
    assert second != first
    with pytest.raises(ConditionError):
        store.write("a", b"3", if_match=first)
    assert store.read_tagged("a") == (b"2", second)


def test_a_swap_of_nothing_is_refused(store):
    tag = store.write("a", b"1")
    store.delete("a")
    with pytest.raises(ConditionError):
        store.write("a", b"2", if_match=tag)
    assert not store.exists("a")


def test_of_many_first_writers_one_wins(store):
    def write(number: int) -> bool:
        start.wait()
        try:
            store.write("a", str(number).encode(), if_none_match=True)
        except ConditionError:
            return False
        return True

    writers = 8
    start = threading.Barrier(writers)
    with ThreadPoolExecutor(writers) as pool:
        won = list(pool.map(write, range(writers)))
    assert won.count(True) == 1
    assert store.read("a") == str(won.index(True)).encode()


def test_of_many_swappers_one_wins(store):
    def swap(number: int) -> bool:
        start.wait()
        try:
            store.write("a", f"new {number}".encode(), if_match=tag)
        except ConditionError:
            return False
        return True

    writers = 8
    tag = store.write("a", b"old")
    start = threading.Barrier(writers)
    with ThreadPoolExecutor(writers) as pool:
        won = list(pool.map(swap, range(writers)))
    assert won.count(True) == 1
    assert store.read("a") == f"new {won.index(True)}".encode()


def test_keys_are_listed_below_a_prefix_in_order(store):
    for key in ("runs/b/1", "runs/a/2", "runs/a/10", "runs-old/a", "owner.json"):
        store.write(key, b"12")
    assert [entry.key for entry in store.list("runs/")] == ["runs/a/10", "runs/a/2", "runs/b/1"]
    assert list(store.list("runs/b/")) == [Entry("runs/b/1", 2)]
    assert [entry.key for entry in store.list("run")][-1] == "runs/b/1"
    assert list(store.list("none/")) == []
    assert len(list(store.list(""))) == 5


def test_more_keys_than_a_page_holds_are_listed(store):
    names = [f"parts/{number:04d}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(name, b""), names))
    assert [entry.key for entry in store.list("parts/")] == names


@pytest.mark.parametrize("key", ["a b", "größe/ü.json", "a+b%20c", "question?", "x=1&y=2"])
def test_any_name_is_a_key(store, key):
    store.write(key, b"1")
    assert store.read(key) == b"1"
    assert store.exists(key)
    assert [entry.key for entry in store.list("")] == [key]
    store.delete(key)
    assert not store.exists(key)


def test_a_key_is_deleted_any_number_of_times(store):
    store.write("a", b"1")
    store.delete("a")
    store.delete("a")
    assert not store.exists("a")


SIZES = [
    pytest.param(0, id="nothing"),
    pytest.param(10, id="one part"),
    pytest.param(PART_BYTES, id="a part exactly"),
    pytest.param(2 * PART_BYTES + 7, id="three parts"),
]


@pytest.mark.parametrize("size", SIZES)
def test_files_go_up_and_come_down_whole(store, tmp_path, size):
    source, copy, counts = tmp_path / "source", tmp_path / "to" / "copy", []
    source.write_bytes((b"0123456789abcdef" * (size // 16 + 1))[:size])
    store.upload(source, "runs/file")
    assert list(store.list("runs/")) == [Entry("runs/file", size)]
    store.download("runs/file", copy, on_bytes=counts.append)
    assert copy.read_bytes() == source.read_bytes()
    assert sum(counts) == size
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("size", SIZES)
def test_files_are_streamed_in_blocks_of_bounded_size(store, size):
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    store.write("streamed", data)
    blocks = list(store.stream("streamed"))
    assert b"".join(blocks) == data
    assert all(len(block) <= 1 << 20 for block in blocks)


def test_what_the_listener_raises_ends_the_download(store, tmp_path):
    def stop(_count: int) -> None:
        raise StageError(FailureClass.INTERRUPTED, "stopped")

    store.write("a", b"12345")
    with pytest.raises(StageError, match="stopped"):
        store.download("a", tmp_path / "copies" / "copy", on_bytes=stop)
    assert list((tmp_path / "copies").iterdir()) == []


def test_it_honours_conditions_and_keeps_nothing_of_the_probe(store):
    probe_conditional_writes(store)
    assert list(store.list("")) == []


def test_an_output_has_one_owner(store):
    mine = JobIdentity(namespace="ml", name="demo", uid="1")
    take_owner(store, mine)
    take_owner(store, mine)
    with pytest.raises(StageError, match="belongs to job ml/demo"):
        take_owner(store, JobIdentity(namespace="ml", name="other", uid="2"))
    assert [entry.key for entry in store.list("")] == [layout.OWNER]
