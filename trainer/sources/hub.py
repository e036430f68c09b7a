"""A base model in a repository on a Hugging Face Hub.

The client library says what a revision holds and where a file is; the bytes are fetched here, by
plain requests, and not by its ``snapshot_download``: that waits out a rate limit inside (minutes,
deaf to a stop), starts a broken-off file again from nothing in the next process, believes the
metadata it left in the directory, which here is a volume that others write to, and hands over to
``hf_xet`` where it is installed, which talks to other hosts than the endpoint and keeps a cache
of its own. A Hub answers plain requests for every file, those in Xet storage too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # lazily exported

from trainer.contract.failures import FailureClass
from trainer.contract.source import HuggingFaceSource
from trainer.errors import StageError
from trainer.sources.base import ResolvedModel, Wanted
from trainer.sources.cached import find_whole, model_directory, sweep
from trainer.sources.card import license_of
from trainer.sources.counted import check_names, counted
from trainer.sources.fetch import tried_again
from trainer.sources.frozen import check_digest, check_revision
from trainer.sources.gather import Shelf, stock
from trainer.sources.hub_errors import FIELD, hub_errors, refuse_offline
from trainer.sources.listing import Listed, without
from trainer.store.checked import digest_names
from trainer.store.secrets import SecretFiles, without_login

TIMEOUT_S = 10
"""Without an answer, or without a byte more of it."""

PARTIAL_CONTENT = 206

# Else the library asks each Hub for a list of coding agents first, in every new process: a second
# request where a look needs one, and they are counted. It also tells the Hub of our environment.
constants.HF_HUB_DISABLE_TELEMETRY = True

SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
"""Any other pin, a tag say, only leads to one."""


@dataclass(frozen=True)
class HubRevision:
    """A repository at a commit or, before it is looked up, at a branch or tag."""

    endpoint: str
    repo: str
    revision: str
    token: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """What a message calls it."""
        return f"{self.repo} at revision {self.revision}"

    @property
    def shown(self) -> str:
        """The Hub in a message; ``HF_ENDPOINT`` of a mirror may hold a login."""
        return without_login(self.endpoint)

    def look_up(self) -> ModelInfo:
        """What is there, in one answer: the commit, and size and digest of every file."""
        api = HfApi(endpoint=self.endpoint, token=self.token)
        with hub_errors(self.shown, self.place):
            info = api.model_info(
                self.repo, revision=self.revision, files_metadata=True, timeout=TIMEOUT_S
            )
            check_answer(info)
            return info

    def stream(self, name: str, start: int) -> Iterator[bytes]:
        """The file's content from byte ``start`` on; a storage host it leads to gets no token."""
        url = hf_hub_url(self.repo, name, revision=self.revision, endpoint=self.endpoint)
        headers = {**build_hf_headers(token=self.token), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with (
            hub_errors(self.shown, f"{name} of {self.place}"),
            get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response,
        ):
            hf_raise_for_status(response)
            skipped = 0 if response.status_code == PARTIAL_CONTENT else start
            # Blocks as they come: larger ones would be lost with a connection that breaks off.
            yield from without(skipped, response.iter_bytes())

    def differs(self, name: str) -> StageError:
        """A commit's files never change, so something on the way did it."""
        message = (
            f"{FIELD}: {name} of {self.place} came with another content than {self.shown} "
            f"lists; see what changes it on the way (a proxy, a mirror)"
        )
        return StageError(FailureClass.UNAVAILABLE, message)


def check_answer(info: ModelInfo) -> None:
    """What a Hub says is relied on further on, by whoever says it.

    Raises:
        ValueError: no Hub says such a thing.
    """
    if not COMMIT.fullmatch(info.sha or ""):
        raise ValueError("sha")
    for sibling in info.siblings or []:
        name: object = sibling.rfilename
        size: object = sibling.lfs.size if sibling.lfs is not None else sibling.size or 0
        if not isinstance(name, str) or not isinstance(size, int) or size < 0:
            raise ValueError("siblings")
        if sibling.lfs is not None and not SHA256.fullmatch(sibling.lfs.sha256):
            raise ValueError("lfs")


def resolve_hub(wanted: Wanted, source: HuggingFaceSource) -> ResolvedModel:
    """The frozen or pinned revision, or the newest of the branch.

    A frozen revision that lies in the cache whole is used without a question to the Hub.

    Raises:
        StageError: it cannot be had, is not complete, not safe, or not what the run has frozen.
    """
    asked = HubRevision(constants.ENDPOINT, source.repo, wanted.source.revision or source.branch)
    directory = directory_of(wanted, asked)
    files = find_whole(
        directory, wanted.source.content_digest, weights=wanted.weights, transfer=wanted.transfer
    )
    named = ""
    if not files:
        asked, files, named = ask_hub(
            wanted, replace(asked, token=token_of(wanted.secrets, source))
        )
    digest = digest_names(files)
    check_digest(wanted.source, asked.place, digest)
    directory = directory_of(wanted, asked)
    sweep(directory, files)
    return ResolvedModel(directory, asked.repo, asked.revision, digest, files, named)


def ask_hub(wanted: Wanted, asked: HubRevision) -> tuple[HubRevision, dict[str, str], str]:
    """Have the files of the commit that a branch, tag or commit stands for now; and its license."""
    refuse_offline(asked.shown, asked.place)
    info = tried_again(asked.look_up, wanted.transfer)
    there = replace(asked, revision=str(info.sha))
    if COMMIT.fullmatch(asked.revision):
        check_revision(wanted.source, there.place, there.revision)
    names = {sibling.rfilename: listed(sibling) for sibling in info.siblings or []}
    check_names(there.place, names)
    listing = {name: names[name] for name in counted(names)}
    directory = directory_of(wanted, there)
    shelf = Shelf(directory, there, listing, names.keys(), wanted.transfer)
    named = getattr(info.card_data, "license", None)
    return there, stock(shelf, weights=wanted.weights), license_of({"license": named})


def listed(sibling: RepoSibling) -> Listed:
    """What the Hub says of a file: the sha256 of a large one, Git's own name of a small one."""
    if sibling.lfs is not None:
        return Listed(sibling.lfs.size, sha256=sibling.lfs.sha256)
    return Listed(sibling.size or 0, git_blob=sibling.blob_id or "")


def directory_of(wanted: Wanted, asked: HubRevision) -> Path:
    """Where this revision is kept; other revisions lie elsewhere and stay as they are."""
    identity = f"{asked.endpoint}/{asked.repo}@{asked.revision}"
    return model_directory(wanted.cache, identity)


def token_of(secrets: SecretFiles, source: HuggingFaceSource) -> str | None:
    """The token of the Secret; None: what the environment has, if anything.

    Raises:
        StageError: the Secret or its key is missing.
    """
    found = secrets.values(
        "base", source.secret_ref, field=f"{FIELD}.secretRef", required=["token"]
    )
    return found["token"] if found else None
