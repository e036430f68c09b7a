"""A look at a prefix of an object store: listed each time, and read where something moved.

An ETag is no digest and is never taken for one. Together with the size and the time of change
it only says that an object is the one that an earlier look has read. Of an object that is not,
in this order: the sha256 that the service itself took of the whole object, the digest in a list
beside the weights (see ``sums``), or its bytes, read once.

Whatever a service or a list says wrongly here is found out before anything is trained: a run
hashes what it fetches, and refuses another content than the one that was announced.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from trainer.contract.errand import ModelRevision
from trainer.contract.failures import FailureClass
from trainer.contract.source import S3Source
from trainer.errors import StageError
from trainer.sources.base import ChangedError
from trainer.sources.counted import COUNTED, PICKLES, check_names, counted, is_weight, matches
from trainer.sources.fetch import resumed
from trainer.sources.frozen import short_revision
from trainer.sources.listing import Listed
from trainer.sources.look_base import (
    Look,
    check_documents,
    remembered,
    sha256_of,
    steady,
    whole_digest,
)
from trainer.sources.s3 import Bucket, open_bucket
from trainer.sources.sums import MAX_SUMS_BYTES, SUMS, is_newer, is_true, parse_sums
from trainer.store.s3 import check_spoken
from trainer.store.s3errors import s3_errors

FULL_OBJECT = "FULL_OBJECT"
MAX_OBJECTS = 20_000
"""Beside the model's files; more are another kind of prefix."""


@dataclass(frozen=True)
class Stored:
    """An object as it is listed."""

    size: int
    tag: str
    modified: datetime | None

    @property
    def identity(self) -> str:
        """What changes when the object does, as far as the service tells the truth."""
        return f"{self.size} {self.tag} {self.modified}"


@dataclass(frozen=True)
class Shown(Bucket):
    """The prefix, for as long as it stays as it was listed."""

    origin: str = ""
    objects: Mapping[str, Stored] = field(default_factory=dict)

    def identity(self, name: str) -> str:
        """What the memo calls an object."""
        return f"{self.origin} {name} {self.objects[name].identity}"

    def differs(self, name: str) -> StageError:
        """The object is not as long as it was listed."""
        return ChangedError(f"{self.place}/{name} changed while it was read")


def look_s3(look: Look, source: S3Source) -> ModelRevision:
    """What lies below the prefix now; its revision is the start of its digest.

    Raises:
        StageError: it cannot be had, no run could train on it, or it changes all the time.
    """
    bucket = open_bucket(look.secrets, source)
    identity = f"s3 {source.storage.endpoint or ''} {bucket.place}"
    digest = steady(
        bucket.place,
        lambda: listing(bucket),
        lambda found: digest_of(look, shown(bucket, identity, found)),
    )
    return ModelRevision(revision=short_revision(digest), content_digest=digest)


def listing(bucket: Bucket) -> dict[str, Stored]:
    """The objects at the top of the prefix; what lies deeper is no part of the model.

    Raises:
        StageError: there is nothing, or far too much.
    """
    found: dict[str, Stored] = {}
    place, is_empty = bucket.connection.place, True
    for page in pages(bucket):
        is_empty = is_empty and not (page.get("Contents") or page.get("CommonPrefixes"))
        for each in page.get("Contents", []):
            name = each["Key"].removeprefix(place.prefix)
            found[name] = Stored(each["Size"], each.get("ETag", ""), each.get("LastModified"))
        if len(found) > MAX_OBJECTS:
            reason = f"it has more than {MAX_OBJECTS} objects; name the prefix of one model"
            raise place.error(FailureClass.INVALID_SPEC, reason)
    if is_empty:
        reason = "there is nothing below it; put a model there or correct the URI"
        raise place.error(FailureClass.NOT_FOUND, reason)
    return {name: each for name, each in found.items() if is_of_interest(name)}


def pages(bucket: Bucket) -> Iterator[dict[str, Any]]:
    """The listing, a thousand objects at a time."""
    place = bucket.connection.place
    paginator = bucket.connection.client.get_paginator("list_objects_v2")
    with s3_errors(place):
        for page in paginator.paginate(Bucket=place.bucket, Prefix=place.prefix, Delimiter="/"):
            check_spoken(place, page.get("IsTruncated"))
            yield page


def is_of_interest(name: str) -> bool:
    """Whether it is part of the model, or says something of it."""
    return "/" not in name and matches(name, (*COUNTED, *PICKLES, SUMS))


def shown(bucket: Bucket, origin: str, found: Mapping[str, Stored]) -> Shown:
    """The prefix as it was listed, and no later version of it."""
    tags = {name: each.tag for name, each in found.items()}
    return Shown(bucket.connection, tags, origin, found)


def digest_of(look: Look, bucket: Shown) -> str:
    """The content digest, by the memo where it knows."""
    check_names(bucket.place, bucket.objects.keys())
    names = counted(bucket.objects)

    def read() -> dict[str, str]:
        small = {n: sha256_at(look, bucket, n) for n in names if not is_weight(n)}
        listed = {n: Listed(bucket.objects[n].size, sha256=small[n]) for n in small}
        check_documents(look, bucket, listed, bucket.objects.keys())
        sums = sums_of(look, bucket, small)
        return small | {n: weight_at(look, bucket, n, sums) for n in names if is_weight(n)}

    return whole_digest(look, map(bucket.identity, names), read)


def sha256_at(look: Look, bucket: Shown, name: str) -> str:
    """Digest of an object, from the memo or from its bytes."""
    size = bucket.objects[name].size

    def read() -> str:
        return sha256_of(bucket, name, Listed(size), look.transfer)

    return remembered(look, bucket.identity(name), size, read)


def weight_at(look: Look, bucket: Shown, name: str, sums: Mapping[str, str]) -> str:
    """Digest of a large object; its bytes are the last resort."""
    stored = bucket.objects[name]

    def read() -> str:
        known = checksum_of(bucket, name)
        if not known and is_newer(bucket.objects[SUMS].modified if sums else None, stored.modified):
            known = sums.get(name, "")
        return known or sha256_of(bucket, name, Listed(stored.size), look.transfer)

    return remembered(look, bucket.identity(name), stored.size, read)


def sums_of(look: Look, bucket: Shown, small: Mapping[str, str]) -> dict[str, str]:
    """The list of digests beside the weights; empty: there is none, or none to believe."""
    stored = bucket.objects.get(SUMS)
    if stored is None or stored.size > MAX_SUMS_BYTES:
        return {}
    sums = parse_sums(b"".join(resumed(bucket, SUMS, stored.size, look.transfer)))
    return sums if is_true(sums, small) else {}


def checksum_of(bucket: Shown, name: str) -> str:
    """The sha256 that the service took of the whole object; empty: it took none.

    One over the checksums of the parts of an upload says nothing of the content by itself.
    """
    place, stored = bucket.connection.place, bucket.objects[name]
    try:
        answer = bucket.connection.client.head_object(
            Bucket=place.bucket, Key=place.prefix + name, ChecksumMode="ENABLED"
        )
    except (ClientError, BotoCoreError):
        return ""  # reading it will say what is wrong
    return checksum_in(answer, stored)


def checksum_in(answer: Mapping[str, Any], stored: Stored) -> str:
    """The same from the service's answer; empty too where it is of another version."""
    is_whole = answer.get("ChecksumType", FULL_OBJECT) == FULL_OBJECT
    is_same = (answer.get("ETag"), answer.get("ContentLength")) == (stored.tag, stored.size)
    return hexadecimal(answer.get("ChecksumSHA256", "")) if is_whole and is_same else ""


def hexadecimal(checksum: str) -> str:
    """S3's Base64 of a sha256; empty: it is something else."""
    try:
        digest = base64.b64decode(checksum, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if len(digest) == sha256().digest_size else ""
