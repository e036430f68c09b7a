"""The one thing that is read of a base model's card: its license."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

CARD = "README.md"
MAX_CARD_BYTES = 1 << 16
FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")
"""An identifier as a hub's list has them; anything else would not be one there either."""


def license_in(path: Path) -> str:
    """The license that the front matter of a card names; empty: none, or nothing to be read."""
    if path.resolve().parent != path.parent.resolve():
        return ""  # a link that leaves the model's directory is nobody's card
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES).decode(errors="replace")
        found = FRONT_MATTER.match(text)
        document = yaml.safe_load(found[1]) if found else None
    except (OSError, yaml.YAMLError, RecursionError):
        return ""
    return license_of(document) if isinstance(document, dict) else ""


def license_of(front_matter: Mapping[str, object]) -> str:
    """The license that a card's metadata names."""
    named = front_matter.get("license")
    is_one = isinstance(named, str) and LICENSE.fullmatch(named.lower())
    return str(named).lower() if is_one else ""
