"""The demo's base model: tiny, made here, and able to read the messages that the job is about.

It learns to name the city or the thing in a message when it is asked for one; what it has never
seen is the answer that the job wants.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

NAMES = (
    "ann",
    "ben",
    "cara",
    "dan",
    "eva",
    "finn",
    "gus",
    "hana",
    "ivo",
    "jana",
    "kim",
    "leo",
    "mia",
    "nils",
    "olga",
    "pia",
)
CITIES = (
    "oslo",
    "rome",
    "paris",
    "delhi",
    "lima",
    "cairo",
    "tokyo",
    "quito",
    "milan",
    "berlin",
    "dublin",
    "lagos",
)
THINGS = (
    "card",
    "phone",
    "laptop",
    "ticket",
    "parcel",
    "invoice",
    "key",
    "router",
    "printer",
    "badge",
    "camera",
    "bike",
)
TROUBLES = ("is lost", "is broken", "was stolen", "never came", "is late", "does not work")
OPENINGS = ("hi", "hello", "good morning", "dear team", "hey there")

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BATCH, LENGTH = 16, 96
IGNORED = -100
WARM_UP = 100
OPENED = SPECIAL.index("<|im_start|>")


@dataclass(frozen=True)
class Lessons:
    """A course; ``enough`` is the mean loss, in nats per token, at which it may end."""

    title: str
    steps: int
    seed: int
    rate: float = 1e-3
    enough: float = 0.0


def message(chance: np.random.Generator) -> tuple[str, str, str]:
    """A message, its city and its thing."""
    city, thing = str(chance.choice(CITIES)), str(chance.choice(THINGS))
    said = f"my {thing} {chance.choice(TROUBLES)}"
    who = f"{chance.choice(NAMES)} from {city}"
    text = f"{chance.choice(OPENINGS)}, {said}. regards, {who}"
    return text, city, thing


def rows(count: int, seed: int) -> Iterator[dict[str, str]]:
    """What the job trains on: no message twice."""
    chance, seen = np.random.default_rng(seed), set[str]()
    while len(seen) < count:
        text, city, thing = message(chance)
        if text not in seen:
            seen.add(text)
            yield {"prompt": text, "completion": f"{thing} from {city}"}


def lesson(chance: np.random.Generator) -> str:
    """A conversation of the kind that the base model learns from."""
    text, city, thing = message(chance)
    questions = {"city": city, "thing": thing, "city and thing": f"{city} has a {thing}"}
    asked = str(chance.choice(list(questions)))
    answer = questions[asked]
    return (
        f"<|im_start|>user\n{asked}? {text}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
    )


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE on the lessons, so that every word is a token or two."""
    chance = np.random.default_rng(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [lesson(chance) for _ in range(2000)]
    tokenizer.train_from_iterator([*texts], trainer)
    return tokenizer


def new_model(vocabulary: int, seed: int = 3) -> LlamaForCausalLM:
    """Half a million parameters, at random."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )


def teach(model: LlamaForCausalLM, tokenizer: Tokenizer, lessons: Lessons) -> None:
    """Train until the answers are right, or the lessons are over."""
    chance = np.random.default_rng(lessons.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lessons.rate, betas=(0.9, 0.98))
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=WARM_UP)
    model.train()
    wrong = float("inf")
    for _ in track(range(lessons.steps), description=lessons.title, transient=True):
        tokens, labels = batch(tokenizer, chance)
        loss = model(input_ids=tokens, labels=labels).loss  # padded on the right: no mask needed
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm_up.step()
        optimizer.zero_grad()
        wrong = min(wrong, 10.0) * 0.95 + loss.item() * 0.05
        if wrong < lessons.enough:
            return


def batch(tokenizer: Tokenizer, chance: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Lessons as tokens and labels, padded to one length."""
    encoded = [tokenizer.encode(lesson(chance)).ids[:LENGTH] for _ in range(BATCH)]
    longest = max(map(len, encoded))
    tokens = [ids + [0] * (longest - len(ids)) for ids in encoded]
    labels = [answer_only(ids) + [IGNORED] * (longest - len(ids)) for ids in encoded]
    return torch.tensor(tokens), torch.tensor(labels)


def answer_only(ids: list[int]) -> list[int]:
    """Labels for what the assistant says: its turn is the last that is opened."""
    start = len(ids) - ids[::-1].index(OPENED)
    return [IGNORED] * start + ids[start:]


def write_tokenizer(directory: Path, tokenizer: Tokenizer) -> None:
    """As Hugging Face keeps it."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[0],
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    (directory / "chat_template.jinja").write_text(TEMPLATE)
