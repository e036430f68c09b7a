"""Scores of one answer against its reference, 0 to 1. No torch, no state.

Every arm is scored by the same function on the trimmed text, so a choice made here favours none.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Never

ARTICLES = frozenset({"a", "an", "the"})
FENCE = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n```\Z", re.DOTALL | re.IGNORECASE)
# Scripts written without spaces count by character, as MLQA does (Lewis et al. 2020, section 4).
TOKEN = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿]|[^\W぀-ヿ㐀-䶿一-鿿豈-﫿]+")


def score(metric: str, answer: str, reference: str) -> float:
    """How good the answer is.

    Raises:
        ValueError: the metric is none that this module computes.
    """
    measure = MEASURES.get(metric)
    if measure is None:
        raise ValueError(f"metric {metric} is not computed here; one of {', '.join(MEASURES)} is")
    return measure(answer, reference)


def exact_match(answer: str, reference: str) -> float:
    """1 if both are the same text but for whitespace and Unicode composition.

    Case and punctuation count, as in lm-evaluation-harness: the answer is what a program gets.
    """
    return float(_plain(answer) == _plain(reference))


def json_match(answer: str, reference: str) -> float:
    """1 if both are JSON and equal as values; the order of an object's keys is free.

    One Markdown fence around the whole answer is taken off: a line of code does that, so it must
    not count as a gain of tuning. Any other text around the value, a repeated key or NaN is not
    JSON. A reference that is not JSON is compared as text.
    """
    wanted = _json(reference)
    if wanted is None:
        return exact_match(answer, reference)
    return float(_json(_unfenced(answer)) == wanted)


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of token precision and recall, without case, punctuation and articles.

    Source: Rajpurkar et al. 2016, section 6.1, arXiv:1606.05250.
    """
    given, wanted = (
        [token for token in tokens(text) if token not in ARTICLES] for text in (answer, reference)
    )
    common = sum((Counter(given) & Counter(wanted)).values())
    return _f_measure(common, len(given), len(wanted))


def rouge_l(answer: str, reference: str) -> float:
    """F-measure of the longest common subsequence of tokens, precision and recall alike.

    Source: Lin 2004, section 3.1, https://aclanthology.org/W04-1013.
    """
    given, wanted = tokens(answer), tokens(reference)
    return _f_measure(longest_common_subsequence(given, wanted), len(given), len(wanted))


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers, without punctuation."""
    return TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def longest_common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest sequence that both contain in order, gaps allowed."""
    above = [0] * (len(right) + 1)
    for token in left:
        row = [0]
        for column, other in enumerate(right):
            row.append(above[column] + 1 if token == other else max(row[column], above[column + 1]))
        above = row
    return above[-1]


MEASURES: dict[str, Callable[[str, str], float]] = {
    "ExactMatch": exact_match,
    "JsonMatch": json_match,
    "TokenF1": token_f1,
    "RougeL": rouge_l,
}


def _f_measure(common: int, given: int, wanted: int) -> float:
    if given == 0 or wanted == 0:
        return float(given == wanted)
    return 2 * common / (given + wanted)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _unfenced(text: str) -> str:
    fenced = FENCE.match(text.strip())
    return fenced.group(1) if fenced else text


def _json(text: str) -> object | None:
    """The value in a form where ``==`` is JSON equality; None if the text is not JSON."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
        return _typed(value)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated key")
    return members


def _refuse(constant: str) -> Never:
    raise ValueError(constant)


def _typed(value: object) -> object:
    """Tag scalars with their JSON type: in Python ``True == 1``, in JSON they differ."""
    match value:
        case dict():
            return {key: _typed(member) for key, member in value.items()}
        case list():
            return [_typed(member) for member in value]
        case bool() | None:
            return ("constant", value)
        case _:
            return value
