"""Who publishes the base model: first release, a little more training, a README, a bad day."""

import json
from pathlib import Path

import base_model
import torch
from repositories import Repository
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

CARD = "---\nlicense: apache-2.0\n---\n# A tiny model that reads messages\n"
MESSAGES = 900
FIRST_STEPS, MORE_STEPS = 900, 60
RATE = 2e-3
NOISE = 0.12
"""Added to every weight: enough to forget how to read."""


def publish(models: Repository) -> str:
    """The first release."""
    tokenizer = base_model.make_tokenizer()
    base_model.write_tokenizer(models.path, tokenizer)
    model = base_model.new_model(tokenizer.get_vocab_size())
    base_model.teach(model, tokenizer, FIRST_STEPS, seed=0, rate=RATE)
    model.save_pretrained(models.path)
    return models.commit({"README.md": CARD}, "First release")


def train_more(models: Repository) -> str:
    """Some steps more, from where it is."""
    model = LlamaForCausalLM.from_pretrained(models.path)
    tokenizer = Tokenizer.from_file(str(models.path / "tokenizer.json"))
    base_model.teach(model, tokenizer, MORE_STEPS, seed=1, rate=RATE / 10)
    model.save_pretrained(models.path)
    return models.commit({}, "Train a little more")


def edit_readme(models: Repository) -> str:
    """Words only."""
    return models.commit({"README.md": f"{CARD}\nNow with a longer description.\n"}, "Say more")


def spoil(models: Repository) -> str:
    """Weights that something went wrong with."""
    torch.manual_seed(5)
    model = LlamaForCausalLM.from_pretrained(models.path)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=NOISE)
    model.save_pretrained(models.path)
    return models.commit({}, "Quantise and back")


def write_messages(path: Path) -> None:
    """What the job trains on."""
    lines = (json.dumps(row) for row in base_model.rows(MESSAGES, seed=5))
    path.write_text("".join(f"{line}\n" for line in lines))
