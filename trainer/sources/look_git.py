"""A look at a Git repository: one question for the branch, and no weights.

A pointer of LFS has its file's sha256 in it. Other files are read, and through the memo only
those that no earlier look has read: Git's name of a file is its content, whatever the commit.
"""

from trainer.contract.errand import ModelRevision
from trainer.contract.source import GitSource
from trainer.git.client import Client
from trainer.git.objects import opened
from trainer.sources.counted import INDEXES, check_names, counted, is_weight, matches
from trainer.sources.fetch import tried_again
from trainer.sources.git import GitCommit, newest, open_source, read_commit
from trainer.sources.look_base import (
    Look,
    check_documents,
    remembered,
    sha256_of,
    whole_digest,
)

ASSUMED_BYTES = 1 << 40
"""Of a file that the memo knows and nobody needs to measure: what keeps its entry there."""


def look_git(look: Look, source: GitSource) -> ModelRevision:
    """The commit that the branch stands for now, and what it contains.

    Raises:
        StageError: it cannot be had, or no run could train on it.
    """
    client = Client(open_source(source, look.secrets))
    head = tried_again(lambda: newest(client, source.branch), look.transfer)
    if look.known is not None and look.known.revision == head:
        return look.known  # a commit's files never change
    with opened(client, look.work, look.transfer) as objects:
        commit = tried_again(lambda: read_commit(objects, head, source.branch), look.transfer)
        return ModelRevision(revision=head, content_digest=digest_of(look, commit))


def digest_of(look: Look, commit: GitCommit) -> str:
    """The content digest, checked to be of something to train on where it is a new one."""
    check_names(commit.place, commit.blobs.keys())
    names = counted(commit.blobs)
    identities = [f"{name} {commit.blobs[name].decode()}" for name in names]
    digest = whole_digest(look, identities, lambda: digests_of(look, commit, names))
    if not look.is_known(digest):
        wanted = [name for name in names if name == "config.json" or matches(name, INDEXES)]
        bring(look, commit, wanted)
        listing = {name: commit.listed(name) for name in wanted}
        check_documents(look, commit, listing, commit.blobs.keys())
    return digest


def digests_of(look: Look, commit: GitCommit, names: list[str]) -> dict[str, str]:
    """The sha256 of each; small files that are to be read are brought together."""
    unknown = [name for name in names if look.memo.get(identity_of(commit, name)) is None]
    bring(look, commit, [name for name in unknown if not is_weight(name)])
    return {name: sha256(look, commit, name) for name in names}


def sha256(look: Look, commit: GitCommit, name: str) -> str:
    """Of one file: as its pointer has it, remembered or, at last, read."""
    pointer = commit.pointers.get(name)
    if pointer is not None:
        return pointer.sha256
    identity = identity_of(commit, name)
    if look.memo.get(identity) is not None:
        return remembered(look, identity, ASSUMED_BYTES, lambda: "")
    each = tried_again(lambda: commit.listed(name), look.transfer)
    return remembered(
        look, identity, each.size, lambda: sha256_of(commit, name, each, look.transfer)
    )


def identity_of(commit: GitCommit, name: str) -> str:
    """Git's name for the file's content."""
    return f"git blob {commit.blobs[name].decode()}"


def bring(look: Look, commit: GitCommit, names: list[str]) -> None:
    """Have the contents of small files here; those in LFS are not Git's to give."""
    wanted = [commit.blobs[name] for name in names if name not in commit.pointers]
    tried_again(lambda: commit.objects.bring(wanted), look.transfer)
