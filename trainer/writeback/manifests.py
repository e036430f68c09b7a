"""The manifests of a commit: which are below a path, and the tree with new ones in their places.

Only regular files whose name ends as YAML does; links, submodules and what is no text are none.
"""

import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dulwich.objects import Blob, ObjectID, ShaFile, Tree

from trainer.git.objects import Objects

SUFFIXES = (b".yaml", b".yml")
MAX_ENTRIES = 100_000
"""Files and directories below a path. Ten directories that hold one another's names ten times make
ten thousand million files of a repository of a few hundred bytes."""
MAX_BYTES = 16 << 20
"""Of a manifest; an API server takes no object of two megabytes, and a file may hold several."""
Path = tuple[bytes, ...]
"""Names from the root on; they need not be UTF-8."""


@dataclass(frozen=True)
class Manifest:
    """A file in a commit."""

    path: Path
    blob: bytes

    @property
    def name(self) -> str:
        """What a message calls it."""
        return shown(self.path)


def shown(path: Path) -> str:
    """A path as text, without what would break a message's lines."""
    text = b"/".join(path).decode(errors="replace")
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def find_directory(objects: Objects, root: bytes, path: Path) -> Tree | None:
    """The directory at the path; None: there is none."""
    tree = objects.tree(root)
    for name in path:
        mode, sha = tree[name] if name in tree else (0, ObjectID(b""))
        if not stat.S_ISDIR(mode):
            return None
        tree = objects.tree(sha)
    return tree


def manifests(objects: Objects, directory: Tree, path: Path) -> Iterator[Manifest]:
    """Those in and below a directory, in the order of the tree.

    Raises:
        OverflowError: there are too many to look through.
    """
    waiting, seen = [(path, directory)], 0
    while waiting:
        above, tree = waiting.pop()
        seen += len(tree)
        if seen > MAX_ENTRIES:
            raise OverflowError
        for entry in tree.items():
            here = (*above, entry.path)
            if stat.S_ISDIR(entry.mode):
                waiting.append((here, objects.tree(entry.sha)))
            elif stat.S_ISREG(entry.mode) and entry.path.endswith(SUFFIXES):
                yield Manifest(here, bytes(entry.sha))


def text_of(content: bytes) -> str | None:
    """A manifest's text; None: it is none."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def with_files(objects: Objects, tree: Tree, files: Mapping[Path, bytes]) -> list[ShaFile]:
    """The tree with other contents in places that it has: the new objects, the root's tree last."""
    below: dict[bytes, dict[Path, bytes]] = defaultdict(dict)
    for path, content in files.items():
        below[path[0]][path[1:]] = content
    made: list[ShaFile] = []
    new = tree.copy()
    assert isinstance(new, Tree)  # noqa: S101 - of a tree
    for name, inside in below.items():
        mode, sha = tree[name]
        if () in inside:
            made.append(Blob.from_string(inside[()]))
        else:
            made += with_files(objects, objects.tree(sha), inside)
        new[name] = (mode, made[-1].id)
    return [*made, new]
