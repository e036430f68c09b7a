"""What a patterned text looks like, in words: for the command, and in CEL for the API server.

An API server tells a value that does not match its pattern the pattern; a rule beside it tells
what to write.
"""

from typing import Any

from controller.api.compute import QUANTITY_PATTERN
from controller.api.structural import INT_OR_STRING, VALIDATIONS, Schema, is_decimal

_WORDS: tuple[tuple[str, str], ...] = (
    ("s3://", "s3://bucket/prefix or file:///absolute/path"),
    ("https?://", "a URL that starts with https:// or http://"),
    ("sha256:", "sha256: and 64 hexadecimal digits"),
    ("{64}", "64 hexadecimal digits, as sha256sum prints them"),
    ("{16}", "a run id of 16 hexadecimal digits"),
    ("[A-Z]{3}", "a currency code of three capital letters, as EUR"),
    ("[-a-z0-9]*", "lower-case letters, digits, - and ., as in my-name"),
    ("[A-Za-z_]", "letters, digits and _, as in MY_NAME"),
    (r"[\w.-]", "owner/name"),
    ("@", "an e-mail address"),
)


def words_of(field: Schema) -> str:
    """What to write into a text field that has a pattern."""
    pattern = field.get("pattern", "")
    if is_decimal(field):
        auto = "Auto or " if "Auto" in pattern else ""
        return f'{auto}a decimal number in quotes, as "0.05" or "5e-4"'
    if pattern == QUANTITY_PATTERN:
        return 'an amount as 4, "500m" or "16Gi"'
    return next((words for part, words in _WORDS if part in pattern), f"what {pattern} matches")


def is_uri(field: Schema) -> bool:
    """Whether the field is a place in a store."""
    return "s3://" in field.get("pattern", "")


def add_spelling_rules(schema: Schema) -> None:
    """To every patterned text at or below the schema, a rule that says what to write."""
    if "pattern" in schema:
        rules: list[dict[str, Any]] = schema.setdefault(VALIDATIONS, [])
        rules.append({"rule": _rule(schema), "message": f"write {words_of(schema)}"})
    parts = [schema.get("items"), schema.get("additionalProperties")]
    for below in [*schema.get("properties", {}).values(), *parts]:
        if isinstance(below, dict):
            add_spelling_rules(below)


def _rule(schema: Schema) -> str:
    matches = f"self.matches(r'{schema['pattern']}')"
    return f"type(self) != string || {matches}" if INT_OR_STRING in schema else matches
