import threading

import pytest
import torch
from builders.arms import VOCABULARY, a_model
from builders.requests import a_request
from peft import LoraConfig, get_peft_model

from trainer.arms.forgetting import (
    CHUNK_TOKENS,
    GeneralText,
    chunk_loss,
    forgetting_losses,
    shipped_text,
    text_chunks,
)
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.progress import ProgressTracker

# peft 0.21 asks transformers 5.23 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

TEXT = GeneralText("".join(chr(97 + at * 7 % 23) for at in range(2000)), "made by the test")


class Letters:
    """One token a character."""

    def __init__(self, bos=None):
        self.bos_token_id = bos

    def encode(self, text, *, add_special_tokens=True):
        start = [self.bos_token_id] if add_special_tokens and self.bos_token_id is not None else []
        return start + [ord(letter) % VOCABULARY for letter in text]


@pytest.fixture
def adapted():
    model = get_peft_model(a_model(), LoraConfig(r=2, target_modules=["q_proj"]))
    return model.eval()


def losses_of(model, tmp_path, *, stopped=False):
    stop = threading.Event()
    if stopped:
        stop.set()
    return forgetting_losses(
        model,
        Letters(),
        TEXT,
        max_tokens=1024,
        progress=ProgressTracker(a_request(tmp_path)),
        stop=stop,
    )


def test_an_adapter_that_does_nothing_forgets_nothing(adapted, tmp_path):
    losses = losses_of(adapted, tmp_path)
    assert losses.base == losses.tuned
    assert losses.tokens == 2 * (CHUNK_TOKENS - 1)


def test_an_adapter_that_does_something_changes_the_tuned_losses_alone(adapted, tmp_path):
    before = losses_of(adapted, tmp_path)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    after = losses_of(adapted, tmp_path)
    assert after.base == before.base
    assert all(here != there for here, there in zip(after.tuned, before.tuned, strict=True))


def test_a_chunk_s_loss_is_the_mean_over_its_predicted_tokens():
    model, ids = a_model(), [5, 9, 14, 5, 77, 3] * 50
    expected = model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss.item()
    assert chunk_loss(model, ids) == pytest.approx(expected, rel=1e-5)


def test_chunks_are_whole_and_spread_over_the_text():
    long = GeneralText("".join(chr(97 + at // 512) for at in range(512 * 20)), "letters")
    chunks = text_chunks(Letters(), long, 512 * 4)
    assert [chr(chunk[0] + VOCABULARY * (chunk[0] < 97)) for chunk in chunks] == [
        "a",
        "f",
        "k",
        "p",
    ]
    assert {len(chunk) for chunk in chunks} == {CHUNK_TOKENS}


def test_a_text_with_fewer_tokens_than_wanted_is_read_whole():
    assert len(text_chunks(Letters(), TEXT, 20_000)) == 3


def test_a_tokenizer_that_begins_texts_begins_every_chunk():
    chunks = text_chunks(Letters(bos=1), TEXT, 2048)
    assert {(chunk[0], len(chunk)) for chunk in chunks} == {(1, CHUNK_TOKENS)}


def test_a_text_that_is_too_short_is_the_user_s_error_and_named():
    with pytest.raises(StageError, match=r"forgetting\.uri: the text has 5 tokens") as caught:
        text_chunks(Letters(), GeneralText("short", "x"), 2048)
    assert caught.value.failure is FailureClass.INVALID_DATA


def test_a_stop_while_reading_is_an_interruption(adapted, tmp_path):
    with pytest.raises(StageError) as caught:
        losses_of(adapted, tmp_path, stopped=True)
    assert caught.value.failure is FailureClass.INTERRUPTED


def test_the_shipped_text_is_long_enough_for_20_000_tokens_of_any_usual_tokenizer():
    assert len(shipped_text().text.split()) > 20_000


def test_the_shipped_text_carries_no_trace_of_its_distributor():
    text = shipped_text().text
    assert not [word for word in ("Gutenberg", "pgdp", "_", "[Illustration") if word in text]
