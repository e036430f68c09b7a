"""Paths in a document as it is written: finding values, naming places, making places whole."""

import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

Path = tuple[str | int, ...]


def dotted(path: Sequence[str | int]) -> str:
    """``spec.evaluation.arms[0].name``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def absolute(value: Any, base: str, name: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """The spec with places beside the file spelled as absolute ones.

    These are model directories, ``file://./x``, and ``./x`` in a grader's command.
    """
    if isinstance(value, list):
        return [absolute(element, base) for element in value]
    if isinstance(value, dict):
        return {
            key: _joined(element, base)
            if (name, key) == ("directory", "path")
            else _command(element, base)
            if (name, key) == ("grader", "command")
            else absolute(element, base, key)
            for key, element in value.items()
        }
    if name == "uri" and isinstance(value, str) and value.startswith("file://."):
        return f"file://{_joined(value.removeprefix('file://'), base)}"
    return value


def _command(command: Any, base: str) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(command, list):
        return command
    return [_joined(word, base) if str(word).startswith("./") else word for word in command]


def _joined(path: Any, base: str) -> Any:  # noqa: ANN401 - any JSON value
    return posixpath.normpath(posixpath.join(base, path)) if isinstance(path, str) else path


def document_path(document: Any, location: Sequence[str | int], *, is_missing: bool) -> Path:  # noqa: ANN401 - any JSON value
    """Pydantic's location without the branches of unions that it also names."""
    path: list[str | int] = []
    for place, part in enumerate(location):
        is_there = (isinstance(document, dict) and part in document) or (
            isinstance(document, list) and isinstance(part, int)
        )
        if is_there:
            document = document[part]
        if is_there or (is_missing and place == len(location) - 1):
            path.append(part)
    return tuple(path)


def at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """The value at a path; None when there is none."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            return None
    return value


def values(value: Any, pattern: str, path: Path = ()) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401 - any JSON value
    """Every value that a rule's path means in this document."""
    name, _, rest = pattern.partition(".")
    if not pattern:
        yield path, value
        return
    below = value.get(name.removesuffix("[]")) if isinstance(value, dict) else None
    here = (*path, name.removesuffix("[]"))
    if name.endswith("[]"):
        for place, element in enumerate(below if isinstance(below, list) else []):
            yield from values(element, rest, (*here, place))
    elif below is not None:
        yield from values(below, rest, here)
