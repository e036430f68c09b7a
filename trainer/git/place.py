"""Which repository is meant, who asks for it, and how a message names it."""

import dataclasses
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from trainer.contract.base import LocalObjectReference
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.store.secrets import Role, SecretFiles

KEYS = ("username", "password")
CA = "ca.crt"


@dataclass(frozen=True)
class Place:
    """A repository's URL, and the credentials of the role that it is asked with."""

    url: str
    field: str
    """Where the spec names it."""
    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    ca: str = dataclasses.field(default="", repr=False)
    """PEM certificates to trust besides those of the system."""

    def error(self, failure: FailureClass, reason: str) -> StageError:
        """What is wrong with it."""
        return StageError(failure, self.says(reason))

    def says(self, reason: str) -> str:
        """A message about it."""
        return f"{self.field}: {self.url}: {reason}"

    @property
    def login(self) -> str:
        """The header with the login, in UTF-8 as git sends it; empty: there is none."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {b64encode(pair).decode()}" if self.username else ""

    @property
    def remedy(self) -> str:
        """What to do when it refuses access."""
        keys = " and ".join(KEYS)
        return f"use an account that may, in a Secret with {keys}, named by {self.field}.secretRef"


def open_place(
    url: str, field: str, role: Role, ref: LocalObjectReference | None, secrets: SecretFiles
) -> Place:
    """The repository, with the role's credentials.

    Raises:
        StageError: the URL cannot be used, or the Secret or a key of it is missing.
    """
    check_url(url, f"{field}.url")
    found = secrets.values(role, ref, field=f"{field}.secretRef", required=KEYS, optional=[CA])
    given: Mapping[str, str] = found or {}
    username, password = (given.get(key, "") for key in KEYS)
    return Place(url.rstrip("/"), field, username, password, given.get(CA, ""))


def check_url(url: str, field: str) -> None:
    """Refuse a URL that is no plain address of a repository; it is not repeated if it has a login.

    Raises:
        StageError: another protocol, no host, a login, a query.
    """
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise refused(field, f"{url} is no URL; give https://host/path") from None
    if parts.username is not None or parts.password is not None:
        raise refused(field, "the URL holds a login; put it into a Secret and name that")
    if parts.scheme not in ("http", "https") or not has_host:
        raise refused(field, f"{url} is not smart HTTP; give https://host/path")
    if parts.query or parts.fragment:
        raise refused(field, f"{url} has a query or a fragment; give https://host/path")


def refused(field: str, reason: str) -> StageError:
    """The user's mistake."""
    return StageError(FailureClass.INVALID_SPEC, f"{field}: {reason}")
