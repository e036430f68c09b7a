"""``--output-status``: the objects with their status as YAML, whole at every moment."""

from pathlib import Path

import yaml

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.api.wire import to_document


class StatusFile:
    """One YAML document per object, replaced at each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._objects: dict[tuple[str, str, str], FineTuneJob | BaseModelObject] = {}

    def put(self, obj: FineTuneJob | BaseModelObject) -> None:
        """Write the file with the object as it is now.

        Raises:
            OSError: it cannot be written.
        """
        self._objects[obj.kind, obj.metadata.namespace, obj.metadata.name] = obj
        documents = [to_document(known) for known in self._objects.values()]
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True))
        temporary.replace(self._path)
