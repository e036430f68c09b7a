"""Whatever part of the train stage hangs: the watchdog's time runs, and the message names the part.

The hang is played: while nothing moves, the test's clock goes on.
"""

import shutil

import pytest
from builders.staged import SECTIONS, Line

from trainer.pulse import LOAD_S, PULSE
from trainer.watchdog import Standstill

STALL_S = 45.0


class NoticedError(Exception):
    """The watchdog would end the process now."""


def hang_for(limit_s):
    """Something that never comes back, until somebody notices."""

    def hang(*_, **__):
        still = Standstill(STALL_S, PULSE)
        looks = [still.is_stalled(at) for at in (0.0, limit_s - 1, limit_s)]
        assert looks == [False, False, True]
        raise NoticedError(PULSE.doing)

    return hang


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    line = Line(tmp_path_factory.mktemp("prepared"))
    line.prepared()
    return line


@pytest.fixture
def line(prepared, tmp_path, monkeypatch):
    """A copy that trains for two steps and saves a checkpoint after every action."""
    monkeypatch.setitem(SECTIONS["training"], "maxSteps", 2)
    monkeypatch.setattr("trainer.train.run._Attempt._save_when_due", _save_always)
    for name in ("base", "train.jsonl", "output"):
        whole = prepared.root / name
        (shutil.copytree if whole.is_dir() else shutil.copy)(whole, tmp_path / name)
    copied = Line(tmp_path)
    copied.run_id = prepared.run_id
    return copied


def _save_always(attempt):
    attempt._save()  # noqa: SLF001 - the clock would have to be waited for


PARTS = [
    pytest.param("trainer.data.prepared.download_checked", "fetching prepared data", id="data"),
    pytest.param("trainer.train.begin.StoredDocuments", "reading rows", id="rows"),
    pytest.param("trainer.arms.generate.Decoder._next", "ZeroShot", id="an answer's token"),
    pytest.param("trainer.train.loop.loss_sum", "training", id="a step"),
    pytest.param("trainer.train.corpus.loss_sum", "evaluating", id="an evaluation"),
    pytest.param("trainer.train.run.write_checkpoint", "writing a checkpoint", id="a checkpoint"),
    pytest.param("trainer.store.file.FileStore.upload", "publishing", id="an upload"),
    pytest.param("trainer.arms.forgetting.chunk_loss", "Forgetting", id="the general text"),
]


@pytest.mark.parametrize(("place", "doing"), PARTS)
def test_a_part_that_hangs_is_noticed_and_named(line, monkeypatch, place, doing):
    monkeypatch.setattr(place, hang_for(STALL_S))
    with pytest.raises(NoticedError, match=f"^{doing}$"):
        line.trained()


def test_reading_the_base_model_may_be_silent_for_longer_and_not_for_ever(line, monkeypatch):
    monkeypatch.setattr("trainer.train.stage.load_base", hang_for(LOAD_S))
    with pytest.raises(NoticedError, match="loading the base model"):
        line.trained()
