"""A checkpoint is whole or passed over, whatever became of it and wherever its writer died."""

import json

import pytest
import torch
from builders.training import RUN

from trainer.store.file import FileStore
from trainer.train.checkpoint import (
    FILES,
    MANIFEST,
    Checkpoint,
    newest_checkpoint,
    write_checkpoint,
)
from trainer.train.state import TrainState

STATE = TrainState(fingerprint="f", precision="FP32", device="cpu", micro_tokens=64, max_steps=200)


def a_checkpoint(step: int) -> Checkpoint:
    """Tensors that tell the step; the generator's state is any text."""
    tensors = {"a": torch.full((4,), float(step))}
    state = STATE.model_copy(update={"step": step})
    return Checkpoint(state, tensors, {"step.a": tensors["a"]}, tensors, f"{step}\n".encode())


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path)


def key(epoch, step, name=""):
    return f"runs/{RUN}/e{epoch}/checkpoints/step-{step:08d}/{name}"


def write(store, epoch, *steps):
    for step in steps:
        write_checkpoint(store, RUN, epoch, a_checkpoint(step))


def newest(store):
    """The step that an attempt would go on from, and what it says of the others."""
    found, notes = newest_checkpoint(store, RUN, fingerprint="f")
    return found and found.state.step, notes


def places(store):
    keys = [e.key.split("/") for e in store.list(f"runs/{RUN}/") if e.key.endswith(MANIFEST)]
    return [(part[2], int(part[4].removeprefix("step-"))) for part in keys]


def flipped(data: bytes) -> bytes:
    """One bit of it is another one."""
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


HARM = {
    "is cut in half": lambda data: data[: len(data) // 2],
    "is empty": lambda _: b"",
    "has a bit flipped": flipped,
    "is gone": None,
    "is another checkpoint's": lambda _: b"other",
}


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_when_a_file_is_harmed_the_checkpoint_before_is_taken(store, name, harm):
    write(store, 1, 3, 4)
    place = key(1, 4, name)
    store.delete(place) if harm is None else store.write(place, harm(store.read(place)))
    step, notes = newest(store)
    assert step == 3
    assert (harm is None and name == MANIFEST) or "step 4" in notes[0]  # without one it is none


def test_a_manifest_that_names_other_files_vouches_for_nothing(store):
    write(store, 1, 3, 4)
    for names in ({}, {"../../../../claim.json": "0" * 64}, {"state.json": "0" * 64}):
        store.write(key(1, 4, MANIFEST), json.dumps(names).encode())
        assert newest(store)[0] == 3


def test_when_all_are_harmed_training_begins_anew_and_each_is_named(store):
    write(store, 1, 3, 4)
    for step in (3, 4):
        store.write(key(1, step, "state.json"), b"{}")
    step, notes = newest(store)
    assert step is None
    assert ["step 4" in notes[0], "step 3" in notes[1]] == [True, True]


def test_what_was_just_written_stays_although_harmed_ones_are_further(store):
    write(store, 1, 90, 100)
    for step in (90, 100):
        store.write(key(1, step, "state.json"), b"{}")
    write(store, 2, 10)
    assert newest(store)[0] == 10
    write(store, 2, 20)
    assert places(store) == [("e2", 10), ("e2", 20)]


def test_a_late_writer_of_an_earlier_attempt_removes_nothing_of_the_newer_one(store):
    write(store, 2, 60, 61)
    write(store, 1, 100)
    assert {("e2", 60), ("e2", 61)} <= set(places(store))


class Mortal(FileStore):
    """Its process dies at the n-th change that it makes."""

    def __init__(self, root, changes) -> None:
        super().__init__(root)
        self.left = changes

    def change(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def write(self, key, data, **condition):
        self.change()
        return super().write(key, data, **condition)

    def delete(self, key):
        self.change()
        super().delete(key)


CHANGES = len(FILES) + 1 + len(FILES) + 1
"""Files and manifest of the new checkpoint, then those of the oldest are removed."""


@pytest.mark.parametrize("changes", range(CHANGES))
def test_wherever_a_writer_dies_a_whole_checkpoint_is_left(store, tmp_path, changes):
    write(store, 1, 2, 3)
    with pytest.raises(KeyboardInterrupt):
        write(Mortal(tmp_path, changes), 1, 4)
    step, notes = newest(store)
    assert step == (4 if changes > len(FILES) else 3)
    assert notes == []
