"""The words of a commit: what moved, so that a forge's own pull request reads well. Pure."""

from collections.abc import Mapping, Sequence
from string import Template

from trainer.contract.errand import WriteBackRequest
from trainer.contract.source import ModelSource

SHORT = 12
MAX_SUBJECT = 72
MAX_FILES = 50
HUB = "https://huggingface.co"

USUAL = Template("""\
$subject

BaseModel $namespace/$name has a new revision.

- Revision: $revisions
- Content: $digests
- Source: $link

Once this is merged, those jobs in these files that were never trained on this content train on it.
What they have promoted stays until something better comes out of that:

$files
""")
"""Which of them were, only their outputs know: a new BaseModel does not know what was there before,
so that nothing but a README may lie between the two."""


def message_of(request: WriteBackRequest, files: Sequence[str], hub: str = HUB) -> str:
    """The commit's message, from the spec's template or else the usual one."""
    words = {**words_of(request, hub), "files": listed(files)}
    own = request.git.message
    if own is not None and own.strip():
        text = Template(own).safe_substitute(words)
    else:
        text = USUAL.substitute(words, **moved(words))
    return text.replace("\0", "").rstrip() + "\n"


def words_of(request: WriteBackRequest, hub: str) -> dict[str, str]:
    """What a template may name, but for the files."""
    old, new = request.old, request.new
    return {
        "name": request.base_model.name,
        "namespace": request.base_model.namespace,
        "oldRevision": old.revision if old else "",
        "newRevision": new.revision,
        "oldDigest": old.content_digest if old else "",
        "newDigest": new.content_digest,
        "link": link_to(request.source, new.revision, hub),
    }


def moved(words: Mapping[str, str]) -> dict[str, str]:
    """From what to what."""
    subject = f"Update {words['name']} to {words['newRevision'][:SHORT]}"
    if len(subject) > MAX_SUBJECT:
        subject = f"Update a base model to {words['newRevision'][:SHORT]}"
    return {
        "subject": subject,
        "revisions": arrow(words["oldRevision"], words["newRevision"]),
        "digests": arrow(words["oldDigest"], words["newDigest"]),
    }


def arrow(old: str, new: str) -> str:
    """The new one, and what it takes the place of."""
    return f"{old} -> {new}" if old else new


def listed(files: Sequence[str]) -> str:
    """One on a line, as forges show a list."""
    lines = [f"- {name}" for name in files[:MAX_FILES]]
    more = len(files) - MAX_FILES
    return "\n".join([*lines, f"- and {more} more"] if more > 0 else lines)


def link_to(source: ModelSource, revision: str, hub: str) -> str:
    """Where a person can look at the revision."""
    if source.hugging_face is not None:
        return f"{hub.rstrip('/')}/{source.hugging_face.repo}/commit/{revision}"
    if source.git is not None:
        return f"{source.git.url.rstrip('/').removesuffix('.git')}/commit/{revision}"
    if source.s3 is not None:
        return source.s3.uri
    return source.directory.path if source.directory is not None else ""
