"""Grades JSON answers by their slots: half of them right is half of the points.

One JSON object a line on standard input, one a line on standard output; see docs/grader.md.
"""

import json
import sys

Slots = set[tuple[str, str]]


def slots_of(text: str) -> Slots | None:
    """The keys of a JSON object with their values; None: it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return {(key, str(slot)) for key, slot in value.items()} if isinstance(value, dict) else None


def f1(given: Slots, wanted: Slots) -> float:
    """Harmonic mean of the shares of given slots that are right and of wanted ones given."""
    if not given and not wanted:
        return 1.0
    return 2 * len(given & wanted) / (len(given) + len(wanted))


def grade(item: dict) -> dict:
    """Score and flags of one answer."""
    given, wanted = slots_of(item["answer"]), slots_of(item["references"][0]) or set()
    if given is None:
        return {"id": item["id"], "score": 0, "flags": ["no-json"]}
    return {"id": item["id"], "score": f1(given, wanted)}


for line in sys.stdin:
    print(json.dumps(grade(json.loads(line))))
