"""A look at a repository on a Hub: one question for the commit, and no weights.

The answer has the sha256 of every file in LFS or Xet storage. Small files it names by Git's
sha1, so those are read; with the memo only those that no earlier look has read.
"""

from dataclasses import replace

from huggingface_hub import constants

from trainer.contract.errand import ModelRevision
from trainer.contract.source import HuggingFaceSource
from trainer.sources.fetch import tried_again
from trainer.sources.hub import HubRevision, listed, token_of
from trainer.sources.hub_errors import refuse_offline
from trainer.sources.listing import Listed
from trainer.sources.look_base import (
    Look,
    check_documents,
    counted_of,
    remembered,
    sha256_of,
    with_digests,
)
from trainer.store.checked import digest_names


def look_hub(look: Look, source: HuggingFaceSource) -> ModelRevision:
    """The commit that the branch stands for now, and what it contains.

    Raises:
        StageError: it cannot be had, or no run could train on it.
    """
    token = token_of(look.secrets, source)
    branch = HubRevision(constants.ENDPOINT, source.repo, source.branch, token=token)
    refuse_offline(branch.shown, branch.place)
    info = tried_again(branch.look_up, look.transfer)
    there = replace(branch, revision=str(info.sha))
    if look.known is not None and look.known.revision == there.revision:
        return look.known  # a commit's files never change
    names = {sibling.rfilename: listed(sibling) for sibling in info.siblings or []}
    listing = counted_of(there.place, names)
    files = {name: digest_of(look, there, name, each) for name, each in listing.items()}
    digest = digest_names(files)
    if not look.is_known(digest):
        check_documents(look, there, with_digests(listing, files), names)
    return ModelRevision(revision=there.revision, content_digest=digest)


def digest_of(look: Look, there: HubRevision, name: str, each: Listed) -> str:
    """The sha256 of a file; Git's name of a small one is its content, wherever it lies."""
    if each.sha256:
        return each.sha256
    identity = f"git blob {each.git_blob} {each.size}"

    def read() -> str:
        return sha256_of(there, name, each, look.transfer)

    return remembered(look, identity, each.size, read) if each.git_blob else read()
