"""A base model below a prefix of an object store.

A bucket vouches for no content: its ETags are no digests of large objects, and it has no
revision that stays. So a model is first read through, without a disk, to know what it is; from
then on its content digest is its name. A stage whose run has frozen that digest fetches the
files at once and compares.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from botocore.exceptions import ClientError

from trainer.contract.failures import FailureClass
from trainer.contract.source import S3Source
from trainer.errors import StageError
from trainer.sources.base import (
    BrokenOffError,
    ChangedError,
    ResolvedModel,
    Transfer,
    Wanted,
    refused,
)
from trainer.sources.cached import find_whole, model_directory, note, recall, sweep
from trainer.sources.counted import check_names, counted, is_weight
from trainer.sources.fetch import resumed
from trainer.sources.frozen import check_digest, check_revision, short_revision
from trainer.sources.gather import Shelf, gather, stock
from trainer.sources.listing import FileDigests, Listed
from trainer.sources.ranges import Piece, in_order
from trainer.store.base import MissingError
from trainer.store.checked import digest_names
from trainer.store.paths import storage_errors
from trainer.store.s3 import S3Store, missing_as_error
from trainer.store.s3client import Connection, Patience, connect
from trainer.store.s3errors import s3_errors, status_of
from trainer.store.s3place import Place
from trainer.store.secrets import SecretFiles

FIELD = "spec.baseModel.s3.uri"
PRECONDITION_FAILED = 412
PATIENCE = Patience(connect_s=5.0, read_s=20.0, attempts=3)
"""Less than a store's: a broken-off file is taken up again here, and a stop is heard between."""


@dataclass(frozen=True)
class Bucket:
    """The prefix of the model's files, opened."""

    connection: Connection
    tags: Mapping[str, str] = field(default_factory=dict)
    """ETags of the versions to read; without one it is the newest, whole."""

    @property
    def place(self) -> str:
        """What a message calls it."""
        return self.connection.place.uri

    def look_up(self) -> dict[str, Listed]:
        """Names and sizes of the files below the prefix."""
        found = {entry.key: Listed(entry.size) for entry in S3Store(self.connection).list("")}
        if not found:
            reason = "there is nothing below it; put a model there or correct the URI"
            raise self.connection.place.error(FailureClass.NOT_FOUND, reason)
        return found

    def stream(self, name: str, start: int) -> Iterator[bytes]:
        """The file's content from byte ``start`` on."""

        def read(offset: int, length: int, tag: str) -> Piece:
            condition = {"IfMatch": tag} if tag else {}
            with broken_off(), s3_errors(self.connection.place):
                return self._piece(name, f"bytes={offset}-{offset + length - 1}", condition)

        return in_order(read, start, self.tags.get(name, ""))

    def differs(self, name: str) -> StageError:
        """A file is not what it was when its digest was taken."""
        message = f"{self.place}/{name} changed since this run began; put the old file back, or"
        return refused(f"{message} start a new run")

    def _piece(self, name: str, span: str, condition: dict[str, str]) -> Piece:
        place = self.connection.place
        asked = {"Bucket": place.bucket, "Key": place.prefix + name, **condition}
        try:
            with missing_as_error(name), changed_as_error(f"{self.place}/{name}"):
                answer = self.connection.client.get_object(Range=span, **asked)
        except MissingError:
            reason = f"{name} was listed there and is gone; put it back, or start a new run"
            raise place.error(FailureClass.NOT_FOUND, reason) from None
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        if not total.isdigit():
            reason = f"{place.host} ignores ranges, which large files need; use another service"
            raise place.error(FailureClass.INVALID_SPEC, reason)
        return Piece(answer["Body"].read(), int(total), answer.get("ETag", ""))


@contextmanager
def broken_off() -> Iterator[None]:
    """A store that is away for a while is asked again."""
    try:
        yield
    except StageError as error:
        if error.failure is not FailureClass.UNAVAILABLE or isinstance(error, ChangedError):
            raise
        raise BrokenOffError(
            error.message, cause=error.cause, retry_after_s=error.retry_after_s
        ) from error


@contextmanager
def changed_as_error(place: str) -> Iterator[None]:
    """Another version than the one that was begun is not gone on with."""
    try:
        yield
    except ClientError as error:
        if status_of(error) == PRECONDITION_FAILED:
            raise ChangedError(f"{FIELD}: {place} changed while it was read") from None
        raise


def resolve_s3(wanted: Wanted, source: S3Source) -> ResolvedModel:
    """The model below the prefix as the run has frozen it, or as it is now.

    Raises:
        StageError: it cannot be had, is not complete, not safe, or not what the run has frozen.
    """
    files = find_frozen(wanted, source) or ask_bucket(wanted, source)
    digest = digest_names(files)
    revision = short_revision(digest)
    check_digest(wanted.source, source.uri, digest)
    check_revision(wanted.source, source.uri, revision)
    directory = directory_of(wanted, source, digest)
    sweep(directory, files)
    return ResolvedModel(directory, source.uri, revision, digest, files)


def find_frozen(wanted: Wanted, source: S3Source) -> dict[str, str]:
    """The frozen model's files, when they are in the cache whole; else nothing."""
    frozen = wanted.source.content_digest
    if frozen is None:
        return {}
    directory = directory_of(wanted, source, frozen)
    return find_whole(directory, frozen, weights=wanted.weights, transfer=wanted.transfer)


def ask_bucket(wanted: Wanted, source: S3Source) -> dict[str, str]:
    """Have the files that the stage wants in the model's directory; the sha256 of each."""
    bucket = open_bucket(wanted.secrets, source)
    names = bucket.look_up()
    check_names(bucket.place, names)
    listing = {name: names[name] for name in counted(names)}
    frozen = wanted.source.content_digest
    if frozen is not None and wanted.weights:
        directory = directory_of(wanted, source, frozen)
        return fetch_frozen(
            Shelf(directory, bucket, listing, names.keys(), wanted.transfer), frozen
        )
    known = read_through(bucket, listing, wanted)
    digest = digest_names({name: listed.sha256 for name, listed in known.items()})
    check_digest(wanted.source, bucket.place, digest)
    directory = directory_of(wanted, source, digest)
    quiet = replace(wanted.transfer, on_size=ignored)  # read_through has told of these bytes too
    return stock(Shelf(directory, bucket, known, names.keys(), quiet), weights=wanted.weights)


def fetch_frozen(shelf: Shelf, frozen: str) -> dict[str, str]:
    """Fetch at once, and compare with what the run has frozen.

    Where an earlier stage has left a record that adds up, each file is compared on its own.
    Without one nothing gets its real name before all is there and the whole is right.
    """
    record = recall(shelf.directory, frozen)
    if record:
        known = {n: replace(each, sha256=record.get(n, "")) for n, each in shelf.listing.items()}
        return stock(replace(shelf, listing=known), weights=True)
    parent = shelf.directory.parent
    with storage_errors(parent), new_directory(parent) as staging:
        files = gather(replace(shelf, directory=Path(staging)), weights=True)
        if digest_names(files) == frozen:
            shelf.directory.mkdir(exist_ok=True)
            for name in files:
                (Path(staging) / name).replace(shelf.directory / name)
            note(shelf.directory, files)
    return files


def new_directory(parent: Path) -> TemporaryDirectory[str]:
    """A hidden directory beside those of the models, removed in the end."""
    parent.mkdir(parents=True, exist_ok=True)
    return TemporaryDirectory(prefix=".new-", dir=parent)


def read_through(bucket: Bucket, listing: dict[str, Listed], wanted: Wanted) -> dict[str, Listed]:
    """The listing with the digests that the bucket does not have, by reading all of it once."""
    again = [each.size for name, each in listing.items() if wanted.weights or not is_weight(name)]
    wanted.transfer.on_size(sum(each.size for each in listing.values()) + sum(again))
    return {
        name: replace(each, sha256=sha256_of(bucket, name, each.size, wanted.transfer))
        for name, each in listing.items()
    }


def sha256_of(bucket: Bucket, name: str, size: int, transfer: Transfer) -> str:
    """Digest of a file in the bucket."""
    digests = FileDigests(size)
    for block in resumed(bucket, name, size, transfer):
        digests.update(block)
    return digests.sha256


def ignored(_total: int) -> None:
    """Nobody hears of it."""


def directory_of(wanted: Wanted, source: S3Source, digest: str) -> Path:
    """Where the model with this content is kept; another content lies elsewhere."""
    endpoint = source.storage.endpoint or ""
    return model_directory(wanted.cache, f"{endpoint} {source.uri}@{short_revision(digest)}")


def open_bucket(secrets: SecretFiles, source: S3Source) -> Bucket:
    """A client for the prefix, with the credentials of the role ``base``.

    Raises:
        StageError: the URI is of another kind, or the storage settings cannot be used.
    """
    if not source.uri.startswith("s3://"):
        message = f"{FIELD}: {source.uri} is no s3:// URI; use spec.baseModel.directory.path"
        raise StageError(FailureClass.INVALID_SPEC, message)
    place = Place(source.uri.rstrip("/"), FIELD, "base", source.storage)
    return Bucket(connect(place, secrets, PATIENCE))
