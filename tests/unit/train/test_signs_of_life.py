"""What is long and healthy is heard of all the time: the watchdog must not end it."""

import pytest
from builders.arms import a_decoder, a_model, a_sliding_model
from builders.training import documents
from s3transfer.utils import CallArgs

from trainer.pulse import PULSE
from trainer.sources.base import Transfer
from trainer.store.s3transfer import Heard, _Follower
from trainer.train.corpus import Corpus

NEW_TOKENS = 12


@pytest.mark.parametrize("make", [a_model, a_sliding_model], ids=["own", "of transformers"])
def test_every_token_of_a_large_batch_is_a_sign(make):
    decoder = a_decoder(make(), stop_ids=frozenset(), new_tokens=NEW_TOKENS)
    before = PULSE.count
    decoder.answer([[3, 4, 5], [6, 7, 8]], [])
    assert PULSE.count - before >= NEW_TOKENS - 1


def test_every_micro_batch_of_a_step_and_of_an_evaluation_is_a_sign():
    corpus = Corpus(documents(9))
    before = PULSE.count
    parts = list(corpus.batches(range(9), 40))
    assert PULSE.count - before == len(parts) > 2


def test_every_block_of_a_checkpoint_that_is_sent_is_a_sign():
    body, before = Heard(b"x" * 100), PULSE.count
    while body.read(10):
        pass
    assert PULSE.count - before == 11


def test_every_part_of_a_large_file_that_was_sent_or_came_is_a_sign():
    before, told = PULSE.count, []
    _Follower(told.append).on_progress(CallArgs(), 5)
    assert (PULSE.count - before, told) == (1, [5])


def test_a_pause_before_asking_again_is_no_standstill():
    patience, stop = [], []

    class Waiting:
        def wait(self, seconds):
            patience.append(PULSE.patience_s)
            stop.append(seconds)

    Transfer(stop=Waiting()).pause(1200)
    assert stop == [1200]
    assert patience[0] > 1200
    assert PULSE.patience_s == 0
