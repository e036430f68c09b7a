"""Names of children. A name is a pure function of the job, run, stage and attempt."""

import base64
import hashlib

from trainer.contract.request import Stage

KIND = "FineTuneJob"
MAX_NAME = 52  # a Job's pods append 11 characters and must stay within a label's 63
HASH_CHARACTERS = 5
LABEL_CHARACTERS = 16


def uid_hash(uid: str, *, kind: str = KIND) -> str:
    """Five characters that tell two owners with the same (cut) name apart."""
    digest = hashlib.sha256(f"{kind}/{uid}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:HASH_CHARACTERS]


def child_name(job: str, uid: str, *, run: int, stage: Stage, attempt: int) -> str:
    """The name of one attempt: at most 52 characters, no dots, whatever the job is called."""
    tail = f"-{uid_hash(uid)}-r{run}-{stage.value}-{attempt}"
    head = job.replace(".", "-")[: MAX_NAME - len(tail)].rstrip("-")
    return f"{head}{tail}"


def short_hash(digest: str) -> str:
    """As much of a ``sha256:`` digest as a label tells; of such a label, the same."""
    return digest.removeprefix("sha256:")[:LABEL_CHARACTERS]
