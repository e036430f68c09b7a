"""Reading a branch, changing its marked lines, pushing one commit: again until nobody is faster.

Nothing outside the path is touched. The branch that people use only ever moves forward; a push
branch is built anew on it each time, and stays as it is when it holds just that already.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dulwich.objects import Commit, ObjectID, ShaFile

from trainer.contract.failures import FailureClass
from trainer.git.client import Client
from trainer.git.objects import Objects, opened
from trainer.git.push import RacedError, push
from trainer.sources.base import BrokenOffError
from trainer.writeback.manifests import shown, with_files
from trainer.writeback.message import message_of
from trainer.writeback.scan import Findings, scan
from trainer.writeback.task import Task

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Between rounds; a second writer mostly needs one moment."""

FORBIDDEN = dict.fromkeys([*range(32), 127, ord("<"), ord(">")])
"""What would end a name in a commit."""


@dataclass(frozen=True)
class Written:
    """What it came to; ``commit`` is empty where nothing had to change."""

    commit: str = ""
    changed_files: int = 0
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A commit, and what a server lacks of it: nothing when it is there."""

    written: Written
    objects: Sequence[ShaFile] = ()


def write(task: Task) -> Written:
    """Rounds until one gets through.

    Raises:
        StageError: there is nothing to write, or it cannot be written, or not in five rounds.
    """
    pushed: dict[str, Written] = {}
    for pause_s in PAUSES_S:
        try:
            return one_round(task, pushed)
        except (RacedError, BrokenOffError):
            task.transfer.pause(pause_s)
    return one_round(task, pushed)


def one_round(task: Task, pushed: dict[str, Written]) -> Written:
    """Read, change and push; ``pushed`` are commits that may have got there unknown to us."""
    client = Client(task.place)
    heads = client.heads(task.git.branch, task.target)
    head, seen = heads.get(task.git.branch, ""), heads.get(task.target, "")
    if not head:
        reason = f"there is no branch {task.git.branch}; correct {task.place.field}.branch"
        raise task.place.error(FailureClass.NOT_FOUND, reason)
    if head in pushed:
        return pushed[head]
    with opened(client, task.scratch, task.transfer) as objects:
        commits = objects.commits(*dict.fromkeys(each for each in (head, seen) if each))
        findings = scan(task, objects, commits[0].tree)
        if not findings.files:
            return Written(foreign=tuple(findings.foreign))
        proposal = propose(task, objects, findings, commits)
        if proposal.objects:
            pushed[proposal.written.commit] = proposal.written
            push(client, task.target, seen, proposal.written.commit, proposal.objects)
        return proposal.written


def propose(task: Task, objects: Objects, findings: Findings, commits: list[Commit]) -> Proposal:
    """The change as a commit, unless the last of the commits, the push branch's, is just that."""
    base, there = commits[0], commits[-1]
    new = with_files(objects, objects.tree(base.tree), findings.files)
    count, foreign = len(findings.files), tuple(findings.foreign)
    if there.tree == new[-1].id and there.parents == [base.id]:
        return Proposal(Written(there.id.decode(), count, foreign))
    commit = commit_of(task, findings, base, new[-1].id)
    return Proposal(Written(commit.id.decode(), count, foreign), distinct([*new, commit]))


def distinct(objects: list[ShaFile]) -> list[ShaFile]:
    """Each once: equal files and directories are one object."""
    return list({each.id: each for each in objects}.values())


def commit_of(task: Task, findings: Findings, base: Commit, tree: ObjectID) -> Commit:
    """The change as a commit on the branch."""
    files = sorted(shown(path) for path in findings.files)
    commit = Commit()
    commit.tree, commit.parents = tree, [base.id]
    commit.author = commit.committer = person(task.git.author_name, task.git.author_email)
    commit.author_time = commit.commit_time = int(task.now.timestamp())
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = message_of(task.request, files, task.hub).encode(errors="replace")
    return commit


def person(name: str, email: str) -> bytes:
    """As a commit has it."""
    plain = name.translate(FORBIDDEN).strip() or email.partition("@")[0]
    return f"{plain} <{email.translate(FORBIDDEN)}>".encode(errors="replace")
