"""The text of a job file to its objects, or every problem in it with place, value and remedy.

No file is read here: the caller brings the text, and the directory that relative places in it
are relative to. What passes is what an API server takes, with two differences: this release's
missing features are refused by name, and ``file://./x`` may stand for a place beside the file,
``./x`` in a grader's command too.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import pydantic
from pydantic_core import ErrorDetails

from controller.api.basemodel import BaseModelObject
from controller.api.crd import KINDS, object_schema
from controller.api.finetunejob import FineTuneJob
from controller.api.meta import API_VERSION, ObjectMeta
from controller.api.mistakes import missing_field, unknown_field, wrong_value
from controller.api.paths import Path, absolute, at, document_path, dotted, values
from controller.api.rules import RULES, Rule
from controller.api.structural import Schema, structural_schema
from controller.api.unsupported import refused
from controller.api.yamltree import Tree, read_trees
from controller.errors import Problem, SpecError

Document = FineTuneJob | BaseModelObject

MODELS: dict[str, type[Document]] = {"FineTuneJob": FineTuneJob, "BaseModel": BaseModelObject}


def parse(text: str, *, file: str, base: str) -> list[Document]:
    """The objects of a file's text, in its order.

    Args:
        text: One or more YAML (or JSON) documents.
        file: Its name, for messages.
        base: Absolute directory that ``file://./x`` and relative model directories start from.

    Raises:
        SpecError: The text has problems; all of them are in it.
    """
    trees, problems = read_trees(text, file)
    readers = [_Reader(tree, file, base) for tree in trees if tree.value is not None]
    documents = [document for reader in readers if (document := reader.read()) is not None]
    problems += _repeated(documents, file)
    found = problems + [problem for reader in readers for problem in reader.problems]
    if not found and not documents:
        found = [Problem(file, f"is empty; write a document with apiVersion: {API_VERSION}")]
    if found:
        raise SpecError(sorted(found, key=_line_of))
    return documents


def decode(data: bytes, *, file: str) -> str:
    """The text of a file's bytes.

    Raises:
        SpecError: They are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02X}"
        message = f"is not UTF-8 at {byte}; save the file in the encoding UTF-8"
        raise SpecError([Problem(f"{file}:{line}", message)]) from None


def _repeated(documents: list[Document], file: str) -> Iterator[Problem]:
    """Two documents that are the same object: the second would replace the first."""
    seen: set[tuple[str, str, str]] = set()
    for document in documents:
        meta = document.metadata
        key = (document.kind, meta.namespace, meta.name)
        if key in seen:
            message = f"{document.kind} {meta.name} is there twice; rename or remove one of them"
            yield Problem(f"{file} metadata.name", message)
        seen.add(key)


def _line_of(problem: Problem) -> int:
    line = problem.place.split(" ", 1)[0].rpartition(":")[2]
    return int(line) if line.isdigit() else 0


class _Reader:
    """One document on its way to an object."""

    def __init__(self, tree: Tree, file: str, base: str) -> None:
        self.problems: list[Problem] = []
        self._tree = tree
        self._file = file
        self._base = base
        self._bad: set[Path] = set()

    def read(self) -> Document | None:
        """The object; None when there are problems."""
        if not isinstance(self._tree.value, dict):
            self._add((), "is not an object; start with apiVersion, kind, metadata and spec")
            return None
        kind = self._kind()
        if kind is None:
            return None
        written = self._prepared()
        self._refuse_nothing(written.get("spec", {}), ("spec",))
        document = self._validated(kind, written)
        self._keep_rules(kind, written)
        self._refuse(kind, written)
        return None if self.problems else document

    def _kind(self) -> str | None:
        kind = self._tree.value.get("kind")
        if isinstance(kind, str) and kind in MODELS:
            return kind
        field: Schema = {"enum": list(MODELS), "description": "kind of the object"}
        is_missing = kind is None
        self._add(
            ("kind",), missing_field(field) if is_missing else self._wrong(("kind",), kind, field)
        )
        return None

    def _prepared(self) -> dict[str, Any]:
        """The document with what is the server's taken out and relative places made whole."""
        written = {name: value for name, value in self._tree.value.items() if name != "status"}
        written.setdefault("apiVersion", None)
        version = written["apiVersion"]
        if version != API_VERSION:
            message = (
                f"is missing; write apiVersion: {API_VERSION}"
                if version is None
                else f'is "{version}"; write {API_VERSION}'
            )
            self._add(("apiVersion",), message)
            written["apiVersion"] = API_VERSION
        if "spec" in written:
            written["spec"] = absolute(written["spec"], self._base)
        return written

    def _validated(self, kind: str, written: dict[str, Any]) -> Document | None:
        try:
            text = json.dumps(written)
            return MODELS[kind].model_validate_json(text, strict=True, by_alias=True, by_name=False)
        except pydantic.ValidationError as error:
            whole = _schema(kind)
            for fault in error.errors(include_url=False, include_context=False):
                path = document_path(written, fault["loc"], is_missing=fault["type"] == "missing")
                if path not in self._bad:  # where it is, another branch of a union said so
                    self._add(path, self._explained(path, fault, at(written, path), whole))
            return None

    def _explained(self, path: Path, fault: ErrorDetails, value: Any, whole: Schema) -> str:  # noqa: ANN401 - any JSON value
        if fault["type"] == "extra_forbidden":
            above, section = _field(whole, path[:-1]) or {}, _field(whole, path[:1]) or {}
            return unknown_field(str(path[-1]), value, above, section)
        field = _field(whole, path)
        if fault["type"] == "missing":
            return missing_field(field or {})
        return fault["msg"] if field is None else self._wrong(path, value, field)

    def _wrong(self, path: Path, value: Any, field: Schema) -> str:  # noqa: ANN401 - any JSON value
        if "env" in path and path[-1] != "name":
            right = "a text in quotes" if path[-1] == "value" else "a list of {name, value}"
            return f"must be {right}; the value is not shown, for it may be secret"
        return wrong_value(str(path[-1]), value, self._tree.spelled.get(path), field)

    def _refuse_nothing(self, value: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
        """A field without a value: to an API server not there, to its writer a slip."""
        if value is None and path not in self._bad:
            self._add(path, "has no value; give it one or remove the line")
        below = value.items() if isinstance(value, dict) else ()
        for name, inner in enumerate(value) if isinstance(value, list) else below:
            self._refuse_nothing(inner, (*path, name))

    def _keep_rules(self, kind: str, written: dict[str, Any]) -> None:
        for rule in RULES[kind]:
            for path, value in values(written, rule.path):
                if not self._is_bad_below(path) and not _is_kept(rule, value):
                    field = tuple(rule.field.split(".")) if rule.field else ()
                    shown = self._shown((*path, *field), at(value, field))
                    self._add((*path, *field), f"{shown}{rule.message}")

    def _shown(self, path: Path, value: Any) -> str:  # noqa: ANN401 - any JSON value
        if isinstance(value, str | int | float):
            return f"is {self._tree.spelled.get(path) or json.dumps(value)}; it "
        if isinstance(value, dict) and value:
            return f"has {', '.join(value)}; "
        return ""

    def _is_bad_below(self, path: Path) -> bool:
        return any(bad[: len(path)] == path for bad in self._bad)

    def _refuse(self, kind: str, written: dict[str, Any]) -> None:
        spec = written.get("spec")
        if kind != FineTuneJob.__name__ or not isinstance(spec, dict):
            return
        for path, message in refused(spec):
            place: Path = ("spec", *path.split("."))
            if place not in self._bad:
                self._add(place, message)

    def _add(self, path: Path, message: str) -> None:
        self._bad.add(path)
        place = f"{self._file}:{self._tree.line(path)} {dotted(path)}".strip()
        self.problems.append(Problem(place, message))


def _is_kept(rule: Rule, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """A rule whose fields are absent has nothing to say; that they are is said elsewhere."""
    try:
        return rule.holds(value)
    except KeyError:
        return True


@cache
def _schema(kind: str) -> Schema:
    known = next(entry for entry in KINDS if entry.kind == kind)
    schema = object_schema(known)
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    schema["properties"]["metadata"] = structural_schema(ObjectMeta)
    schema["properties"]["metadata"]["description"] = "with the name of the object"
    schema["properties"]["spec"]["description"] = "what is asked for"
    return schema


def _field(schema: Schema, path: Path) -> Schema | None:
    """The schema of a field; of an entry of a map, the map's."""
    for part in path:
        below = schema.get("items") if isinstance(part, int) else None
        below = (
            below or schema.get("properties", {}).get(part) or schema.get("additionalProperties")
        )
        if below is None:
            return None
        schema = cast(Schema, below)
    return schema
