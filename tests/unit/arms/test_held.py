"""No arm holds the training rows: they are read from their file, one at a time."""

import gc
import weakref

import pytest
from builders.arms import a_row, rules

from trainer.arms.free import majority_label, nearest_row
from trainer.arms.prompts import arm_prompts
from trainer.data.prepared import PreparedRows, write_rows

COUNT = 2000
LABELS = ["a0", "a1", "a2"]
TRAIN = [a_row(f"t{at}", f"question {at} of {at % 7}", f"a{at % 3}") for at in range(COUNT)]
TEST = [a_row("q0", "question 5 of 3", "a1"), a_row("q1", "what", "a2")]


def prompts(arm, **fields):
    return lambda train: arm_prompts(arm, rules(**fields), train, TEST)


ARMS = {
    "majority": lambda train: majority_label(train, TEST),
    "nearest": lambda train: nearest_row(train, TEST),
    "labels": prompts("FewShot", labels=LABELS, shots=5),
    "open": prompts("FewShot", shots=3),
    "retrieved": prompts("RetrievedFewShot", shots=4),
}


class Watched:
    """Rows of a file, which knows how many of those it gave out are still held."""

    def __init__(self, path):
        self.rows, self.held, self.most = PreparedRows(path), weakref.WeakSet(), 0

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index):
        row = Handle(self.rows[index])
        self.held.add(row)
        self.most = max(self.most, len(self.held))
        return row


class Handle:
    """A row that can be watched."""

    def __init__(self, row):
        self.__dict__.update(vars(row))


@pytest.fixture
def watched(tmp_path):
    write_rows(tmp_path / "train.arrow", TRAIN)
    return Watched(tmp_path / "train.arrow")


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_holds_few_training_rows_at_a_time(arm, watched):
    gc.collect()
    assert ARMS[arm](watched) == ARMS[arm](TRAIN)
    assert watched.most <= 300, "DIVERSITY_POOL and a few more"
