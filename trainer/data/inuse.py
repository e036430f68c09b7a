"""What is promoted in a job's output, as prepare sees it."""

from trainer.contract.outcome import Promoted
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import Store
from trainer.store.checked import read_document
from trainer.store.pointerfile import PointerFile


def read_promoted(store: Store) -> PointerFile | None:
    """The pointer; None: nothing was promoted.

    Raises:
        StageError: it is not one that this version reads.
    """
    return read_document(store, layout.POINTER, PointerFile)


def in_use(store: Store) -> Promoted | None:
    """What the status should say is in use, where the store can tell now."""
    try:
        file = read_promoted(store)
    except StageError:
        return None
    return file.shown() if file is not None else None
