"""A base model in a Git repository: a commit's files at the root, those in LFS by their pointers.

Little is fetched: one commit without its history and, where the server filters, without large
files. Pointers give the digests of what is in LFS, so that weights are fetched only where they
are wanted. A large file that Git itself keeps has no sha256 anywhere: it is read once.
"""

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.source import GitSource
from trainer.errors import StageError
from trainer.git.blob import content_of, size_of
from trainer.git.client import Client
from trainer.git.lfs import Lfs
from trainer.git.objects import SMALL_BYTES, Objects, opened
from trainer.git.place import Place, open_place
from trainer.git.pointer import Pointer, pointer_of
from trainer.sources.base import ResolvedModel, Wanted
from trainer.sources.cached import find_whole, model_directory, sweep
from trainer.sources.counted import check_names, counted, is_weight
from trainer.sources.fetch import tried_again
from trainer.sources.frozen import check_digest
from trainer.sources.gather import Shelf, stock
from trainer.sources.listing import Listed, without
from trainer.store.checked import blocks, digest_names
from trainer.store.secrets import SecretFiles

FIELD = "spec.baseModel.git"
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class GitCommit:
    """A commit whose trees are here; the remote that its files come from."""

    objects: Objects
    revision: str
    blobs: Mapping[str, bytes]
    """Git's name of each file at the root."""
    pointers: Mapping[str, Pointer]
    """What those of the counted files point to that are pointers."""
    lfs: Lfs = field(repr=False)

    @property
    def place(self) -> str:
        """What a message calls it."""
        return f"{self.objects.client.place.url} at commit {self.revision}"

    def stream(self, name: str, start: int) -> Iterator[bytes]:
        """The file's content from byte ``start`` on; Git itself cannot begin in the middle."""
        blob = self.blobs[name]
        if name in self.pointers:
            return self.lfs.stream(name, self.pointers[name], start)
        if self.objects.has(blob):
            return without(start, blocks(self.objects.path(blob)))
        return without(start, content_of(self.objects, blob))

    def differs(self, name: str) -> StageError:
        """A commit's files never change, so something on the way did it."""
        message = (
            f"{FIELD}: {name} of {self.place} came with another content than the commit lists; "
            f"see what changes it on the way (a proxy, a mirror, a damaged LFS store)"
        )
        return StageError(FailureClass.UNAVAILABLE, message)

    def listing(self) -> dict[str, Listed]:
        """The counted files; small ones are brought here, of large ones the size is asked."""
        names = counted(self.blobs)
        self.objects.bring(self.blobs[name] for name in names if not is_weight(name))
        return {name: self.listed(name) for name in names}

    def listed(self, name: str) -> Listed:
        """What the commit says of a file; of a large one of Git itself the size is asked."""
        blob, pointer = self.blobs[name], self.pointers.get(name)
        if pointer is not None:
            return Listed(pointer.size, sha256=pointer.sha256)
        if self.objects.has(blob):
            return Listed(self.objects.path(blob).stat().st_size, git_blob=blob.decode())
        return Listed(size_of(self.objects, blob), git_blob=blob.decode())


def resolve_git(wanted: Wanted, source: GitSource) -> ResolvedModel:
    """The frozen or pinned commit, or the newest of the branch.

    A frozen commit that lies in the cache whole is used without a question to the server.

    Raises:
        StageError: it cannot be had, is not complete, not safe, or not what the run has frozen.
    """
    revision = pinned(wanted.source.revision)
    files = find_frozen(wanted, source, revision)
    if not files:
        revision, files = ask_server(wanted, source, revision)
    digest = digest_names(files)
    check_digest(wanted.source, f"{source.url} at commit {revision}", digest)
    directory = directory_of(wanted, source, revision)
    sweep(directory, files)
    return ResolvedModel(directory, source.url, revision, digest, files)


def pinned(revision: str | None) -> str:
    """The commit that the spec names; empty: none.

    Raises:
        StageError: it is no commit.
    """
    if revision is not None and not COMMIT.fullmatch(revision):
        message = (
            f"spec.baseModel.revision: {revision} is no commit; give the 40 digits of one (a "
            f"branch is followed by {FIELD}.branch)"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)
    return revision or ""


def find_frozen(wanted: Wanted, source: GitSource, revision: str) -> dict[str, str]:
    """The frozen model's files, when they are in the cache whole; else nothing."""
    if not revision:
        return {}
    return find_whole(
        directory_of(wanted, source, revision),
        wanted.source.content_digest,
        weights=wanted.weights,
        transfer=wanted.transfer,
    )


def ask_server(wanted: Wanted, source: GitSource, revision: str) -> tuple[str, dict[str, str]]:
    """Have the files of the commit, or of the branch's newest one; which it is."""
    place = open_source(source, wanted.secrets)
    client = Client(place)
    head = tried_again(lambda: newest(client, source.branch, revision), wanted.transfer)
    directory = directory_of(wanted, source, head)
    with opened(client, directory.parent, wanted.transfer) as objects:
        commit = tried_again(lambda: read_commit(objects, head, source.branch), wanted.transfer)
        check_names(commit.place, commit.blobs.keys())
        listing = tried_again(commit.listing, wanted.transfer)
        shelf = Shelf(directory, commit, listing, commit.blobs.keys(), wanted.transfer)
        return head, stock(shelf, weights=wanted.weights)


def newest(client: Client, branch: str, pin: str = "") -> str:
    """The commit to read: the pinned one, else the head of the branch.

    Raises:
        StageError: there is no such branch, or the server cannot be asked.
    """
    heads = client.heads(branch)
    if pin:
        return pin
    if branch not in heads:
        reason = f"there is no branch {branch}; correct {client.place.field}.branch"
        raise client.place.error(FailureClass.NOT_FOUND, reason)
    return heads[branch]


def read_commit(objects: Objects, revision: str, branch: str) -> GitCommit:
    """Fetch the commit and list the files at its root; links and submodules are none."""
    (commit,) = objects.commits(revision)
    entries = objects.tree(commit.tree).items()
    blobs = {
        entry.path.decode(errors="replace"): bytes(entry.sha)
        for entry in entries
        if stat.S_ISREG(entry.mode)
    }
    pointers = find_pointers(objects, blobs)
    return GitCommit(objects, revision, blobs, pointers, Lfs(objects.client.place, branch))


def find_pointers(objects: Objects, blobs: Mapping[str, bytes]) -> dict[str, Pointer]:
    """Those of the counted files that are pointers; all pointers are small, so they are here."""
    here = (name for name in counted(blobs) if is_short(objects, blobs[name]))
    found = ((name, pointer_of(objects.blob(blobs[name]))) for name in here)
    return {name: pointer for name, pointer in found if pointer is not None}


def is_short(objects: Objects, blob: bytes) -> bool:
    """Whether the file is here and may be a pointer."""
    return objects.has(blob) and objects.path(blob).stat().st_size < SMALL_BYTES


def open_source(source: GitSource, secrets: SecretFiles) -> Place:
    """The repository, with the credentials of the role ``base``."""
    return open_place(source.url, FIELD, "base", source.secret_ref, secrets)


def directory_of(wanted: Wanted, source: GitSource, revision: str) -> Path:
    """Where this commit is kept; others lie elsewhere and stay as they are."""
    return model_directory(wanted.cache, f"{source.url}@{revision}")
