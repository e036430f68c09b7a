"""The same data gives the same splits, rows, tokens and warnings, however they are computed.

The digests were written down when rows were still prepared one by one. A change here means that
runs which exist are not found again: it has to be meant.
"""

import hashlib
import json

import numpy as np
import pytest
from builders.preparing import a_context, chats, preparing, rows, write_jsonl

from trainer.data.prepared import SPLITS, open_prepared
from trainer.data.stage import prepare

WORDS = [f"word{number}" for number in range(900)]
UNTOUCHED = 240


def long_rows():
    """Long prompts, of which every twelfth is nearly an earlier one; some repeat, some contradict.

    Upper case, full-width and Chinese text, line ends, and a word in every row.
    """
    rng = np.random.default_rng(7)
    made = []
    for number in range(UNTOUCHED):
        words = rng.choice(WORDS, 60).tolist()
        text = " ".join(["Dear", "\uff21\uff22\uff23", *words[:30], "\n", *words[30:]])
        made.append({"prompt": text, "completion": f"answer {number % 70}: {words[0].upper()}"})
    for number in range(0, UNTOUCHED, 12):
        words = made[number]["prompt"].split(" ")
        words[20 : 20 + 1 + number % 24] = ["changed"]
        made.append({**made[number], "prompt": " ".join(words)})
    made += [made[5], {**made[6], "completion": "another"}, {**made[7], "prompt": "字" * 30 + "."}]
    made.append({"prompt": made[8]["prompt"].upper(), "completion": made[8]["completion"]})
    return made


CASES = {
    "short": rows(300),
    "chats": chats(200),
    "long": long_rows(),
}
CONTRADICT = "Rows with the prompt of another row but another answer"
GOLDEN = {
    "chats": [
        "ceb4a3b062791df6",
        "a724c851825b8827",
        [122, 18, 60, 13586],
        ["Validation groups, too few to stop early on (30 are needed): 18"],
    ],
    "long": [
        "46b9a9a48fbdaa87",
        "42f46bb1fcdef730",
        [149, 31, 78, 58378],
        [
            f"{CONTRADICT}: 2, first train.jsonl:7; decide on one answer",
            "Rows that repeat the prompt and answer of an earlier one: 2, first train.jsonl:261",
            "Rows nearly the same as an earlier one: 10",
            "Training rows left out because they are in validation or test, too: 6",
        ],
    ],
    "short": ["5d4e00f9d2d66904", "ea7986c2e4e5290c", [175, 35, 90, 19558], []],
}


def content_of(prepared):
    digest = hashlib.sha256()
    for name in SPLITS:
        split = getattr(prepared, name)
        for row in split:
            ids, spans = row.input_ids.tolist(), row.spans
            fields = [name, row.id, row.group, row.prompt, row.reference, ids, spans]
            digest.update(json.dumps(fields).encode())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("name", CASES)
def test_what_is_prepared_does_not_change(root, name):
    write_jsonl(root / "train.jsonl", CASES[name])
    context = a_context(root, preparing(root))
    result = prepare(context)
    prepared = open_prepared(context.store, result.outcome.run_id, root / "read")
    data = result.details.data
    counts = [data.train_rows, data.validation_rows, data.test_rows, data.tokens]
    found = [
        result.outcome.dataset_digest.removeprefix("sha256:")[:16],
        content_of(prepared),
        counts,
        data.warnings,
    ]
    assert found == GOLDEN[name]
