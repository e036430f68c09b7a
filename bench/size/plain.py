"""The lower bound: a plain loop of the same tokenizer over the same rows, and nothing else.

No validation, no split, no template, no search for duplicates, no result kept: what no preparation
that uses this tokenizer can be faster than.
Usage: python -m bench.size.plain FILE BASE
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
from tokenizers import Tokenizer

BATCH_ROWS = 1000


def texts(path: Path) -> Iterator[str]:
    """Prompt and answer of every row."""
    with path.open("rb") as file:
        for line in file:
            row = msgspec.json.decode(line)
            yield f"{row['prompt']}\n{row['completion']}"


def main(arguments: list[str]) -> None:
    """Tokenise all, count the tokens."""
    path, base = map(Path, arguments)
    tokenizer, rows, tokens = Tokenizer.from_file(str(base / "tokenizer.json")), texts(path), 0
    while batch := list(islice(rows, BATCH_ROWS)):
        tokens += sum(len(one) for one in tokenizer.encode_batch_fast(batch))
    sys.stdout.write(f"{tokens} tokens\n")


if __name__ == "__main__":
    main(sys.argv[1:])
