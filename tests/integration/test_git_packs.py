"""Packs that git itself makes, taken apart: every object by its name, and damage noticed."""

import zlib

import pytest
from cluster.gitserver import GitServer, git

from trainer.git import unpack as unpacking
from trainer.git.store import Store
from trainer.git.unpack import PackError, unpack


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    server = GitServer(tmp_path_factory.mktemp("repositories"))
    made = server.repository("packed")
    text = "".join(f"line {number}\n" for number in range(5000)).encode()
    made.commit({f"{number}.txt": text + b"%d" % number for number in range(20)})
    made.commit({"0.txt": text + b"again", "a/b/c": b"", "large": bytes(3 << 20)})
    made.git("repack", "-adfq", "--depth=20")
    yield made
    server.close()


@pytest.fixture(scope="module", params=["by offset", "by name"])
def pack(request, repository) -> bytes:
    offsets = ["--delta-base-offset"] if request.param == "by offset" else []
    command = ["pack-objects", "--all", "--stdout", "--quiet", *offsets]
    return git(repository.path, *command, given=b"")


def pieces(pack: bytes, size: int):
    return iter([pack[at : at + size] for at in range(0, len(pack), size)])


def names(repository) -> list[bytes]:
    form = "--batch-check=%(objectname) %(deltabase)"
    lines = repository.git("cat-file", "--batch-all-objects", form).splitlines()
    assert len([each for each in lines if not each.endswith("0" * 40)]) > 15
    return [each.split()[0].encode() for each in lines]


@pytest.mark.parametrize("size", [1 << 20, 4096, 7])
def test_every_object_is_there_by_its_name(tmp_path, repository, pack, size):
    store = Store(tmp_path)
    unpack(pieces(pack, size), store)
    for name in names(repository):
        kind = repository.git("cat-file", "-t", name.decode())
        assert store.content(name) == git(repository.path, "cat-file", kind, name.decode())


def test_a_server_that_says_in_between_that_it_is_alive_is_understood(tmp_path, repository, pack):
    store = Store(tmp_path)
    unpack((block for each in pieces(pack, 9999) for block in (b"", each, b"")), store)
    assert all(store.has(name) for name in names(repository))


def test_a_pack_that_ends_too_early_is_noticed(tmp_path, pack):
    for end in (0, 5, 12, 13, len(pack) // 2, len(pack) - 25):
        with pytest.raises((PackError, zlib.error)):
            unpack(pieces(pack[:end], 999), Store(tmp_path))


def test_a_difference_to_nothing_is_noticed(tmp_path):
    delta = zlib.compress(b"\x01\x01\x90\x01")
    pack = b"PACK\0\0\0\2\0\0\0\1" + bytes([7 << 4 | 4]) + b"\1" * 20 + delta
    with pytest.raises(PackError, match="lacks an object"):
        unpack(iter([pack]), Store(tmp_path))


def test_content_that_is_larger_than_it_says_is_noticed(tmp_path):
    pack = b"PACK\0\0\0\2\0\0\0\1" + bytes([3 << 4 | 4]) + zlib.compress(bytes(50 << 20))
    with pytest.raises(PackError, match="another size"):
        unpack(iter([pack]), Store(tmp_path))


BLOB, TREE, BY_NAME = 3, 2, 7
EMPTY = bytes.fromhex("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")


def packed(*objects: tuple[int, int, bytes, bytes]) -> bytes:
    """Objects as kind, the size that is said, what stands before the content, the content."""
    made = b"PACK\0\0\0\2" + len(objects).to_bytes(4)
    for kind, size, before, content in objects:
        first, rest = size & 15 | kind << 4, size >> 4
        made += bytes([first | 128 if rest else first]) + (number(rest) if rest else b"")
        made += before + zlib.compress(content)
    return made


def number(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + number(rest) if rest else bytes([low])


HOSTILE = [
    pytest.param(packed((TREE, 1 << 40, b"", b"")), "too large", id="a tree of a terabyte"),
    pytest.param(
        packed((BLOB, 0, b"", b""), (BY_NAME, 7, EMPTY, b"\0" + number(1 << 40))),
        "too large an object",
        id="a difference that makes a terabyte",
    ),
    pytest.param(
        packed((BLOB, 1 << 300, b"", b"")), "number is too large", id="a size without an end"
    ),
]


@pytest.mark.parametrize(("pack", "words"), HOSTILE)
def test_what_would_fill_the_memory_is_refused(tmp_path, pack, words):
    with pytest.raises(PackError, match=words):
        unpack(pieces(pack, 1 << 16), Store(tmp_path))


def test_differences_are_counted_together(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "HELD_BYTES", 2500)
    one = (BY_NAME, 1000, EMPTY, bytes(1000))
    with pytest.raises(PackError, match="too large"):
        unpack(pieces(packed(one, one, one), 999), Store(tmp_path))
