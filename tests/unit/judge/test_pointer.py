"""The pointer moves forward, once, and only from where it was seen."""

import pytest
from builders.finished import ADAPTER, NOON

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Promoted
from trainer.errors import StageError
from trainer.judge import pointer
from trainer.store import layout
from trainer.store.file import FileStore


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "output")


def adapter(run_id):
    return Promoted(
        run_id=run_id,
        adapter_uri=f"file:///{run_id}",
        adapter_digest=ADAPTER,
        base_revision="0",
        time=NOON.isoformat(),
    )


def test_each_promotion_has_the_next_number(store):
    numbers = [
        pointer.move(store, adapter(run), pointer.read(store)).sequence for run in ("a", "b", "a")
    ]
    assert numbers == [1, 2, 3]
    assert pointer.read(store)[0].run_id == "a"


def test_pointing_at_the_adapter_that_is_there_writes_nothing(store):
    pointer.move(store, adapter("a"), pointer.read(store))
    before = pointer.read(store)
    assert pointer.move(store, adapter("a"), before).sequence == 1
    assert pointer.read(store) == before


def test_a_run_that_trained_on_is_moved_to_and_not_back_to(store):
    pointer.move(store, adapter("a"), pointer.read(store))
    further = adapter("a").model_copy(update={"adapter_digest": f"sha256:{'b' * 64}"})
    moved = pointer.move(store, further, pointer.read(store))
    assert (moved.sequence, moved.adapter_digest) == (2, further.adapter_digest)
    assert not moved.back


def test_a_pointer_that_moved_meanwhile_stays_where_it_is(store):
    seen = pointer.read(store)
    pointer.move(store, adapter("a"), seen)
    with pytest.raises(StageError) as caught:
        pointer.move(store, adapter("b"), seen)
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert pointer.read(store)[0].run_id == "a"


def test_a_lost_pointer_file_does_not_count_backwards(store):
    assert pointer.move(store, adapter("a"), (None, None), floor=7).sequence == 8


def test_a_pointer_that_can_not_be_read_is_not_overwritten(store):
    store.write(layout.POINTER, b"{}")
    with pytest.raises(StageError, match=r"promoted\.json is not a pointer"):
        pointer.read(store)


OLD_FILE = b"""{
 "sequence": 2, "runId": "0123456789abcdef", "adapterURI": "file:///a", "baseRevision": "r",
 "adapterDigest": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
 "baseDigest": null, "time": "2026-01-01T00:00:00Z"
}"""


def test_a_file_of_an_earlier_release_is_read_and_its_move_is_known(store):
    store.write(layout.POINTER, OLD_FILE)
    file, _ = pointer.read(store)
    assert (file.anchor, file.policy_choice) == (file.run_id, file.run_id)
    moved = pointer.move(store, adapter("b"), pointer.read(store))
    assert [(move.sequence, move.run_id) for move in moved.history] == [(2, file.run_id), (3, "b")]
    back = pointer.move(store, adapter(file.run_id), pointer.read(store), by="Pin")
    assert back.back


def test_the_last_fifty_moves_are_kept(store):
    for number in range(60):
        pointer.move(store, adapter(f"run-{number}"), pointer.read(store))
    file, _ = pointer.read(store)
    assert [move.sequence for move in file.moves] == list(range(11, 61))


def test_what_the_status_shows_has_nothing_of_the_file_around_it(store):
    shown = pointer.move(store, adapter("a"), (None, None)).shown()
    assert type(shown) is Promoted
    assert shown.run_id == "a"


def test_something_else_to_remember_is_no_move_and_loses_a_race_as_well(store):
    seen = (pointer.move(store, adapter("a"), pointer.read(store)), pointer.read(store)[1])
    kept = pointer.keep(store, seen, policy_run_id="b")
    assert (kept.sequence, kept.policy_choice, len(kept.moves)) == (1, "b", 1)
    with pytest.raises(StageError):
        pointer.keep(store, seen, policy_run_id="c")
