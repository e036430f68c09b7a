"""Reads lists and watch events, object by object, so that one bad object spoils nothing else."""

import logging
from typing import Generic

import msgspec
from msgspec import Raw, Struct, field

from controller.kube.errors import MalformedError
from controller.kube.store import T

log = logging.getLogger(__name__)


class ListMeta(Struct, rename="camel"):
    """Of a list."""

    resource_version: str = ""
    continue_token: str = field(default="", name="continue")


class Page(Struct):
    """One page of a list."""

    metadata: ListMeta
    items: list[Raw] | None = None


class Event(Struct):
    """One line of a watch."""

    type: str
    object: Raw


class Name(Struct, rename="camel"):
    """What is still readable of an object that is not."""

    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Named(Struct):
    metadata: Name = field(default_factory=Name)


_page = msgspec.json.Decoder(Page)
_event = msgspec.json.Decoder(Event)
_named = msgspec.json.Decoder(_Named)


def read_page(body: bytes) -> Page:
    """Raises MalformedError."""
    try:
        return _page.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"an answer that is no list: {error}") from error


def read_event(line: bytes) -> Event:
    """Raises MalformedError."""
    try:
        return _event.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"a line of a watch that is no event: {error}") from error


def name_of(raw: Raw) -> Name:
    """Name and version; empty where even these cannot be read."""
    try:
        return _named.decode(raw).metadata
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Name()


class ObjectReader(Generic[T]):
    """Reads objects of one type."""

    def __init__(self, type_: type[T], what: str) -> None:
        self._decoder = msgspec.json.Decoder(type_)
        self._what = what

    def read(self, raw: Raw) -> T | None:
        """The object; None, logged by its name, when it does not fit the type."""
        try:
            # a copy, so that Raw fields do not keep the whole page in memory
            return self._decoder.decode(bytes(raw))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            named = name_of(raw)
            log.warning(
                "%s %s/%s cannot be read and is left out: %s",
                self._what,
                named.namespace,
                named.name,
                error,
                extra={"of": (self._what, f"{named.namespace}/{named.name}")},
            )
            return None
