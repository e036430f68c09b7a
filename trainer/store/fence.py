"""Who may write: the owner of an output, and the newest attempt of a run.

The owner is a job's namespace and name, not its uid: a re-created job finds its results.
"""

import json
from dataclasses import dataclass
from uuid import uuid4

from trainer.contract.failures import FailureClass
from trainer.contract.request import JobIdentity, StageRequest
from trainer.errors import FencedError, StageError
from trainer.store import layout
from trainer.store.base import ConditionError, MissingError, Store

CLAIM_ATTEMPTS = 5


def take_owner(store: Store, job: JobIdentity) -> None:
    """Put the job's name on the output, or find it there.

    Raises:
        StageError: another job owns the output, or the store could not keep another out.
    """
    is_taken = is_owner(store, job)  # another job's output is not even probed
    probe_conditional_writes(store)  # each time: outputs are copied from store to store
    if is_taken:
        return
    try:
        store.write(layout.OWNER, encode(name_of(job)), if_none_match=True)
    except ConditionError:
        is_owner(store, job)


def is_owner(store: Store, job: JobIdentity) -> bool:
    """Whether the output is the job's; False: nobody's yet.

    Raises:
        StageError: it is another job's.
    """
    try:
        owner = read_owner(store)
    except MissingError:
        return False
    if owner != name_of(job):
        raise StageError(FailureClass.OUTPUT_IN_USE, in_use(store, owner))
    return True


def name_of(job: JobIdentity) -> dict[str, str]:
    """What owner.json says."""
    return {"namespace": job.namespace, "name": job.name}


def read_owner(store: Store) -> dict[str, str]:
    """The owner's namespace and name; empty where the file does not say."""
    document = decode(store.read(layout.OWNER), store, layout.OWNER)
    return {part: str(document.get(part, "")) for part in ("namespace", "name")}


def in_use(store: Store, owner: dict[str, str]) -> str:
    """Whose output it is and what to do."""
    return (
        f"spec.output.uri: {store.uri} belongs to job {owner['namespace']}/{owner['name']}; "
        f"choose another output, or delete {layout.OWNER} there if that job is gone for good"
    )


@dataclass(frozen=True)
class Claim:
    """The right to write below ``e<epoch>/`` of a run, until a newer attempt takes it."""

    epoch: int
    tag: str
    store: Store
    run_id: str

    def check(self) -> None:
        """Raises FencedError when the claim is no longer this attempt's."""
        try:
            data, tag = self.store.read_tagged(layout.claim(self.run_id))
        except MissingError:
            raise FencedError(f"{layout.claim(self.run_id)} is gone; this attempt stops") from None
        if tag == self.tag:
            return
        newest = decode(data, self.store, layout.claim(self.run_id)).get("epoch")
        message = f"run {self.run_id}: epoch {newest} passed epoch {self.epoch} of this attempt"
        raise FencedError(message)


def take_claim(store: Store, run_id: str, request: StageRequest, *, pod_uid: str) -> Claim:
    """Take the next epoch of a run; every earlier holder is fenced off.

    Raises:
        StageError: others keep taking it at the same moment.
    """
    for _ in range(CLAIM_ATTEMPTS):
        epoch, condition = next_epoch(store, run_id)
        document = {
            "epoch": epoch,
            "uid": request.job.uid,
            "run": request.run,
            "attempt": request.attempt,
            "podUid": pod_uid,
            "nonce": uuid4().hex,  # two takers of one epoch never write the same bytes
        }
        try:
            tag = store.write(
                layout.claim(run_id),
                encode(document),
                if_none_match=condition is None,
                if_match=condition,
            )
        except ConditionError:
            continue
        return Claim(epoch, tag, store, run_id)
    message = f"{layout.claim(run_id)}: other attempts keep taking it; stop them"
    raise StageError(FailureClass.UNAVAILABLE, message)


def next_epoch(store: Store, run_id: str) -> tuple[int, str | None]:
    """The epoch to take and the tag it replaces; None: the first one."""
    try:
        data, tag = store.read_tagged(layout.claim(run_id))
    except MissingError:
        return 1, None
    return epoch_of(decode(data, store, layout.claim(run_id))) + 1, tag


def epoch_of(document: dict[str, object]) -> int:
    """The epoch that a claim names."""
    epoch = document.get("epoch")
    return epoch if isinstance(epoch, int) else 0


def probe_conditional_writes(store: Store) -> None:
    """Make sure that the store keeps two writers apart.

    Raises:
        StageError: it overwrites what it was asked not to.
    """
    key = f"staging/probe-{uuid4().hex}"
    honoured = honours_conditions(store, key)
    store.delete(key)
    if not honoured:
        message = (
            f"spec.output.uri: {store.uri} ignores If-None-Match or If-Match; two attempts could "
            f"overwrite each other there: use a store with conditional writes"
        )
        raise StageError(FailureClass.CONDITIONAL_WRITES_UNSUPPORTED, message)


def honours_conditions(store: Store, key: str) -> bool:
    """Whether conditions that hold let a write through and those that do not refuse it."""
    try:
        first = store.write(key, b"1", if_none_match=True)
        store.write(key, b"2", if_match=first)
    except ConditionError:
        return False
    return is_refused(store, key, if_none_match=True) and is_refused(store, key, if_match=first)


def is_refused(
    store: Store, key: str, *, if_none_match: bool = False, if_match: str | None = None
) -> bool:
    """Whether the store says no to a write whose condition does not hold."""
    try:
        store.write(key, b"3", if_none_match=if_none_match, if_match=if_match)
    except ConditionError:
        return True
    return False


def encode(document: dict[str, object] | dict[str, str]) -> bytes:
    """JSON for people and machines."""
    return (json.dumps(document, sort_keys=True) + "\n").encode()


def decode(data: bytes, store: Store, key: str) -> dict[str, object]:
    """A JSON object of ours.

    Raises:
        StageError: something else lies there.
    """
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    message = f"{store.uri}/{key} is not what Tunekeeper writes there; move it away"
    raise StageError(FailureClass.INVALID_SPEC, message)
