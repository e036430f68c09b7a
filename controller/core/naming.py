"""Names of children: pure functions of the object, and of the attempt or errand."""

import base64
import hashlib

from trainer.contract.errand import Errand
from trainer.contract.request import Stage

KIND = "FineTuneJob"
BASE_MODEL_KIND = "BaseModel"
MAX_NAME = 52  # a Job's pods append 11 characters and must stay within a label's 63
HASH_CHARACTERS = 5
LABEL_CHARACTERS = 16


def uid_hash(uid: str, *, kind: str = KIND) -> str:
    """Five characters that tell two owners with the same (cut) name apart."""
    digest = hashlib.sha256(f"{kind}/{uid}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:HASH_CHARACTERS]


def child_name(job: str, uid: str, *, run: int, stage: Stage, attempt: int) -> str:
    """The name of one attempt: at most 52 characters, no dots, whatever the job is called."""
    return _joined(job, f"-{uid_hash(uid)}-r{run}-{stage.value}-{attempt}")


def errand_name(base_model: str, uid: str, *, errand: Errand, number: int) -> str:
    """The name of an errand's child, under the same limits."""
    owner = uid_hash(uid, kind=BASE_MODEL_KIND)
    return _joined(base_model, f"-{owner}-{errand.value}-{number}")


def _joined(owner: str, tail: str) -> str:
    head = owner.replace(".", "-")[: MAX_NAME - len(tail)].rstrip("-")
    return f"{head}{tail}"


def short_hash(digest: str) -> str:
    """As much of a ``sha256:`` digest as a label tells; of such a label, the same."""
    return digest.removeprefix("sha256:")[:LABEL_CHARACTERS]
