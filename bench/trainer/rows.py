"""The work of the comparison: rows of real text, as token ids and the places that carry loss."""

import json
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from trainer.arms.forgetting import shipped_text

Row = tuple[list[int], list[int]]

QUICKSTART = Path("examples/quickstart")
SHORTEST, LONGEST = 48, 400
TEMPLATE = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


def prose(tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator) -> list[Row]:
    """Pieces of a book, every token of which is learnt: the rows of the packs."""
    ids = tokenizer(shipped_text().text)["input_ids"]
    rows, start = [], 0
    while start < len(ids) - LONGEST:
        length = int(rng.integers(SHORTEST, LONGEST))
        rows.append((ids[start : start + length], list(range(1, length))))
        start += length
    return rows


def messages(tokenizer: PreTrainedTokenizerBase, instruction: str = "") -> list[Row]:
    """The quickstart's messages and answers, of which the answers are learnt."""
    rows = []
    for line in (QUICKSTART / "messages.jsonl").read_text().splitlines():
        row = json.loads(line)
        prompt = f"{instruction}\n\n{row['message']}" if instruction else row["message"]
        before = tokenizer(TEMPLATE.format(prompt=prompt))["input_ids"]
        answer = tokenizer(f"{row['asked']}<|im_end|>\n")["input_ids"]
        whole = before + answer
        rows.append((whole, list(range(len(before), len(whole)))))
    return rows


def instruction() -> str:
    """What the quickstart says before every message."""
    import yaml  # noqa: PLC0415 - one caller

    job = yaml.safe_load((QUICKSTART / "job.yaml").read_text())
    return str(job["spec"]["dataset"]["instruction"])


def rows_of(kind: str, base: str, seed: int) -> list[Row]:
    """No row twice, in an order of the seed's."""
    tokenizer, rng = AutoTokenizer.from_pretrained(base), np.random.default_rng(seed)
    match kind:
        case "packs":
            rows = prose(tokenizer, rng)
        case "short rows":
            rows = messages(tokenizer)
        case _:
            rows = messages(tokenizer, instruction())
    unique = list({tuple(ids): (ids, at) for ids, at in rows}.values())
    return [unique[at] for at in rng.permutation(len(unique))]
