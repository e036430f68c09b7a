"""What tuning costs on general text: the same chunks read with the adapter on and off."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.progress import ProgressTracker
from trainer.store.manifest import ForgettingLosses

ACTIVITY = "Forgetting"
CHUNK_TOKENS = 512
LOSS_TOKENS = 128
"""Positions whose log-probabilities are held at once."""
MIN_CHUNKS = 2
"""Fewer give no interval."""


@dataclass(frozen=True)
class GeneralText:
    """A text and, for people, where it is from."""

    text: str
    source: str


def shipped_text() -> GeneralText:
    """The text that comes with the project; see general_text.SOURCE.md."""
    file = resources.files("trainer.arms") / "general_text.txt"
    return GeneralText(file.read_text(encoding="utf-8"), "Newton, Opticks (1730), book 3")


def forgetting_losses(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    text: GeneralText,
    *,
    max_tokens: int,
    progress: ProgressTracker,
    stop: threading.Event,
) -> ForgettingLosses:
    """Mean cross-entropy of each chunk without and with the adapter.

    Raises:
        StageError: INVALID_DATA, the text is too short; INTERRUPTED, when stopped.
    """
    chunks = text_chunks(tokenizer, text, max_tokens)
    progress.start(ACTIVITY, total=2 * len(chunks))

    def read(chunk: Sequence[int]) -> float:
        if stop.is_set():
            raise StageError(FailureClass.INTERRUPTED, "stopped while reading the general text")
        loss = chunk_loss(model, chunk)
        progress.advance()
        return loss

    with model.disable_adapter():
        base = [read(chunk) for chunk in chunks]
    return ForgettingLosses(
        base=base,
        tuned=[read(chunk) for chunk in chunks],
        tokens=sum(len(chunk) - 1 for chunk in chunks),
        source=text.source,
    )


def text_chunks(
    tokenizer: PreTrainedTokenizerBase, text: GeneralText, max_tokens: int
) -> list[list[int]]:
    """Whole chunks spread evenly over the text, about ``max_tokens`` in all.

    Each starts as a text does for this tokenizer; some models read nothing right without that.

    Raises:
        StageError: INVALID_DATA, fewer than two chunks.
    """
    ids = tokenizer.encode(text.text, add_special_tokens=False)
    start = _start_ids(tokenizer)
    size = CHUNK_TOKENS - len(start)
    whole = [start + ids[at : at + size] for at in range(0, len(ids) - size + 1, size)]
    if len(whole) < MIN_CHUNKS:
        raise StageError(
            FailureClass.INVALID_DATA,
            f"spec.evaluation.forgetting.uri: the text has {len(ids)} tokens; "
            f"at least {MIN_CHUNKS * CHUNK_TOKENS} are needed: use a longer text",
        )
    count = min(len(whole), max(MIN_CHUNKS, round(max_tokens / CHUNK_TOKENS)))
    return [whole[at * len(whole) // count] for at in range(count)]


@torch.inference_mode()
def chunk_loss(model: PeftModel, ids: Sequence[int]) -> float:
    """Mean nats per token, the first one aside. One chunk at a time bounds the logits."""
    row = torch.tensor([list(ids)], device=model.device)
    logits = model(input_ids=row, use_cache=False).logits[0, :-1]
    wanted = row[0, 1:]
    total = 0.0
    for at in range(0, len(wanted), LOSS_TOKENS):
        part = slice(at, at + LOSS_TOKENS)
        total += cross_entropy(logits[part].float(), wanted[part], reduction="sum").item()
    return total / len(wanted)


def _start_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The beginning-of-text token, if this tokenizer puts one before a text."""
    bos = tokenizer.bos_token_id
    begins = tokenizer.encode("a")[:1] == [bos]
    return [bos] if bos is not None and begins else []
