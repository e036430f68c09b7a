"""promoted.json for readers, who write nothing: what a later release added is passed over."""

from pydantic import ValidationError

from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.checked import unreadable
from trainer.store.pointerfile import PointerFile


def read_pointer(store: Store) -> tuple[PointerFile | None, str]:
    """The pointer, or why it cannot be read; neither: nothing was promoted."""
    try:
        data = store.read(layout.POINTER)
        return PointerFile.model_validate_json(data, extra="ignore"), ""
    except MissingError:
        return None, ""
    except ValidationError as error:
        return None, f"{layout.POINTER}: {unreadable(error)}"
