"""What a spec asks for, as digests: pure functions of the spec and the table of field classes.

A digest covers the fields of some classes, with schema defaults removed: a default that is
spelled out, and a field that a later release adds with a default, change nothing. The default of
a field that exists is therefore part of the API and does not change; golden tests pin it.
Decimals are compared as numbers, so ``5e-4`` and ``0.0005`` ask for the same.
"""

import decimal
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from controller.api.classes import FIELD_RULES, FieldClass, FieldRule
from controller.api.finetunejob import FineTuneJobSpec
from controller.api.memo import of_newest
from controller.api.structural import Schema, is_decimal, structural_schema, walk

HASH_VERSION = 1
"""A change here is a new run of every job of every fleet."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class SpecHashes:
    """What a spec asks for, by what a change of it leads to."""

    spec_hash: str
    """Over all identity fields: a change is a new run."""
    identity_hash: str
    """Over identity fields that are no locations: the spec's part of the run id."""
    generation_hash: str
    """Over what answers depend on beside the adapter: a change answers again."""
    judge_hash: str
    """Over thresholds and promotion: a change judges again."""
    retry_hash: str
    """Over every field that a stage or its pod reads: a change may mend a failure."""


@of_newest
def spec_hashes(spec: FineTuneJobSpec) -> SpecHashes:
    """All of them at once: reading the spec is most of the work."""
    asked = {path: _field_json(path, value) for path, value in sorted(_asked(spec))}
    return SpecHashes(**{f"{of}_hash": _digest(of, asked) for of in COVERED})


def spec_hash(spec: FineTuneJobSpec) -> str:
    """Over all identity fields."""
    return spec_hashes(spec).spec_hash


def identity_hash(spec: FineTuneJobSpec) -> str:
    """Over identity fields that are no locations."""
    return spec_hashes(spec).identity_hash


def generation_hash(spec: FineTuneJobSpec) -> str:
    """Over what answers depend on beside the adapter."""
    return spec_hashes(spec).generation_hash


def judge_hash(spec: FineTuneJobSpec) -> str:
    """Over thresholds and promotion."""
    return spec_hashes(spec).judge_hash


def retry_hash(spec: FineTuneJobSpec) -> str:
    """Over every field that a stage or its pod reads."""
    return spec_hashes(spec).retry_hash


def _is_identity(rule: FieldRule) -> bool:
    return rule.field_class is FieldClass.IDENTITY


COVERED: Mapping[str, Callable[[FieldRule], bool]] = {
    "spec": _is_identity,
    "identity": lambda rule: _is_identity(rule) and not rule.is_location,
    "generation": lambda rule: rule.field_class is FieldClass.GENERATION,
    "judge": lambda rule: rule.is_judged,
    "retry": lambda rule: (
        rule.field_class is not FieldClass.CONTROL or (rule.is_judged and not rule.is_promotion)
    ),
}


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Sorted keys, no spaces, UTF-8."""
    return _ENCODER.encode(value).encode()


@of_newest
def written(spec: FineTuneJobSpec) -> Mapping[str, Any]:
    """The spec as JSON values, defaults included."""
    return spec.model_dump(mode="json", by_alias=True)


def _asked(spec: FineTuneJobSpec) -> Iterator[tuple[str, Any]]:
    """Every field that does not have its default, in its one spelling."""
    return _other_than_default(_leaves(written(spec), "", _plain_sections()))


def _other_than_default(leaves: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    plain = _plain_defaults()
    for path, value in leaves:
        if value == plain[path]:
            continue  # nearly all of them: not worth a number
        canonical = _canonical(path, value)
        if canonical != _canonical(path, _default(path, value)):
            yield path, canonical


def _digest(of: str, asked: Mapping[str, str]) -> str:
    """Of ``{"version", "of", "fields"}`` as canonical JSON, from fields that are written so."""
    fields = ",".join(text for path, text in asked.items() if path in _covered(of))
    content = f'{{"fields":{{{fields}}},"of":"{of}","version":{HASH_VERSION}}}'
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _field_json(path: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    return canonical_json({path: value}).decode()[1:-1]


def _leaves(
    section: Mapping[str, Any], above: str, plain: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """The fields of the table with their values; of a list of objects, a list per field.

    Sections that are plain are left out: what nothing asks for.
    """
    for name, value in section.items():
        path = f"{above}{name}"
        if value is None or value == plain.get(path):
            continue
        if path in FIELD_RULES:
            yield path, value
        elif isinstance(value, list):
            elements = [dict(_leaves(element, f"{path}[].", plain)) for element in value]
            for field in sorted({field for element in elements for field in element}):
                yield field, [element.get(field) for element in elements]
        else:
            yield from _leaves(value, f"{path}.", plain)


def _default(path: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """What the field has when it is not written; None when that is nothing."""
    field = _fields()[path]
    if "default" in field:
        return [field["default"]] * len(value) if "[]" in path else field["default"]
    of_list, _, name = path.rpartition("[].")
    elements = _fields()[of_list].get("default", []) if of_list else []
    return [element.get(name) for element in elements] or None


@cache
def _covered(of: str) -> frozenset[str]:
    return frozenset(path for path, rule in FIELD_RULES.items() if COVERED[of](rule))


@cache
def _plain_defaults() -> dict[str, Any]:
    """As they are written in the schema; None: there is none."""
    return {path: field.get("default") for path, field in _fields().items()}


@cache
def _plain_sections() -> dict[str, Any]:
    """Sections as they are written when nothing is said: none of their fields asks for anything."""
    found: dict[str, Any] = {}
    for name, field in FineTuneJobSpec.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            section = default.model_dump(mode="json", by_alias=True)
            found |= _sections_below(section, field.serialization_alias or name)
    return {path: section for path, section in found.items() if _is_plain(section, path)}


def _sections_below(section: Mapping[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {path: section}
    for name, value in section.items():
        if isinstance(value, Mapping) and f"{path}.{name}" not in FIELD_RULES:
            found |= _sections_below(value, f"{path}.{name}")
    return found


def _is_plain(section: Mapping[str, Any], path: str) -> bool:
    return not any(_other_than_default(_leaves(section, f"{path}.", {})))


@cache
def _fields() -> dict[str, Schema]:
    return dict(walk(structural_schema(FineTuneJobSpec)))


@cache
def _decimals() -> frozenset[str]:
    return frozenset(path for path, field in _fields().items() if is_decimal(field))


def _canonical(path: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if path not in _decimals():
        return value
    return [_number(v) for v in value] if isinstance(value, list) else _number(value)


def _number(text: str | None) -> str | None:
    """One spelling per number; Auto and nothing stay as they are."""
    if text in (None, "Auto"):
        return text
    return str(decimal.Decimal(text).normalize())
