"""Rows, a word-for-word renderer and a tiny model for tests of the arms."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from trainer.arms.generate import Decoder, Pace
from trainer.arms.prompts import PromptRules
from trainer.contract.spec import Evaluation
from trainer.data.prepared import PreparedRow

VOCABULARY = 101
STOP = 2
CONTEXT = 256

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.5,  # so that answers differ from each other
}


def a_model(seed: int = 3) -> LlamaForCausalLM:
    """Plain attention over all earlier tokens."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**SHAPE)).eval()


def a_sliding_model(seed: int = 3) -> MistralForCausalLM:
    """Attention over the last 8 tokens only."""
    torch.manual_seed(seed)
    return MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=8)).eval()


def a_decoder(model, *, new_tokens: int = 12, stop_ids=frozenset({STOP}), **pace) -> Decoder:
    return Decoder(model, frozenset(stop_ids), new_tokens, threading.Event(), Pace(**pace))


def a_row(
    name: str, asked: str, answer: str, *, group: str = "", system: str = "Be brief."
) -> PreparedRow:
    """A prepared row; its group is its own unless told."""
    messages = [{"role": "system", "content": system}] if system else []
    return PreparedRow(
        id=name,
        group=group or name,
        prompt=[*messages, {"role": "user", "content": asked}],
        reference=answer,
        input_ids=np.zeros(0, dtype=np.int32),
        spans=[],
    )


@dataclass
class WordRenderer:
    """One token a word; the first words of the vocabulary are the roles and the end of a turn."""

    stop_ids: frozenset[int] = frozenset({STOP})
    has_template: bool = True
    words: list[str] = field(
        default_factory=lambda: ["<pad>", "<turn>", "<end>", "system", "user", "assistant"]
    )

    def prompt_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        text = "".join(f"<turn> {m['role']} {m['content']} <end> " for m in messages)
        return [self._id(word) for word in f"{text}<turn> assistant".split()]

    def text(self, ids: Sequence[int]) -> str:
        return " ".join(self.words[at] if at < len(self.words) else f"w{at}" for at in ids)

    def _id(self, word: str) -> int:
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word) % VOCABULARY


def rules(
    *,
    labels: Sequence[str] = (),
    shots: int = 3,
    context: int = CONTEXT,
    new_tokens: int = 8,
    metric: str = "ExactMatch",
    **evaluation,
) -> PromptRules:
    """What all arms share; the plan has only what the arms read of it."""
    plan = SimpleNamespace(
        labels=list(labels), few_shot_examples=shots, max_new_tokens=new_tokens, metric=metric
    )
    return PromptRules(
        renderer=WordRenderer(),
        plan=plan,
        evaluation=Evaluation(**evaluation),
        seed=17,
        context_tokens=context,
    )
