"""What a spec asks for, as digests: pure functions of the spec and the table of field classes.

A digest covers the fields of some classes, with schema defaults removed: a default that is
spelled out, and a field that a later release adds with a default, change nothing. The default of
a field that exists is therefore part of the API and does not change; golden tests pin it.
Decimals are compared as numbers, so ``5e-4`` and ``0.0005`` ask for the same.
"""

import decimal
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from controller.api.classes import FIELD_RULES, FieldClass, FieldRule
from controller.api.finetunejob import FineTuneJobSpec
from controller.api.structural import Schema, is_decimal, structural_schema, walk

HASH_VERSION = 1
"""A change here is a new run of every job of every fleet."""


def spec_hash(spec: FineTuneJobSpec) -> str:
    """Over all identity fields: a change is a new run."""
    return _digest("spec", spec, lambda rule: rule.field_class is FieldClass.IDENTITY)


def identity_hash(spec: FineTuneJobSpec) -> str:
    """Over identity fields that are no locations: the spec's part of the run id."""
    return _digest(
        "identity",
        spec,
        lambda rule: rule.field_class is FieldClass.IDENTITY and not rule.is_location,
    )


def generation_hash(spec: FineTuneJobSpec) -> str:
    """Over what answers depend on beside the adapter: a change answers again."""
    return _digest("generation", spec, lambda rule: rule.field_class is FieldClass.GENERATION)


def judge_hash(spec: FineTuneJobSpec) -> str:
    """Over thresholds and promotion: a change judges again."""
    return _digest("judge", spec, lambda rule: rule.is_judged)


def retry_hash(spec: FineTuneJobSpec) -> str:
    """Over every field that a stage or its pod reads: a change may mend a failure."""
    return _digest(
        "retry", spec, lambda rule: rule.field_class is not FieldClass.CONTROL or rule.is_judged
    )


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _digest(of: str, spec: FineTuneJobSpec, is_covered: Callable[[FieldRule], bool]) -> str:
    written = _leaves(spec.model_dump(mode="json", by_alias=True), "")
    fields = {
        path: _canonical(path, value)
        for path, value in written
        if is_covered(FIELD_RULES[path]) and not _is_default(path, value)
    }
    content = canonical_json({"version": HASH_VERSION, "of": of, "fields": fields})
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON value
    """The fields of the table with their values; of a list of objects, a list per field."""
    if value is None:
        return
    if path in FIELD_RULES:
        yield path, value
    elif isinstance(value, list):
        elements = [dict(_leaves(element, f"{path}[]")) for element in value]
        for field in sorted({field for element in elements for field in element}):
            yield field, [element.get(field) for element in elements]
    else:
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}" if path else name)


def _is_default(path: str, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return bool(_canonical(path, value) == _canonical(path, _default(path, value)))


def _default(path: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """What the field has when it is not written; None when that is nothing."""
    field = _fields()[path]
    if "default" in field:
        return [field["default"]] * len(value) if "[]" in path else field["default"]
    of_list, _, name = path.rpartition("[].")
    elements = _fields()[of_list].get("default", []) if of_list else []
    return [element.get(name) for element in elements] or None


@cache
def _fields() -> dict[str, Schema]:
    return dict(walk(structural_schema(FineTuneJobSpec)))


def _canonical(path: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not is_decimal(_fields()[path]):
        return value
    return [_number(v) for v in value] if isinstance(value, list) else _number(value)


def _number(text: str | None) -> str | None:
    """One spelling per number; Auto and nothing stay as they are."""
    if text in (None, "Auto"):
        return text
    return str(decimal.Decimal(text).normalize())
