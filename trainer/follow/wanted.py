"""Which adapter a server should serve: the promoted one, if it belongs to the server's base model.

An adapter gives nonsense on another base model and no server notices. So after a base model has
moved, a server that still runs the old one keeps to the newest adapter that was promoted for it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.lineage.pointer import read_pointer
from trainer.store import layout
from trainer.store.base import Store
from trainer.store.checked import read_manifest
from trainer.store.pointerfile import PointerFile

ADAPTER_PLACE = re.compile(r"/(runs/[0-9a-f]{16}/e[0-9]+/adapter)/?$")


@dataclass(frozen=True)
class Wanted:
    """An adapter in an output."""

    run_id: str
    folder: str
    """Its key."""
    digest: str


@dataclass(frozen=True)
class Answer:
    """What to serve, and what there is to say about it; None: nothing that fits is known."""

    adapter: Wanted | None
    note: str = ""


def find_wanted(store: Store, base: str) -> Answer:
    """The newest promoted adapter for a base model, which is named by revision or content digest.

    Raises:
        StageError: the store or its pointer cannot be read.
    """
    pointer, problem = read_pointer(store)
    if problem:
        raise StageError(FailureClass.INVALID_SPEC, f"{store.uri}/{problem}")
    if pointer is None:
        return Answer(None, f"{store.uri} has no {layout.POINTER}: nothing is promoted there")
    if base in (pointer.base_revision, pointer.base_digest):
        return Answer(promoted(store, pointer))
    earlier = next(promoted_before(store, pointer, base), None)
    kept = f"keeps to run {earlier.run_id}" if earlier else "none was promoted for that"
    note = (
        f"run {pointer.run_id} is promoted for base model {pointer.base_revision}, and this server "
        f"runs {base}: {kept}; start it with the new base model to serve the new adapter"
    )
    return Answer(earlier, note)


def promoted(store: Store, pointer: PointerFile) -> Wanted:
    """The adapter in use. Its place is looked for here: an output may have been copied."""
    found = ADAPTER_PLACE.search(pointer.adapter_uri)
    if found is None:
        message = f"{store.uri}/{layout.POINTER}: adapterURI {pointer.adapter_uri!r} is no adapter"
        raise StageError(FailureClass.INVALID_SPEC, message)
    return Wanted(pointer.run_id, found[1], pointer.adapter_digest)


def promoted_before(store: Store, pointer: PointerFile, base: str) -> Iterator[Wanted]:
    """Adapters for the base model that were in use before, newest first.

    A run that had a partial adapter first is left out: moves do not say which of the two it was.
    """
    for move in reversed(pointer.history):
        run = read_manifest(store, move.run_id)
        if run is None or run.earlier:
            continue
        if base in (run.base.revision, run.base.content_digest):
            folder = layout.epoch(run.run_id, run.epoch, "adapter")
            yield Wanted(run.run_id, folder, run.adapter_digest)
