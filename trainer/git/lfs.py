"""Files that a repository keeps in Git LFS: where each is, and its bytes.

The server says by its batch API where a file lies, mostly at another host, by an address that is
signed for a while. It is asked anew for each try; the address appears in no message. The login
goes to the repository's own host alone.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

from trainer.contract.failures import FailureClass
from trainer.git.errors import DENIED, GONE, git_errors, refuse_status
from trainer.git.place import Place
from trainer.git.pointer import Pointer
from trainer.git.web import PRIVATE, connections, following
from trainer.sources.listing import without

MEDIA = "application/vnd.git-lfs+json"
BLOCK_BYTES = 64 << 10
MAX_ANSWER_BYTES = 1 << 20
PARTIAL_CONTENT = 206
UNSATISFIABLE = 416


@dataclass(frozen=True)
class Download:
    """Where a file lies for now."""

    href: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Lfs:
    """The LFS server of one repository."""

    def __init__(self, place: Place, branch: str) -> None:
        self._place = place
        self._branch = branch
        self._pool = connections(place)
        suffix = "" if place.url.endswith(".git") else ".git"
        self._batch = f"{place.url}{suffix}/info/lfs/objects/batch"

    def stream(self, name: str, pointer: Pointer, start: int) -> Iterator[bytes]:
        """The file's content from byte ``start`` on.

        Raises:
            BrokenOffError: it broke off; try again from where it ended.
            StageError: it is not there, or may not be read.
        """
        with git_errors(self._place):
            download = self._find(name, pointer)
            headers = {**download.headers, "Accept-Encoding": "identity"}
            if start:
                headers["Range"] = f"bytes={start}-"
            response = connections(self._place, download.href).request(
                "GET",
                download.href,
                headers=headers,
                preload_content=False,
                retries=following({*PRIVATE, *download.headers}),
            )
            try:
                self._check(name, response.status, dict(response.headers))
                skipped = 0 if response.status == PARTIAL_CONTENT else start
                yield from without(skipped, response.stream(BLOCK_BYTES, decode_content=False))
            finally:
                response.close()

    def _find(self, name: str, pointer: Pointer) -> Download:
        asked = {
            "operation": "download",
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "ref": {"name": f"refs/heads/{self._branch}"},
            "objects": [{"oid": pointer.sha256, "size": pointer.size}],
        }
        answer = self._pool.request(
            "POST",
            self._batch,
            body=json.dumps(asked).encode(),
            headers={"Accept": MEDIA, "Content-Type": MEDIA, **self._login(self._batch)},
            preload_content=False,
        )
        try:
            if answer.status in GONE:
                self._without_lfs(name)
            refuse_status(self._place, f"{name} in LFS", answer.status, dict(answer.headers))
            document = answer.read(MAX_ANSWER_BYTES, decode_content=True)
        finally:
            answer.close()
        return self._download(name, self._offer(name, document))

    def _offer(self, name: str, document: bytes) -> Mapping[str, Any]:
        try:
            found = json.loads(document)["objects"][0]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self._without_lfs(name)
        if found.get("error"):
            self._missing(name, found["error"])
        return found

    def _download(self, name: str, offer: Mapping[str, Any]) -> Download:
        try:
            action = offer["actions"]["download"]
            href = urljoin(self._batch, str(action["href"]))
            own = {str(key): str(value) for key, value in (action.get("header") or {}).items()}
        except (KeyError, TypeError, AttributeError, ValueError):
            self._missing(name, {})
        if urlsplit(href).scheme not in ("http", "https"):
            self._missing(name, {})
        is_signed = offer.get("authenticated") or any(k.lower() == "authorization" for k in own)
        return Download(href, own if is_signed else {**self._login(href), **own})

    def _login(self, url: str) -> dict[str, str]:
        """The header for the repository's own host; nothing for another."""
        if not self._place.login or origin(url) != origin(self._place.url):
            return {}
        return {"Authorization": self._place.login}

    def _check(self, name: str, status: int, headers: Mapping[str, str]) -> None:
        if status in GONE or status == UNSATISFIABLE:
            self._missing(name, {})
        refuse_status(self._place, f"{name} in LFS", status, headers)

    def _missing(self, name: str, error: Mapping[str, Any]) -> NoReturn:
        code = error.get("code") if isinstance(error, dict) else None
        if code in DENIED:
            refuse_status(self._place, f"{name} in LFS", 403, {})
        reason = (
            f"{name} is a pointer to a file that the server's LFS does not have; push it there "
            f"(git lfs push --all)"
        )
        raise self._place.error(FailureClass.INVALID_SPEC, reason)

    def _without_lfs(self, name: str) -> NoReturn:
        reason = (
            f"{name} is a pointer of LFS, but this server has no LFS API for it; use a server "
            f"that has, or commit the file itself"
        )
        raise self._place.error(FailureClass.INVALID_SPEC, reason)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or default
