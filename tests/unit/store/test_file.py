"""A directory as a store: whole objects, conditional writes, no way out."""

import errno
import os
import threading

import pytest

from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.store.base import ConditionError, MissingError
from trainer.store.file import FileStore
from trainer.store.open import open_store
from trainer.store.paths import storage_error


@pytest.fixture
def store(tmp_path):
    return FileStore((tmp_path / "output").resolve())


def test_what_was_written_is_read_back_with_its_tag(store):
    tag = store.write("runs/a/x.json", b"1")
    assert store.read_tagged("runs/a/x.json") == (b"1", tag)


def test_a_key_that_is_not_there_is_missing(store):
    with pytest.raises(MissingError):
        store.read("runs/a/x.json")
    assert not store.exists("runs/a/x.json")
    store.delete("runs/a/x.json")


def test_a_directory_is_no_object(store):
    store.write("runs/a/x.json", b"1")
    with pytest.raises(MissingError):
        store.read("runs/a")
    assert not store.exists("runs")


def test_if_none_match_never_overwrites(store):
    store.write("a", b"first", if_none_match=True)
    with pytest.raises(ConditionError):
        store.write("a", b"second", if_none_match=True)
    assert store.read("a") == b"first"


def test_if_match_replaces_only_what_was_read(store):
    old = store.write("a", b"1")
    new = store.write("a", b"2", if_match=old)
    with pytest.raises(ConditionError):
        store.write("a", b"3", if_match=old)
    assert store.read_tagged("a") == (b"2", new)


def test_if_match_on_nothing_is_refused(store):
    with pytest.raises(ConditionError):
        store.write("a", b"1", if_match="some tag")
    assert not store.exists("a")


def test_of_many_writers_with_one_tag_one_wins(store):
    tag = store.write("a", b"0")
    won, barrier = [], threading.Barrier(8)

    def swap(name):
        barrier.wait()
        try:
            store.write("a", name, if_match=tag)
        except ConditionError:
            return
        won.append(name)

    threads = [threading.Thread(target=swap, args=(b"writer %d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("a") == won[0]


def test_listing_is_in_key_order_and_by_prefix(store):
    for key in ("b/2", "b/10", "b-c", "a", "bb/1"):
        store.write(key, b"x")
    assert [entry.key for entry in store.list("b/")] == ["b/10", "b/2"]
    assert [entry.key for entry in store.list("b")] == ["b-c", "b/10", "b/2", "bb/1"]
    assert [entry.size for entry in store.list("a")] == [1]


def test_locks_and_unfinished_files_are_never_listed(store):
    store.write("a", b"1", if_match=store.write("a", b"0"))
    assert [entry.key for entry in store.list("")] == ["a"]


def test_a_file_goes_up_and_comes_down_whole(store, tmp_path):
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(b"x" * 3_000_000)
    store.upload(source, "big")
    store.download("big", target)
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(MissingError):
        store.download("none", target)


def test_a_file_is_streamed_in_blocks_of_bounded_size(store):
    data = bytes(range(256)) * (9 << 10)
    store.write("a", data)
    blocks = list(store.stream("a"))
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) <= 1 << 20
    with pytest.raises(MissingError):
        next(store.stream("b"))


def test_a_full_disk_leaves_the_old_object_and_no_rubbish(store, monkeypatch):
    store.write("a", b"old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StageError, match="free or add disk space") as caught:
        store.write("a", b"new")
    assert caught.value.failure is FailureClass.HOST_STORAGE_EXCEEDED
    assert store.read("a") == b"old"
    assert len(list((store._root).iterdir())) == 1  # noqa: SLF001 - looks behind the listing


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x"])
def test_no_key_leads_outside(store, key):
    with pytest.raises(StageError, match="outside"):
        store.write(key, b"1")


def test_a_link_in_the_store_that_leads_outside_is_refused(store, tmp_path):
    store.write("a", b"1")
    (tmp_path / "output" / "link").symlink_to("/etc")
    with pytest.raises(StageError, match="outside"):
        store.read("link/passwd")


ERRORS = [
    pytest.param(errno.ENOSPC, FailureClass.HOST_STORAGE_EXCEEDED, id="a full disk"),
    pytest.param(errno.EDQUOT, FailureClass.HOST_STORAGE_EXCEEDED, id="a used up quota"),
    pytest.param(errno.EACCES, FailureClass.ACCESS_DENIED, id="no permission"),
    pytest.param(errno.EROFS, FailureClass.ACCESS_DENIED, id="a read-only volume"),
    pytest.param(errno.ENOTDIR, FailureClass.ACCESS_DENIED, id="a file in the way"),
    pytest.param(errno.EIO, FailureClass.UNAVAILABLE, id="a broken disk"),
]


@pytest.mark.parametrize(("number", "expected"), ERRORS)
def test_each_error_of_the_system_has_its_class_and_names_the_place(tmp_path, number, expected):
    error = storage_error(OSError(number, os.strerror(number)), tmp_path)
    assert error.failure is expected
    assert str(tmp_path) in error.message


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_an_output_on_top_of_a_file_is_not_writable(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    store = open_store(f"file://{tmp_path}/{place}", Storage(), file_root=tmp_path)
    with pytest.raises(StageError, match="another place") as caught:
        store.write("owner.json", b"{}", if_none_match=True)
    assert caught.value.failure is FailureClass.ACCESS_DENIED
    assert (tmp_path / "file").read_text() == "mine"


PLACES = [
    pytest.param("file:///elsewhere/output", "outside", id="another directory"),
    pytest.param("file://{root}/../up", "outside", id="a way up"),
    pytest.param("file://{root}/link/output", "symbolic link", id="a symbolic link"),
]


@pytest.mark.parametrize(("uri", "message"), PLACES)
def test_an_output_lies_below_the_file_root(tmp_path, uri, message):
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(StageError, match=message):
        open_store(uri.format(root=root), Storage(), file_root=root)


def test_the_uri_of_a_store_leads_back_to_it(tmp_path):
    store = open_store(f"file://{tmp_path}/my output/", Storage(), file_root=tmp_path)
    store.write("a", b"1")
    again = open_store(store.uri, Storage(), file_root=tmp_path)
    assert again.read("a") == b"1"
    assert not store.uri.endswith("/")
