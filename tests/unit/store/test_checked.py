"""Nothing that was published is trusted before its digest was compared."""

import hashlib

import pytest

from trainer.errors import StageError
from trainer.store import layout
from trainer.store.checked import (
    digest_files,
    download_checked,
    missing_files,
    read_manifest,
    sha256_file,
)
from trainer.store.file import FileStore

RUN = "b" * 16


@pytest.fixture
def store(tmp_path):
    return FileStore((tmp_path / "output").resolve())


def test_a_whole_file_is_downloaded(store, tmp_path):
    store.write("a", b"content")
    download_checked(store, "a", hashlib.sha256(b"content").hexdigest(), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"


def test_a_damaged_file_is_refused_and_not_left_behind(store, tmp_path):
    store.write("a", b"changed")
    with pytest.raises(StageError, match="damaged"):
        download_checked(store, "a", hashlib.sha256(b"content").hexdigest(), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_file_that_a_manifest_names_and_that_is_gone_is_said_so(store, tmp_path):
    with pytest.raises(StageError, match="missing; start a new run"):
        download_checked(store, "a", "0" * 64, tmp_path / "a")


def test_no_manifest_means_not_trained(store):
    assert read_manifest(store, RUN) is None


def test_a_broken_manifest_is_an_error_and_not_taken_for_none(store):
    store.write(layout.manifest(RUN), b'{"runId": 1}')
    with pytest.raises(StageError, match="not a valid RunManifest"):
        read_manifest(store, RUN)


def test_files_missing_from_a_run_are_listed(store):
    store.write(layout.run(RUN, "e1/adapter/a"), b"1")
    assert missing_files(store, RUN, {"e1/adapter/a": "x", "e1/b": "y"}) == ["e1/b"]


def test_the_digest_of_files_is_of_names_and_contents_in_any_order(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    files = {name: tmp_path / name for name in ("one", "two")}
    expected = hashlib.sha256(
        b"".join(
            f"{name}\0{hashlib.sha256(name.encode()).hexdigest()}\n".encode()
            for name in ("one", "two")
        )
    ).hexdigest()
    assert digest_files(files) == f"sha256:{expected}"
    assert digest_files(dict(reversed(files.items()))) == f"sha256:{expected}"
    assert sha256_file(tmp_path / "one") == hashlib.sha256(b"one").hexdigest()
