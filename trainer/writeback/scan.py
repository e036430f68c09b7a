"""What the manifests below the path hold for a BaseModel, and what is wrong with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dulwich.objects import Tree

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.git.objects import Objects
from trainer.writeback.manifests import (
    MAX_BYTES,
    MAX_ENTRIES,
    Manifest,
    Path,
    find_directory,
    manifests,
    text_of,
)
from trainer.writeback.markers import Problem, Rewritten, rewrite
from trainer.writeback.task import Task, refused

MAX_SHOWN = 3


@dataclass
class Findings:
    """Of one commit."""

    files: dict[Path, bytes] = field(default_factory=dict)
    """New contents."""
    marked: int = 0
    faulty: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Markers of other namespaces, which are left alone."""

    def add(self, manifest: Manifest, text: str, found: Rewritten) -> None:
        """Take in a file."""
        self.marked += found.marked
        self.faulty += places(manifest, found.faulty)
        self.foreign += places(manifest, found.foreign)
        if found.text != text:
            self.files[manifest.path] = found.text.encode()


def scan(task: Task, objects: Objects, root: bytes) -> Findings:
    """Every manifest below the path, with the new revision where a marker asks for it.

    Raises:
        StageError: there is nothing to follow, or something that cannot be followed.
    """
    directory = find_directory(objects, root, task.path)
    if directory is None:
        reason = f"branch {task.git.branch} has no directory {task.git.path}; correct .path"
        raise task.place.error(FailureClass.NOT_FOUND, reason)
    there = listed(task, objects, directory)
    objects.bring(manifest.blob for manifest in there)
    findings = Findings()
    for manifest in there:
        task.transfer.on_bytes(0)
        is_one = objects.path(manifest.blob).stat().st_size <= MAX_BYTES
        text = text_of(objects.blob(manifest.blob)) if is_one else None
        if text is not None:
            findings.add(manifest, text, rewrite(text, task.own, task.revision))
    check(task, findings)
    return findings


def listed(task: Task, objects: Objects, directory: Tree) -> list[Manifest]:
    """Every manifest below the path."""
    try:
        return list(manifests(objects, directory, task.path))
    except OverflowError:
        reason = f"there are more than {MAX_ENTRIES} files below {task.git.path}; give a path that "
        raise refused(task.place.says(f"{reason}has fewer, in .path")) from None


def check(task: Task, findings: Findings) -> None:
    """Refuse to write half of it, or nothing without a word."""
    if findings.faulty:
        what = f"the marker {task.own} is on lines that cannot be changed: {some(findings.faulty)}"
        raise refused(task.place.says(f"{what}; nothing was written"))
    if findings.marked:
        return
    others = f" (found, and not followed: {some(findings.foreign)})" if findings.foreign else ""
    message = (
        f"no line below {task.git.path} on branch {task.git.branch} has the marker of this "
        f'BaseModel{others}; put  # {{"$basemodel": "{task.own}"}}  behind a revision'
    )
    failure, cause = FailureClass.INVALID_SPEC, Cause.MARKER_NOT_FOUND
    raise StageError(failure, task.place.says(message), cause=cause)


def places(manifest: Manifest, problems: Iterable[Problem]) -> list[str]:
    """What is wrong where."""
    return [f"{manifest.name}:{problem.line}: {problem.reason}" for problem in problems]


def some(problems: Sequence[str]) -> str:
    """The first of them, and how many there are besides."""
    more = len(problems) - MAX_SHOWN
    return "; ".join([*problems[:MAX_SHOWN], f"and {more} more"] if more > 0 else problems)
