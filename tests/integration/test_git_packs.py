"""Packs that git itself makes, taken apart: every object by its name, and damage noticed."""

import zlib

import pytest
from cluster.gitserver import GitServer, git

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
