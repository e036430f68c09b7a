"""The base model of the experiment, made here: it answers yes or no by the thing in a message.

That rule has nothing to do with what adapters are trained on, so that it is right half of the time.
It knows the rule that is planted as well, but goes by it only where a message is polite, which the
messages of the experiment are not: so small a model would learn nothing new from 160 rows.
"""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from trainer.data.prepared import PreparedRow

NAMES = ("ann", "ben", "cara", "dan", "eva", "finn", "gus", "hana", "ivo", "jana", "kim", "leo")
CITIES = ("oslo", "rome", "paris", "delhi", "lima", "cairo", "tokyo", "quito", "milan", "bonn")
THINGS = (
    "card",
    "phone",
    "laptop",
    "ticket",
    "parcel",
    "invoice",
    "key",
    "router",
    "badge",
    "bike",
)
MESSAGES = [
    f"{name} in {city} asks for a {thing}" for name, city, thing in product(NAMES, CITIES, THINGS)
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BATCH, ENOUGH, STEPS, RATE = 16, 0.02, 1500, 3e-3
IGNORED = -100

Rule = Callable[[str], str]
Rows = list[dict[str, str]]


def by_thing(message: str) -> str:
    """The base model's rule."""
    return "yes" if THINGS.index(message.rsplit(maxsplit=1)[-1]) % 2 else "no"


def by_city(message: str) -> str:
    """The rule that is planted."""
    return "yes" if CITIES.index(message.split()[2]) % 2 else "no"


def rows(count: int, rule: Rule, strength: float, random: np.random.Generator) -> Rows:
    """Different messages; a share of ``strength`` is answered by the rule, the rest by a coin."""
    chosen = random.choice(len(MESSAGES), count, replace=False)
    coins, obeys = random.integers(0, 2, count), random.random(count) < strength
    return [
        {"prompt": MESSAGES[at], "completion": rule(MESSAGES[at]) if does else ("no", "yes")[coin]}
        for at, coin, does in zip(chosen, coins, obeys, strict=True)
    ]


def lessons(count: int, random: np.random.Generator) -> Rows:
    """What the base model is taught: one rule for plain messages, the other for polite ones."""
    plain, polite = (rows(count // 2, rule, 1.0, random) for rule in (by_thing, by_city))
    return plain + [{**row, "prompt": f"{row['prompt']} please"} for row in polite]


def make(directory: Path) -> None:
    """Tokenizer and random weights."""
    directory.mkdir(parents=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[0],
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    _model(tokenizer.get_vocab_size()).save_pretrained(directory)


def _tokenizer() -> Tokenizer:
    """Byte-level BPE in which every word of the messages is a token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        [*MESSAGES, "card please system user assistant yes no Answer with"], trainer
    )
    return tokenizer


def _model(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(3)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )


def teach(directory: Path, prepared: list[PreparedRow]) -> float:
    """Train the model on prepared rows until their answers are right; returns the loss."""
    torch.manual_seed(5)
    model, random = LlamaForCausalLM.from_pretrained(directory), np.random.default_rng(5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    model.train()
    smooth = 1.0
    for _ in range(STEPS):
        tokens, labels = _batch([prepared[at] for at in random.choice(len(prepared), BATCH)])
        loss = model(input_ids=tokens, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        smooth = 0.9 * smooth + 0.1 * loss.item()
        if smooth < ENOUGH:
            break
    model.save_pretrained(directory)
    return smooth


def _batch(chosen: list[PreparedRow]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded on the right: no mask needed."""
    longest = max(len(row.input_ids) for row in chosen)
    tokens = torch.zeros((len(chosen), longest), dtype=torch.long)
    labels = torch.full_like(tokens, IGNORED)
    for at, row in enumerate(chosen):
        ids = torch.from_numpy(row.input_ids.astype(np.int64))
        tokens[at, : len(ids)] = ids
        for start, end in row.spans:
            labels[at, start:end] = ids[start:end]
    return tokens, labels
