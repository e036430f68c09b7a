"""A memo remembers what it was told, within its room, and takes no harm from any text."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from trainer.contract.errand import MAX_MEMO
from trainer.sources.memo import MAX_ENTRIES, Memo

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
FILES = st.dictionaries(st.text(), st.tuples(DIGESTS, st.integers(0, 1 << 80)), max_size=90)


def written(files) -> Memo:
    memo = Memo()
    for identity, (digest, size) in files.items():
        memo.put(identity, digest, size)
    return memo


def digest_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@given(FILES)
def test_it_fits_and_says_nothing_but_what_it_was_told(files):
    text = written(files).text()
    assert len(text) <= MAX_MEMO
    assert text.isascii()
    later = Memo(text)
    known = {identity for identity in files if later.get(identity) is not None}
    assert len(known) == min(len(files), MAX_ENTRIES)
    assert all(later.get(identity) == files[identity][0] for identity in known)


@given(FILES)
def test_those_left_out_are_not_larger_than_those_kept(files):
    later = Memo(written(files).text())
    sizes = {identity: size.bit_length() for identity, (_, size) in files.items()}
    kept = [sizes[each] for each in files if later.get(each) is not None]
    lost = [sizes[each] for each in files if later.get(each) is None]
    assert max(lost, default=0) <= min(kept, default=256)


@given(FILES, st.data())
def test_the_order_of_the_files_does_not_matter(files, data):
    shuffled = dict(data.draw(st.permutations(list(files.items()))))
    assert written(files).text() == written(shuffled).text()


@given(st.text(), FILES)
def test_any_text_is_an_empty_memo_that_can_be_written(text, files):
    memo = Memo(text)
    assert memo.get("anything") is None
    for identity, (digest, size) in files.items():
        memo.put(identity, digest, size)
    assert len(memo.text()) <= MAX_MEMO


@given(FILES, st.integers(0, MAX_MEMO), st.characters())
def test_a_damaged_memo_is_read_without_harm(files, place, character):
    text = written(files).text()
    damaged = text[:place] + character + text[place + 1 :]
    memo = Memo(damaged)
    for identity in files:
        found = memo.get(identity)
        assert found is None or len(bytes.fromhex(found)) == 32
    assert len(memo.text()) <= MAX_MEMO


def test_a_memo_that_was_cut_off_is_empty():
    files = {name: (digest_of(name), 1) for name in "abc"}
    text = written(files).text()
    for end in range(len(text) - 4, 1, -4):  # whole groups of Base64: only the length is wrong
        cut = Memo(text[:end])
        found = [cut.get(name) for name in files]
        whole = (end - 1) // 4 * 3 % 41 == 0
        assert whole or found == [None] * 3


def test_a_memo_of_another_version_is_empty():
    memo = Memo()
    memo.put("a", digest_of("a"), 1)
    assert Memo("2" + memo.text()[1:]).get("a") is None


def test_what_another_look_put_makes_room_for_what_this_one_does():
    old = written({f"old {n}": (digest_of(f"{n}"), 1 << 40) for n in range(MAX_ENTRIES)})
    memo = Memo(old.text())
    assert memo.get("old 1") == digest_of("1")
    memo.put("new", digest_of("new"), 1)
    later = Memo(memo.text())
    assert later.get("new") == digest_of("new")
    still = [n for n in range(MAX_ENTRIES) if later.get(f"old {n}")]
    assert len(still) == MAX_ENTRIES - 1


def test_a_new_word_replaces_the_old_one():
    memo = Memo(written({"a": (digest_of("old"), 1)}).text())
    memo.put("a", digest_of("new"), 1)
    assert memo.get("a") == Memo(memo.text()).get("a") == digest_of("new")


def test_it_has_room_for_the_shards_of_a_large_model():
    assert MAX_ENTRIES >= 50
