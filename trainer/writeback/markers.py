"""Lines that carry a marker, and how their revision is changed; nothing else of a file ever is.

A marked line is ``revision: <old> # {"$basemodel": "<namespace>:<name>"}``. The value of its one
``revision`` key is replaced, in the quotes that it has; every other byte of the file stays.
Pure: text in, text out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

KEY = "revision"
MARKER = "$basemodel"
BOM = "\ufeff"

LINES = re.compile(r"(\r\n|\n|\r)")
COMMENT = re.compile(r'#[ \t]*(\{[^{}]*"\$basemodel"[^{}]*\})[ \t]*$')
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{12}")
"""What may be replaced and what may be written: a commit, or the start of a content digest, which
is the revision of sources that have no commits. No branch, no tag."""

NUMBER = re.compile(r"[0-9]+(e[0-9]+)?|0b[01]+")
"""What a reader of YAML takes for a number where it is not in quotes."""


@dataclass(frozen=True)
class BaseModelName:
    """Whose markers may be followed."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """As a marker has it."""
        return f"{self.namespace}:{self.name}"


@dataclass(frozen=True)
class Problem:
    """A marked line that is not changed."""

    line: int
    reason: str


@dataclass(frozen=True)
class Rewritten:
    """What became of a file."""

    text: str
    marked: int = 0
    """Lines with a marker of this BaseModel that can be followed."""
    faulty: tuple[Problem, ...] = ()
    """Lines with its marker that can not."""
    foreign: tuple[Problem, ...] = ()
    """Lines with a marker of another namespace."""


def rewrite(text: str, own: BaseModelName, revision: str) -> Rewritten:
    """The file with this revision on every line with a marker of this BaseModel.

    Raises:
        ValueError: the revision is not one.
    """
    if not REVISION.fullmatch(revision):
        raise ValueError(f"{revision!r} is no revision")
    pieces = LINES.split(text)
    marked, faulty, foreign = 0, [], []
    for at, target in marked_lines(pieces):
        number = at // 2 + 1
        if target == str(own):
            line, reason = with_revision(pieces[at], revision)
            pieces[at] = line
            marked += not reason
            faulty += [Problem(number, reason)] if reason else []
        elif reason := strange(target, own):
            foreign.append(Problem(number, reason))
    return Rewritten("".join(pieces), marked, tuple(faulty), tuple(foreign))


def marked_lines(pieces: list[str]) -> Iterator[tuple[int, str]]:
    """Where there is a marker, and whom it names; lines are every second piece."""
    for at in range(0, len(pieces), 2):
        line = pieces[at]
        if MARKER in line and not line.lstrip(f" \t{BOM}").startswith("#"):
            found = COMMENT.search(line)
            target = target_of(found[1]) if found else None
            if target is not None:
                yield at, target


def target_of(marker: str) -> str | None:
    """Whom a marker names; None: it is none."""
    try:
        document = json.loads(marker)
    except ValueError:
        return None
    target = document.get(MARKER)
    return target if isinstance(target, str) and len(document) == 1 else None


def strange(target: str, own: BaseModelName) -> str:
    """Why a marker that names another is worth a word; empty: it is somebody else's business."""
    namespace, found, name = target.partition(":")
    if not found or not NAME.fullmatch(namespace) or not NAME.fullmatch(name):
        return f"{target!r} is not namespace:name"
    if namespace != own.namespace:
        return f"{target} is in another namespace than {own}"
    return ""


def with_revision(line: str, revision: str) -> tuple[str, str]:
    """The line with the revision, or as it is and why."""
    spans = values_of(line)
    if len(spans) != 1:
        return line, f"it has {len(spans) or 'no'} {KEY} with a value of its own"
    start, end = spans[0]
    written = line[start:end]
    quote = written[0] if written[:1] in ("'", '"') else ""
    old = written[1:-1] if quote else written
    if not REVISION.fullmatch(old):
        return line, f"its {KEY} is no commit and no short digest, so it is not replaced"
    if old == revision:
        return line, ""
    quote = quote or ('"' if NUMBER.fullmatch(revision) else "")
    return f"{line[:start]}{quote}{revision}{quote}{line[end:]}", ""


def values_of(line: str) -> list[tuple[int, int]]:
    """Where the values of the line's ``revision`` keys are, quotes included.

    The line is read as YAML on its own; one that is only part of something gives no value.
    """
    try:
        tokens = list(yaml.scan(line))
    except yaml.YAMLError:
        return []
    pairs = (value_at(tokens, at) for at, each in enumerate(tokens) if is_key(tokens, at))
    return [(each.start_mark.index, each.end_mark.index) for each in pairs if each is not None]


def is_key(tokens: list[yaml.Token], at: int) -> bool:
    """Whether the key of interest begins here."""
    match tokens[at : at + 3]:
        case [yaml.KeyToken(), yaml.ScalarToken(value=text), yaml.ValueToken()]:
            return bool(text == KEY)
        case _:
            return False


def value_at(tokens: list[yaml.Token], at: int) -> yaml.ScalarToken | None:
    """The scalar that is the value of the key that begins here; None: it is something else."""
    plain = (each for each in tokens[at + 3 :] if not isinstance(each, DECORATION))
    value = next(plain, None)
    return value if isinstance(value, yaml.ScalarToken) else None


DECORATION = (yaml.AnchorToken, yaml.TagToken)
