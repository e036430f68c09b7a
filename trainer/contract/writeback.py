"""Where new revisions of a base model are written: the section of a BaseModel that travels.

One description per field: it becomes the CRD's text and the field table of the docs.
"""

from pydantic import Field

from trainer.contract.base import LocalObjectReference, Wire

DEFAULT_AUTHOR = "tunekeeper"


class GitWriteBack(Wire):
    """The repository of manifests that new revisions are committed to."""

    url: str = Field(max_length=512, pattern=r"^https?://", description="Smart HTTP URL.")
    branch: str = Field(
        default="main", min_length=1, max_length=200, description="Branch to start from."
    )
    push_branch: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Branch to push, rebuilt from branch each time; default: branch itself.",
    )
    path: str = Field(
        default=".", max_length=1024, description="Directory below which markers are looked for."
    )
    secret_ref: LocalObjectReference | None = Field(
        default=None, description="Secret with username and password."
    )
    author_name: str = Field(
        default=DEFAULT_AUTHOR, min_length=1, max_length=200, description="Author of the commits."
    )
    author_email: str = Field(
        default="tunekeeper@tunekeeper.dev",
        max_length=254,
        pattern=r"^[^@\s<>]+@[^@\s<>]+$",
        description="Author's address.",
    )
    message: str | None = Field(
        default=None,
        max_length=4096,
        description="Commit message instead of the usual one; $name, $namespace, $oldRevision, "
        "$newRevision, $oldDigest, $newDigest, $link and $files are filled in.",
    )


class WriteBack(Wire):
    """Where new revisions are written."""

    git: GitWriteBack = Field(description="A Git repository.")
