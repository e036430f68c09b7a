"""What a person points at: an output or one run of it, and which of its runs is meant."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.fence import read_owner
from trainer.store.open import open_store
from trainer.store.secrets import AMBIENT, SecretFiles

RUN_PLACE = re.compile(r"^(.+)/runs/([0-9a-f]{1,16})(/.*)?$")
RUN_KEY = re.compile(r"^runs/([0-9a-f]{16})/(.+)$")
PREFIX = re.compile(r"[0-9a-f]{1,16}")
MAX_NAMED = 5

Inventory = dict[str, dict[str, int]]
"""Run id -> key relative to the run -> size."""


@dataclass(frozen=True)
class Place:
    """An output, and the run of it that was named; empty: all of them."""

    output: str
    run: str = ""


def place_of(target: str) -> Place:
    """Split ``.../runs/<id>`` off a URI or a path; a path becomes a URI."""
    uri = target if "://" in target else Path(target).resolve().as_uri()
    found = RUN_PLACE.match(uri.rstrip("/"))
    return Place(found[1], found[2]) if found else Place(uri.rstrip("/"))


def opened(output: str, storage: Storage, secrets: SecretFiles = AMBIENT) -> Store:
    """A person reads what that person may read; the stages' root is no limit here.

    Raises:
        StageError: the URI cannot be used.
    """
    return open_store(output, storage, file_root=Path("/"), secrets=secrets, field="output")


def inventory(store: Store) -> Inventory:
    """Every file of every run.

    Raises:
        StageError: there is no run.
    """
    found = _listed(store, "")
    if not found:
        raise StageError(FailureClass.NOT_FOUND, f"{store.uri}: {_empty(store)}")
    return found


def one_run(store: Store, prefix: str) -> Inventory:
    """Every file of the one run whose id starts so.

    Raises:
        StageError: none does, or several do, or there is no run at all.
    """
    is_id = PREFIX.fullmatch(prefix)
    runs = (_listed(store, prefix) if is_id else {}) or inventory(store)
    run_id = chosen(runs, prefix, store.uri)
    return {run_id: runs[run_id]}


def _listed(store: Store, prefix: str) -> Inventory:
    found: Inventory = {}
    for entry in store.list(f"runs/{prefix}"):
        named = RUN_KEY.match(entry.key)
        if named:
            found.setdefault(named[1], {})[named[2]] = entry.size
    return found


def _empty(store: Store) -> str:
    try:
        owner = read_owner(store)
    except (MissingError, StageError):
        return "is no output of a job: there is no runs/ below it; correct the URI"
    return f"has no run yet; it belongs to job {owner['namespace']}/{owner['name']}: run that first"


def chosen(ids: Iterable[str], prefix: str, uri: str) -> str:
    """The one run whose id starts so.

    Raises:
        StageError: none does, or several do.
    """
    if not PREFIX.fullmatch(prefix):
        message = f"{prefix}: is no run id; give 1 to 16 hexadecimal characters, or .../runs/<id>"
        raise StageError(FailureClass.INVALID_SPEC, message)
    found = sorted(each for each in ids if each.startswith(prefix))
    if len(found) == 1:
        return found[0]
    if not found:
        message = f"{prefix}: {uri} has no such run; tunekeeper history shows those it has"
        raise StageError(FailureClass.NOT_FOUND, message)
    more = ", ..." if len(found) > MAX_NAMED else ""
    message = f"{prefix}: is the beginning of several runs: {', '.join(found[:MAX_NAMED])}{more}"
    raise StageError(FailureClass.INVALID_SPEC, message)


def run_uri(store: Store, run_id: str) -> str:
    """Where a run lies."""
    return f"{store.uri}/{layout.run(run_id)}".rstrip("/")
