"""Pushing one commit onto one branch, if the branch is still what was seen.

The old value goes with the push and the server compares: that is the lease. What a refusal means
is told from the few words that Git has for it; what a hook prints is not passed on.
"""

from collections.abc import Iterator, Sequence

from dulwich.errors import SendPackError
from dulwich.objects import ObjectID, ShaFile
from dulwich.pack import UnpackedObject, pack_objects_to_data
from dulwich.protocol import ZERO_SHA
from dulwich.refs import Ref

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.git.client import HEADS, Client
from trainer.git.errors import Remark, git_errors

DENIALS = {
    "declined": "a hook or a rule of the server declines it",
    "protected": "the branch is protected",
    "prohibited": "the server prohibits it",
    "denied": "the server denies it",
    "not allowed": "the server does not allow it",
    "hidden ref": "the branch is hidden",
    "checked out": "the branch is checked out there",
    "non-fast-forward": "the server does not let a branch be rebuilt",
    "permission": "the server denies it",
}
"""Words of a refusal that another try does not change."""


class RacedError(StageError):
    """The branch is not what it was when it was read, or the server could not take it just now."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureClass.UNAVAILABLE, message)


def push(client: Client, branch: str, seen: str, commit: str, objects: Sequence[ShaFile]) -> None:
    """Set the branch from what was seen (empty: nothing) to the commit.

    Args:
        client: The repository.
        branch: Its name.
        seen: The commit that it was.
        commit: What it shall be.
        objects: What the server does not have.

    Raises:
        RacedError: somebody else was there; read it again.
        StageError: it cannot be pushed.
    """
    ref, old = Ref(f"{HEADS}{branch}".encode()), ObjectID(seen.encode() or ZERO_SHA)

    def update(there: dict[Ref, ObjectID]) -> dict[Ref, ObjectID]:
        if there.get(ref, ZERO_SHA) != old:
            raise raced(client, branch)
        return {ref: ObjectID(commit.encode())}

    def pack(*_arguments: object, **_options: object) -> tuple[int, Iterator[UnpackedObject]]:
        return pack_objects_to_data(list(objects))

    with git_errors(client.place):
        try:
            result = client.send_pack(b"", update, pack)
        except (SendPackError, Remark):
            raise raced(client, branch) from None
    refusal = (result.ref_status or {}).get(ref, "no report")
    if refusal is not None:
        raise refused(client, branch, refusal)


def raced(client: Client, branch: str) -> RacedError:
    """Not taken, though it may be next time."""
    reason = f"branch {branch} changes all the time, or its server cannot take a commit just now"
    return RacedError(client.place.says(reason))


def refused(client: Client, branch: str, word: str) -> StageError:
    """What the server's word for it means."""
    for part, reason in DENIALS.items():
        if part in word.lower():
            return denied(client, branch, reason)
    return raced(client, branch)


def denied(client: Client, branch: str, reason: str) -> StageError:
    """Who pushes may not."""
    place = client.place
    message = (
        f"a push to {branch} is refused ({reason}); name another {place.field}.pushBranch and "
        f"merge it, or {place.remedy}"
    )
    return place.error(FailureClass.ACCESS_DENIED, message)
