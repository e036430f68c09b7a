"""Questions to one repository: its branches, and packs of what is wanted of it.

Everything that leans on the inside of dulwich's HTTP client is in this file.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dulwich.client import (
    Urllib3HttpGitClient,
    build_fetch_request_v2,
)
from dulwich.errors import GitProtocolError
from dulwich.objects import ObjectID
from dulwich.protocol import Protocol, pkt_line

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.git.errors import Remark, git_errors, no_server, refuse_status
from trainer.git.place import Place
from trainer.git.web import connections

READ = b"git-upload-pack"
HEADS = "refs/heads/"
BAND_DATA, BAND_FATAL = 1, 3
MAX_SECTIONS = 10_000
"""Lines before the pack; a server that sends more makes fun of us."""
SPOOLED_BYTES = 8 << 20


class Client(Urllib3HttpGitClient):
    """One repository at one moment: its branches are asked once and then remembered."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            place.url,
            pool_manager=connections(place),
            thin_packs=False,
            quiet=True,
        )
        self.place = place
        if place.login:  # the library would send it in Latin-1
            self._auth_header, self._auth_origin = place.login, self._origin(place.url)
        self._found: dict[tuple[bytes, ...], Any] = {}
        self._asked: tuple[bytes, ...] = ()

    def heads(self, *branches: str) -> dict[str, str]:
        """The commit of each of the branches that is there.

        Raises:
            StageError: the repository cannot be read.
        """
        wanted = {f"{HEADS}{branch}".encode(): branch for branch in branches}
        self._asked = tuple(wanted)
        with git_errors(self.place):
            try:
                found = self._discover_references(READ, self._get_url(""), None, self._asked)
            except Remark:
                raise no_server(self.place) from None
        self._check_format()
        return {wanted[ref]: sha.decode() for ref, sha in found[0].items() if ref in wanted and sha}

    @property
    def can_filter(self) -> bool:
        """Whether parts of a commit may be asked for."""
        return self.protocol_version == 2 and self._offers(b"filter")  # noqa: PLR2004 - protocol v2

    def pack(self, wants: Sequence[str], *, shallow: bool, limit: str = "") -> Iterator[bytes]:
        """Bytes of a pack with what is wanted; ask ``heads`` before.

        Args:
            wants: Commits, trees or blobs.
            shallow: Commits without their parents.
            limit: A filter, which a server that cannot filter does not hear of.

        Raises:
            Remark: the server does not give it.
            StageError: it cannot be reached.
        """
        asked = [ObjectID(each.encode()) for each in wants]
        with git_errors(self.place):
            if self.protocol_version == 2:  # noqa: PLR2004 - protocol v2
                yield from self._pack_v2(asked, shallow=shallow, limit=limit)
            else:
                yield from self._pack_v1(asked, shallow=shallow)

    def _pack_v2(self, wants: list[ObjectID], *, shallow: bool, limit: str) -> Iterator[bytes]:
        lines = [b"no-progress", b"ofs-delta"]
        if shallow and self._offers(b"shallow"):
            lines.append(b"deepen 1")
        if limit and self.can_filter:
            lines.append(b"filter " + limit.encode())
        lines += [b"want " + want for want in wants]
        command = build_fetch_request_v2("sha1")
        body = b"".join(map(pkt_line, command)) + b"0001"
        body += b"".join(pkt_line(line + b"\n") for line in [*lines, b"done"]) + b"0000"
        response, read = self._smart_request(READ.decode(), self._base, body)
        try:
            yield from pack_of(Protocol(read, lambda _data: None))
        finally:
            response.close()

    def _pack_v1(self, wants: list[ObjectID], *, shallow: bool) -> Iterator[bytes]:
        with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as spool:
            try:
                self._fetch_v1(wants, spool.write, shallow=shallow)
            except GitProtocolError as error:
                if error.__cause__ is not None:
                    raise
                raise Remark(str(error)) from None
            spool.seek(0)
            yield from iter(lambda: spool.read(1 << 20), b"")

    def _fetch_v1(
        self, wants: list[ObjectID], write: Callable[[bytes], int], *, shallow: bool
    ) -> None:
        self.fetch_pack(
            b"",
            lambda _refs, depth=None: wants,  # noqa: ARG005 - the library names it
            Nothing(),
            write,
            depth=1 if shallow else None,
            ref_prefix=self._asked,
        )

    def _check_format(self) -> None:
        """Refuse repositories whose names are sha256: a revision here is 40 digits."""
        if b"object-format=sha256" in self._capabilities:
            reason = "its objects are named by sha256; use a repository with sha1 names"
            raise self.place.error(FailureClass.INVALID_SPEC, reason)

    def _offers(self, feature: bytes) -> bool:
        fetch = next((each for each in self._capabilities if each.startswith(b"fetch=")), b"")
        return feature in fetch.removeprefix(b"fetch=").split()

    @property
    def _capabilities(self) -> set[bytes]:
        return {each.strip() for each in self._found[self._asked][1]}

    @property
    def _base(self) -> str:
        """Where the first answer led."""
        found: str = self._found[self._asked][2]
        return found

    def _discover_references(
        self,
        service: bytes,
        base_url: str,
        protocol_version: int | None = None,
        ref_prefix: Sequence[bytes] | None = None,
    ) -> Any:  # noqa: ANN401 - as the library has it
        key = tuple(ref_prefix or ())
        if service == READ and key in self._found:
            return self._found[key]
        found = super()._discover_references(service, base_url, protocol_version, ref_prefix)
        if self.dumb:
            raise no_server(self.place)
        if service == READ:
            self._found[key] = found
        return found

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002 - the library's signature
    ) -> tuple[Any, Callable[[int], bytes]]:
        try:
            response, read = super()._http_request(url, headers, data, raise_for_status=False)
        except GitProtocolError as error:
            raise error.__cause__ or error from None
        try:
            refuse_status(self.place, "repository", response.status, dict(response.headers))
            if data is None and "/info/refs?" not in (response.geturl() or ""):
                raise no_server(self.place)  # led to a page, where people log in mostly
        except StageError:
            response.close()
            raise
        return response, read


class Nothing:
    """What we have: no commit."""

    def __next__(self) -> None:
        """No more."""

    def ack(self, sha: ObjectID) -> None:
        """Nothing was offered."""

    def nak(self) -> None:
        """As expected."""


def pack_of(protocol: Protocol) -> Iterator[bytes]:
    """The pack in a server's answer.

    Raises:
        Remark: it has an error instead.
    """
    for _ in range(MAX_SECTIONS):
        line = protocol.read_pkt_line() or b""
        if line.startswith(b"ERR "):
            raise Remark(line[4:].decode(errors="replace"))
        if line.rstrip(b"\n") == b"packfile":
            break
    for packet in protocol.read_pkt_seq():
        if packet[0] == BAND_DATA:
            yield packet[1:]
        elif packet[0] == BAND_FATAL:
            raise Remark(packet[1:].decode(errors="replace"))
