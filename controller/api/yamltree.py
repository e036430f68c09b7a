"""YAML text to plain values that remember their lines, read as ``kubectl`` would send them.

PyYAML and Kubernetes do not agree on every scalar: bare ``2e-4`` is a string to the one and a
number to the other, a date is a date to the one and a string to the other. Kubernetes is right.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from controller.api.paths import Path
from controller.errors import Problem

MAX_NODES = 20_000
"""More than any honest file has; aliases of aliases pass it soon."""

_NUMBER = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_SCALARS = yaml.constructor.SafeConstructor()
_TAG = "tag:yaml.org,2002:"


@dataclass
class Tree:
    """One document: values, and for each path its line and, of bare scalars, its spelling."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)
    spelled: dict[Path, str] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest thing above it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class YamlFault(Exception):  # noqa: N818 - a fault of the text
    """What is wrong with the text at a line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read_trees(text: str, file: str) -> tuple[list[Tree], list[Problem]]:
    """Every document of the text, and what keeps the text from being read, with its place."""
    trees: list[Tree] = []
    problems: list[Problem] = []
    try:
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            builder = _Builder()
            trees.append(builder.tree(node))
            problems += [Problem(f"{file}:{f.line}", f.message) for f in builder.faults]
    except yaml.MarkedYAMLError as error:
        problems.append(_unreadable(error, text, file))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"character U+{int(error.character):04X} is not allowed in YAML; remove it"
        problems.append(Problem(f"{file}:{line}", what))
    except RecursionError:
        problems.append(Problem(file, "is nested too deeply to be read; write it flatter"))
    except YamlFault as fault:
        problems.append(Problem(f"{file}:{fault.line}", fault.message))
    return trees, problems


def _unreadable(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    shown = lines[line - 1].strip()[:60] if line <= len(lines) else "the end of the file"
    remedy = (
        "indent with spaces, not tabs"
        if "\\t" in (error.problem or "")
        else "look at the indentation, quotes and colons here and on the line above"
    )
    return Problem(f"{file}:{line}", f'is not YAML at "{shown}": {error.problem}; {remedy}')


class _Builder:
    """Walks the nodes of one document."""

    def __init__(self) -> None:
        self.faults: list[YamlFault] = []
        self._lines: dict[Path, int] = {}
        self._spelled: dict[Path, str] = {}
        self._count = 0

    def tree(self, node: yaml.Node | None) -> Tree:
        value = None if node is None else self._value(node, (), ())
        return Tree(value, self._lines, self._spelled)

    def _value(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> Any:  # noqa: ANN401 - any JSON value
        self._count += 1
        line = node.start_mark.line + 1
        self._lines.setdefault(path, line)
        if self._count > MAX_NODES or node in above:
            raise YamlFault(line, "has aliases without end; write the values out")
        if isinstance(node, yaml.MappingNode):
            return dict(self._fields(node, path, (*above, node)))
        if isinstance(node, yaml.SequenceNode):
            inner = (*above, node)
            return [self._value(item, (*path, i), inner) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - there are three kinds of node
        return self._scalar(node, path)

    def _fields(
        self, node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]
    ) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}merge":
                shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or section"
                what = f"{shown} cannot be the name of a field; write the fields out"
                self.faults.append(YamlFault(line, what))
                continue
            name = str(key.value)
            if name in seen:
                what = f'"{name}" is there twice, first on line {seen[name]}; keep one of them'
                self.faults.append(YamlFault(line, what))
                continue
            seen[name] = line
            self._lines[*path, name] = line
            yield name, self._value(value, (*path, name), above)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:  # noqa: ANN401 - any JSON value
        kind = node.tag.removeprefix(_TAG)
        if node.style is None:
            self._spelled[path] = node.value
        read = _READ.get(kind)
        if read is None:
            what = f"tag {node.tag} is not supported; remove it and write the value plainly"
            self.faults.append(YamlFault(node.start_mark.line + 1, what))
            return None
        return read(node)


def _read_text(node: yaml.ScalarNode) -> Any:  # noqa: ANN401 - any JSON value
    """A text, or the number that it is to Kubernetes."""
    is_number = node.style is None and _NUMBER.match(node.value)
    return float(node.value) if is_number else node.value


def _read_number(read: Callable[[yaml.ScalarNode], Any]) -> Callable[[yaml.ScalarNode], Any]:
    """Sixty-based numbers, 5:30 for 330, are known to PyYAML alone."""
    return lambda node: node.value if ":" in node.value else read(node)


_READ: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    "null": lambda _: None,
    "bool": _SCALARS.construct_yaml_bool,
    "int": _read_number(_SCALARS.construct_yaml_int),
    "float": _read_number(_SCALARS.construct_yaml_float),
    "str": _read_text,
    "timestamp": lambda node: node.value,
    "value": lambda node: node.value,
}
