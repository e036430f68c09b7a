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
