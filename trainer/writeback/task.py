"""What is to be written where, checked before anything is asked of a server."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dulwich.refs import Ref, check_ref_format

from trainer.contract.errand import WriteBackRequest
from trainer.contract.failures import FailureClass
from trainer.contract.writeback import GitWriteBack
from trainer.errors import StageError
from trainer.git.client import HEADS
from trainer.git.place import Place, open_place
from trainer.sources.base import Transfer
from trainer.store.secrets import SecretFiles
from trainer.writeback.markers import REVISION, BaseModelName

FIELD = "spec.writeBack.git"


@dataclass(frozen=True)
class Task:
    """One write-back, whatever it takes to get it through."""

    request: WriteBackRequest
    place: Place
    scratch: Path
    transfer: Transfer
    now: datetime
    hub: str
    """The Hub that links lead to."""

    @property
    def git(self) -> GitWriteBack:
        """Where to."""
        return self.request.git

    @property
    def own(self) -> BaseModelName:
        """Whose markers are followed."""
        return BaseModelName(self.request.base_model.namespace, self.request.base_model.name)

    @property
    def revision(self) -> str:
        """The new one."""
        return self.request.new.revision

    @property
    def target(self) -> str:
        """The branch to push."""
        return self.git.push_branch or self.git.branch

    @property
    def path(self) -> tuple[bytes, ...]:
        """Names from the root to the directory that may be written to."""
        return tuple(name.encode() for name in self.git.path.split("/") if name not in ("", "."))


def open_place_of(request: WriteBackRequest, secrets: SecretFiles) -> Place:
    """The repository, with the credentials of the role ``git``.

    Raises:
        StageError: something that the spec says cannot be used.
    """
    git = request.git
    for name, branch in (("branch", git.branch), ("pushBranch", git.push_branch)):
        if branch is not None and not check_ref_format(Ref(f"{HEADS}{branch}".encode())):
            raise refused(f"{FIELD}.{name}: {branch!r} is no name of a branch; correct it")
    if ".." in git.path.split("/") or "\\" in git.path or git.path.startswith("/"):
        message = f"{FIELD}.path: {git.path!r} is no directory of the repository; "
        raise refused(f"{message}give a path from its root, without '..'")
    if not REVISION.fullmatch(request.new.revision):
        message = f"revision {request.new.revision!r} is no commit and no short digest"
        raise refused(f"{FIELD}: {message}; it is not written anywhere")
    return open_place(git.url, FIELD, "git", git.secret_ref, secrets)


def refused(message: str) -> StageError:
    """The user's mistake."""
    return StageError(FailureClass.INVALID_SPEC, message)
