"""A look at a directory: read in full, but only when something about it moved."""

import os

import pytest
from builders.edits import ALL_EDITS, WEIGHTS, a_repository
from builders.looking import Looker
from builders.sources import Asker

from trainer.contract.errand import Cause
from trainer.errors import StageError
from trainer.sources import look_directory
from trainer.sources.memo import MAX_ENTRIES


@pytest.fixture
def base(tmp_path, files):
    return laid_out(tmp_path / "base", a_repository(files))


@pytest.fixture
def look(tmp_path, base):
    return Looker(tmp_path, {"directory": {"path": str(base)}})


def laid_out(base, files):
    """The directory with these files and no others."""
    base.mkdir(exist_ok=True)
    for path in base.rglob("*"):
        if path.is_file() and str(path.relative_to(base)) not in files:
            path.unlink()
    for name, content in files.items():
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_bytes(content)
    return base


@pytest.mark.parametrize("edit", ALL_EDITS)
def test_the_digest_moves_with_the_model_and_with_nothing_else(look, base, files, edit):
    before = look()
    laid_out(base, edit.change(a_repository(files)))
    after = look()
    assert (after != before) is edit.moves
    model = Asker(look.root, look.source)(weights=False)
    assert (model.revision, model.content_digest) == (after.revision, after.content_digest)


def test_nothing_is_read_while_nothing_moves(look, base):
    first = look()
    assert look.bytes_read > 0
    (base / "README.md").write_text("# new")
    assert look() == first
    assert look.bytes_read == 0


def test_nothing_of_more_shards_than_a_memo_holds_is_read_while_nothing_moves(look, base):
    for number in range(MAX_ENTRIES + 9):
        (base / f"model-{number}.safetensors").write_bytes(bytes([number]) * 4096)
    first = look()
    for _ in range(2):  # what the first of them writes serves the second
        assert look() == first
        assert look.bytes_read == 0


def test_only_the_file_that_changed_is_read_again(look, base):
    look()
    (base / "config.json").write_bytes((base / "config.json").read_bytes() + b" ")
    look()
    assert look.bytes_read == (base / "config.json").stat().st_size


def test_a_clock_that_was_set_back_hides_no_change(look, base):
    before = look()
    stat = (base / WEIGHTS).stat()
    content = (base / WEIGHTS).read_bytes()
    (base / WEIGHTS).write_bytes(b"\xff" + content[1:])
    os.utime(base / WEIGHTS, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert look() != before


def test_the_same_content_written_again_is_the_same_revision(look, base):
    before = look()
    (base / WEIGHTS).write_bytes((base / WEIGHTS).read_bytes())
    assert look() == before
    assert look.bytes_read == (base / WEIGHTS).stat().st_size


def writing_while_it_is_read(base, monkeypatch, times):
    """Another process, which adds a shard after each of the first reads."""
    hash_file = look_directory.hash_file

    def hash_and_write(path, on_bytes):
        digest = hash_file(path, on_bytes)
        if path.name == WEIGHTS and times:
            (base / f"model-{times.pop()}.safetensors").write_bytes(b"more")
        return digest

    monkeypatch.setattr(look_directory, "hash_file", hash_and_write)


def test_a_file_added_while_it_is_read_is_in_the_digest(look, base, monkeypatch):
    writing_while_it_is_read(base, monkeypatch, [1])
    look.memo = ""
    found = look()
    look.forget()
    assert look() == found
    assert Asker(look.root, look.source)().content_digest == found.content_digest


def test_a_directory_that_changes_all_the_time_is_left_for_another_time(look, base, monkeypatch):
    hash_file = look_directory.hash_file

    def hash_and_touch(path, on_bytes):
        os.utime(base / WEIGHTS)
        return hash_file(path, on_bytes)

    monkeypatch.setattr(look_directory, "hash_file", hash_and_touch)
    with pytest.raises(StageError, match="changes while it is read") as caught:
        look()
    assert caught.value.failure.value == "Unavailable"


def disappeared(base):
    laid_out(base, {}).rmdir()


def pickled(base):
    (base / WEIGHTS).rename(base / "pytorch_model.bin")


def linked_away(base):
    (base / WEIGHTS).unlink()
    (base / WEIGHTS).symlink_to("/etc/hostname")


def with_an_adapter(base):
    (base / "adapter_config.json").write_text("{}")


FAILURES = [
    pytest.param((disappeared, "NotFound", None, "no directory"), id="it disappeared"),
    pytest.param((pickled, "InvalidSpec", Cause.UNSAFE_WEIGHTS, "pickle"), id="pickles"),
    pytest.param((linked_away, "AccessDenied", None, "symbolic link"), id="a link elsewhere"),
    pytest.param((with_an_adapter, "InvalidSpec", None, "an adapter"), id="an adapter inside"),
]


@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_had_or_trained_has_its_class_and_cause(look, base, case):
    fault, failure, cause, words = case
    fault(base)
    with pytest.raises(StageError, match=words) as caught:
        look()
    assert (caught.value.failure.value, caught.value.cause) == (failure, cause)
