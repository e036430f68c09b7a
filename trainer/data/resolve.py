"""Every data-dependent Auto as a plain function, and the rule it is written down with."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Generic, TypeVar

from trainer.contract.outcome import ResolvedValue
from trainer.contract.spec import Lora

MAX_LABELS = 50
MIN_ROWS_PER_LABEL = 2
MAX_LABEL_CHARACTERS = 200
MAX_BATCH_TOKENS = 16_384
WANTED_STEPS = 100
FEW_EXAMPLES = 5
SHORT_ANSWER_WORDS = 10
ANSWER_ROOM = 1.25
ANSWER_PERCENTILE = 0.99
SMALL_ROWS, LARGE_ROWS = 100, 25_000

BASE_RATE = 2e-4
BASE_HIDDEN = 4096
"""Hidden size of the 8B models that 2e-4 is the usual LoRA rate for."""
HIDDEN_EXPONENT = {"llama": 0.781, "qwen": 0.0775}
"""Thinking Machines, "LoRA Without Regret" (2025) and tinker-cookbook, hyperparam_utils.get_lr:
the best rate falls with hidden size to this power; measured for these two families."""
ELSEWHERE = {
    "hidden_size": ("n_embd", "d_model"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
}
"""What GPT-2 and others of its time call them in config.json."""
LLAMA_LIKE = ("llama", "mistral", "smollm")


T = TypeVar("T")


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A value and why it is that."""

    value: T
    rule: str

    def resolved(self, field: str) -> ResolvedValue:
        """As it is written down."""
        return ResolvedValue(field=field, value=str(self.value), rule=self.rule[:200])


def closed_labels(counts: Mapping[str, int]) -> list[str]:
    """The closed set of answers, sorted; empty: the answers are open.

    Closed: 2 to 50 distinct answers of at most 200 characters, at least twice as many rows.
    """
    is_closed = (
        1 < len(counts) <= MAX_LABELS
        and sum(counts.values()) >= MIN_ROWS_PER_LABEL * len(counts)
        and max(map(len, counts)) <= MAX_LABEL_CHARACTERS
    )
    return sorted(counts) if is_closed else []


def metric(labels: Sequence[str], answers: Sequence[str]) -> Choice[str]:
    """What scores an answer."""
    if labels:
        return Choice("ExactMatch", f"a closed set of {len(labels)} answers")
    if answers and all(is_json_value(answer) for answer in answers):
        return Choice("JsonMatch", "every answer is a JSON object or list")
    words = median(len(answer.split()) for answer in answers) if answers else 0
    if words <= SHORT_ANSWER_WORDS:
        return Choice("TokenF1", f"open answers, {words:g} words at the median (at most 10)")
    return Choice("RougeL", f"open answers, {words:g} words at the median (more than 10)")


def is_json_value(text: str) -> bool:
    """Whether a text is a JSON object or list."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def epochs(rows: int) -> Choice[int]:
    """Passes over the data: more over little, fewer over much."""
    if rows < SMALL_ROWS:
        return Choice(max(1, min(10, 300 // max(1, rows))), f"min(10, 300 // {rows} rows)")
    if rows > LARGE_ROWS:
        return Choice(max(1, 75_000 // rows), f"max(1, 75,000 // {rows} rows)")
    return Choice(3, f"3 for 100 to 25,000 rows; here {rows}")


def batch_tokens(train_tokens: int, passes: int, longest_row: int) -> Choice[int]:
    """Tokens per optimizer step: about 100 steps."""
    wanted = math.ceil(train_tokens * passes / WANTED_STEPS)
    value = max(longest_row, min(wanted, MAX_BATCH_TOKENS))
    rule = (
        f"{train_tokens} tokens x {passes} epochs / 100 steps, "
        f"from the longest row ({longest_row}) to 16,384"
    )
    return Choice(value, rule)


def learning_rate(config: Mapping[str, object], lora: Lora, method: str) -> Choice[float]:
    """Peak rate for LoRA at this model's width.

    rsLoRA's scale is sqrt(rank) times LoRA's and Adam's steps do not depend on it, so the rate is
    divided by that factor: updates of the same size.
    """
    hidden = hidden_size(config)
    family = family_of(config)
    factor = max(1.0, (BASE_HIDDEN / hidden) ** HIDDEN_EXPONENT[family])
    rate, rule = BASE_RATE * factor, f"2e-4 x (4096 / {hidden}) ^ {HIDDEN_EXPONENT[family]}, LoRA"
    if lora.variant == "RSLoRA":
        rate /= math.sqrt(lora.rank)
        rule += f", / sqrt({lora.rank}) for RSLoRA"
    if method == "DPO":
        rate /= 10
        rule += ", a tenth for DPO"
    return Choice(float(f"{rate:.2g}"), rule)


def hidden_size(config: Mapping[str, object]) -> int:
    """Width of the model; the usual one where the config does not say."""
    size = value_of(config, "hidden_size")
    return size if isinstance(size, int) and size > 0 else BASE_HIDDEN


def family_of(config: Mapping[str, object]) -> str:
    """The measured family; of an unknown one the flatter law, which errs on the slow side."""
    kind = str(config.get("model_type", "")).lower()
    return "llama" if kind.startswith(LLAMA_LIKE) else "qwen"


def value_of(config: Mapping[str, object], name: str) -> object:
    """A value of the text model, also where a config nests it or an older family calls it else."""
    nested = config.get("text_config")
    places = (config, nested if isinstance(nested, dict) else {})
    names = (name, *ELSEWHERE.get(name, ()))
    found = (place[each] for place in places for each in names if each in place)
    return next(found, None)


def max_new_tokens(answer_tokens: Sequence[int]) -> Choice[int]:
    """Room for an answer: a quarter more than nearly all training answers need."""
    ordered = sorted(answer_tokens)
    at = max(0, math.ceil(ANSWER_PERCENTILE * len(ordered)) - 1)
    longest = ordered[at] if ordered else 1
    rule = f"1.25 x {longest}, the 99th percentile of training answers in tokens"
    return Choice(math.ceil(ANSWER_ROOM * longest), rule)


def few_shot_examples(labels: Sequence[str]) -> Choice[int]:
    """Examples in a prompt; the fixed arm shows each label once on top of that."""
    rule = "5"
    if labels:
        rule += f"; the fixed examples show each of {len(labels)} labels, as far as they fit"
    return Choice(FEW_EXAMPLES, rule)
