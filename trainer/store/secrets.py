"""Credentials as files: one directory of keys per role, as a pod's Secret volumes look.

Owns what is said when a Secret or a key of it is missing; no message holds a value.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.contract.base import LocalObjectReference
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.store.paths import storage_errors

Role = Literal["base", "dataset", "output", "git"]

MAX_KEYS_SHOWN = 10
LOGIN = re.compile(r"^(\w+://)[^/@]*@")


@dataclass(frozen=True)
class SecretFiles:
    """Secrets below ``root``; None: there are none, the environment's credentials are used."""

    root: Path | None

    def values(
        self,
        role: Role,
        ref: LocalObjectReference | None,
        *,
        field: str,
        required: Sequence[str],
        optional: Sequence[str] = (),
    ) -> dict[str, str] | None:
        """Keys of the role's Secret; None: use the credentials that the environment has.

        Args:
            role: Which of the identities.
            ref: The Secret that the spec names.
            field: Where the spec names it, for messages.
            required: Keys that have to be there.
            optional: Keys that are read when they are there.

        Raises:
            StageError: the Secret, or a key that it must have, is missing.
        """
        if ref is None or self.root is None:
            return None
        found = _read(self.root / role)
        if not found:
            message = (
                f"{field}: Secret {ref.name} is missing or empty; "
                f"create it in the job's namespace with the keys {', '.join(required)}"
            )
            raise StageError(FailureClass.SECRET_NOT_FOUND, message)
        for key in required:
            if not found.get(key):
                raise _no_key(ref.name, key, field, found)
        return {key: found[key] for key in (*required, *optional) if found.get(key)}


AMBIENT = SecretFiles(None)
"""The environment's own credentials: workload identity in a pod, the user's own elsewhere."""


def _read(directory: Path) -> dict[str, str]:
    """Every key; an absent optional Secret is an empty or absent directory."""
    with storage_errors(directory):
        if not directory.is_dir():
            return {}
        # kubelet keeps its versions in ..data; the keys are links into it.
        files = (entry for entry in directory.iterdir() if not entry.name.startswith(".."))
        return {entry.name: _text(entry) for entry in files if entry.is_file()}


def _text(path: Path) -> str:
    """Without the newline that editors and ``echo`` leave; bytes that are no text are no value."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        return ""


def _no_key(name: str, key: str, field: str, found: dict[str, str]) -> StageError:
    there = ", ".join(sorted(found)[:MAX_KEYS_SHOWN])
    fault = "an empty" if key in found else "no"
    message = f"{field}: Secret {name} has {fault} key {key}; add it (the Secret's keys: {there})"
    return StageError(FailureClass.SECRET_NOT_FOUND, message)


def without_login(text: str) -> str:
    """A URL without the user and password that somebody may have put into it."""
    return LOGIN.sub(r"\1", text)
