"""A store in a bucket: conditional by If-None-Match and If-Match, in parts where files are large.

Credentials, endpoint and patience are the client's; what errors mean is ``s3errors``'.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.store.base import ConditionError, Entry, MissingError, OnBytes, ignore
from trainer.store.file import HIDDEN
from trainer.store.paths import storage_errors
from trainer.store.s3client import PATIENCE, Connection, Patience, connect
from trainer.store.s3errors import NOT_S3, code_of, s3_errors, status_of
from trainer.store.s3place import Place
from trainer.store.s3transfer import BODY_ATTEMPTS, Heard, fetch, send
from trainer.store.secrets import AMBIENT, Role, SecretFiles

CONFLICT_PAUSES_S = (0.05, 0.2, 0.8)
"""S3 answers 409 while another conditional write of the key is under way."""
STREAM_BYTES = 1 << 20
STREAM_ERRORS = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


def open_s3(
    uri: str,
    storage: Storage,
    *,
    secrets: SecretFiles = AMBIENT,
    role: Role = "output",
    field: str = "spec.output.uri",
    patience: Patience = PATIENCE,
) -> "S3Store":
    """The store below an ``s3://`` URI; sends nothing.

    Raises:
        StageError: the URI or what ``storage`` says cannot be used.
    """
    place = Place(uri.rstrip("/"), field, role, storage)
    parts = place.prefix.split("/")[:-1]
    if any(part in ("", ".", "..") for part in parts):
        reason = 'has an empty part, "." or ".." in its path; write it without'
        raise place.error(FailureClass.INVALID_SPEC, reason)
    return S3Store(connect(place, secrets, patience))


class S3Store:
    """Objects whose keys start with the URI's path. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._client = connection.client
        self._place = connection.place
        self._bucket, self._prefix = connection.place.bucket, connection.place.prefix

    @property
    def uri(self) -> str:
        """The root, without a trailing slash."""
        return self._place.uri

    def read(self, key: str) -> bytes:
        """The object. Raises MissingError."""
        return self.read_tagged(key)[0]

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """The object and its ETag. Raises MissingError."""
        with s3_errors(self._place), missing_as_error(key):
            return self._read_whole(key, BODY_ATTEMPTS)

    def write(
        self, key: str, data: bytes, *, if_none_match: bool = False, if_match: str | None = None
    ) -> str:
        """Store ``data`` whole; returns its ETag. Raises ConditionError."""
        conditions = {"IfNoneMatch": "*"} if if_none_match else {}
        if if_match is not None:
            conditions["IfMatch"] = if_match
        with s3_errors(self._place):
            try:
                return self._put(key, data, conditions)
            except ClientError as error:
                if not conditions:
                    raise
                return self._refused(key, data, error)

    def exists(self, key: str) -> bool:
        """Whether the key is there."""
        # An answer to HEAD has no body: it cannot tell a missing key from a missing bucket.
        with s3_errors(self._place):
            page = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._prefix + key, MaxKeys=1
            )
        return any(entry.key == key for entry in self._entries(page))

    def upload(self, path: Path, key: str) -> None:
        """Store a local file whole, in parallel parts when it is large."""
        with storage_errors(path), s3_errors(self._place):
            send(self._client, path, **self._at(key))

    def download(self, key: str, path: Path, *, on_bytes: OnBytes = ignore) -> None:
        """Copy an object to a local file, whole, by parallel ranges. Raises MissingError."""
        staged = path.with_name(f"{HIDDEN}{uuid4().hex}")
        try:
            with storage_errors(path), s3_errors(self._place), missing_as_error(key):
                path.parent.mkdir(parents=True, exist_ok=True)
                size, tag = fetch(self._client, staged, on_bytes=on_bytes, **self._at(key))
                check_spoken(
                    self._place, tag if size else ""
                )  # an empty object has no range to answer
                self._check_size(key, staged.stat().st_size, size)
                staged.replace(path)
        finally:
            with suppress(OSError):  # moved away, or the disk that failed us fails again
                staged.unlink()

    def stream(self, key: str) -> Iterator[bytes]:
        """The object, a block of bounded size at a time. Raises MissingError.

        An answer that breaks off is taken up where it ended, in the same version of the object.
        """
        with s3_errors(self._place), missing_as_error(key):
            answer, at, left = self._client.get_object(**self._at(key)), 0, BODY_ATTEMPTS
            size, tag = answer["ContentLength"], self._tag_in(answer)
            while at < size:
                try:
                    while block := answer["Body"].read(STREAM_BYTES):
                        at += len(block)
                        yield block
                except STREAM_ERRORS:
                    left -= 1
                    if not left:
                        raise
                if at < size:
                    rest = {"Range": f"bytes={at}-", "IfMatch": tag}
                    answer = self._client.get_object(**self._at(key), **rest)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects whose key starts with ``prefix``, in key order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with s3_errors(self._place):
            found = [entry for page in pages for entry in self._entries(page)]
        yield from sorted(found, key=lambda entry: entry.key)  # not every service sorts

    def delete(self, key: str) -> None:
        """Remove a key; none there is fine."""
        with s3_errors(self._place), suppress(MissingError), missing_as_error(key):
            self._client.delete_object(**self._at(key))

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _read_whole(self, key: str, attempts: int) -> tuple[bytes, str]:
        """Tried again here: botocore repeats requests, not answers that break off half-way."""
        answer = self._client.get_object(**self._at(key))
        try:
            return answer["Body"].read(), self._tag_in(answer)
        except STREAM_ERRORS:
            if attempts == 1:
                raise
        return self._read_whole(key, attempts - 1)

    def _put(self, key: str, data: bytes, conditions: dict[str, str]) -> str:
        for pause_s in CONFLICT_PAUSES_S:
            try:
                return self._put_once(key, data, conditions)
            except ClientError as error:
                if status_of(error) != 409:  # noqa: PLR2004 - Conflict
                    raise
                time.sleep(pause_s)
        return self._put_once(key, data, conditions)

    def _put_once(self, key: str, data: bytes, conditions: dict[str, str]) -> str:
        return self._tag_in(
            self._client.put_object(Body=Heard(data), **self._at(key), **conditions)
        )

    def _refused(self, key: str, data: bytes, error: ClientError) -> str:
        """What a refused conditional write means; the tag if it took place after all."""
        if code_of(error) == "NotImplemented":
            raise self._place.error(
                FailureClass.CONDITIONAL_WRITES_UNSUPPORTED,
                f"{self._place.host} refuses If-None-Match or If-Match; use a store with "
                f"conditional writes, or an output on another one",
            ) from None
        if status_of(error) not in (409, 412) and not is_missing(error):
            raise error
        if was_repeated(error):
            tag = self._tag_of(key, data)
            if tag is not None:
                return tag
        raise ConditionError(key) from None

    def _tag_of(self, key: str, data: bytes) -> str | None:
        """The key's tag if it holds exactly ``data``.

        The answer to our write was lost, botocore sent it again, and the second one met the first:
        the condition failed because we had won. Equal bytes of another writer mean the same state;
        where the winner matters, as in a claim, the bytes hold a nonce.
        """
        with suppress(MissingError):
            there, tag = self.read_tagged(key)
            return tag if there == data else None
        return None

    def _tag_in(self, answer: dict[str, Any]) -> str:
        tag = answer.get("ETag")
        check_spoken(self._place, tag)
        return str(tag)

    def _check_size(self, key: str, got: int, expected: int) -> None:
        if got != expected:
            reason = f"{key} came with {got} of {expected} bytes; run it again"
            raise self._place.error(FailureClass.UNAVAILABLE, reason)

    def _entries(self, page: dict[str, Any]) -> Iterator[Entry]:
        check_spoken(self._place, page.get("IsTruncated"))
        for found in page.get("Contents", []):
            if not found["Key"].endswith("/"):  # consoles mark their folders so
                yield Entry(found["Key"].removeprefix(self._prefix), found["Size"])


def check_spoken(place: Place, mark: object) -> None:
    """A web page is no answer of S3: what every answer of it has is not there."""
    if mark is None:
        reason = NOT_S3.format(host=place.host, endpoint=place.setting("endpoint"))
        raise place.error(FailureClass.INVALID_SPEC, reason)


def is_missing(error: ClientError) -> bool:
    """Whether the key, and not the bucket, is what is not there."""
    return code_of(error) == "NoSuchKey"


def was_repeated(error: ClientError) -> bool:
    """Whether the request that was answered was not the first one sent."""
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0))


@contextmanager
def missing_as_error(key: str) -> Iterator[None]:
    """No such key is a missing key."""
    try:
        yield
    except ClientError as error:
        if is_missing(error):
            raise MissingError(key) from None
        raise
