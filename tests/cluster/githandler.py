"""The HTTP side of the tests' Git server: CGI for Git, three routes for LFS."""

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from cluster.gitserver import GitRepository, GitServer

SIGNED = "X-Amz-Signature=secret-looking"
BLOCK = 64 << 10
LFS_TYPE = "application/vnd.git-lfs+json"


@dataclass
class Seen:
    """One request."""

    host: str
    """git or storage"""
    method: str
    path: str
    query: str
    user: str
    """Who it says it is; ``Bearer`` or another kind of header as it stands."""
    range: str
    body: bytes = b""
    bytes_sent: int = 0
    """Of the answer's body."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server_side: "GitServer"
    host: str
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """A client that keeps a connection may hang up whenever it likes."""
        with suppress(ConnectionResetError):
            super().handle()

    def work(self) -> None:
        """Answer, or do what the test wants instead."""
        parts = urlsplit(self.path)
        path, self.query = unquote(parts.path), parts.query
        body = self._body()
        self.path_only = path
        self._remember(path, body)
        if not self._is_spoilt(path):
            self._route(path, body)

    do_GET = do_POST = do_PUT = work  # noqa: N815 - http.server's names

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _remember(self, path: str, body: bytes) -> None:
        name, _ = self._login()
        user = name or self.headers.get("Authorization", "")
        asked = (path, self.query, user, self.headers.get("Range", ""))
        self.seen = Seen(self.host, self.command, *asked, body)
        self.server_side.seen.append(self.seen)

    def _is_spoilt(self, path: str) -> bool:
        for start, url in self.server_side.moved.items():
            if self.host == "git" and path.startswith(start):
                there = url + path.removeprefix(start) + (f"?{self.query}" if self.query else "")
                self._send(HTTPStatus.MOVED_PERMANENTLY, b"", {"Location": there})
                return True
        for end, statuses in self.server_side.status.items():
            if path.endswith(end) and statuses:
                status, *rest = statuses
                self.server_side.status[end] = rest
                self._send(status, b"<html>oops</html>", self.server_side.headers)
                return True
        return False

    def _route(self, path: str, body: bytes) -> None:
        if "/lfs-object/" in path:
            self._object(path.rpartition("/")[2])
            return
        name, found, rest = path.lstrip("/").partition(".git/")
        repository = self.server_side.repositories.get(name)
        if not found or repository is None:
            self._send(HTTPStatus.NOT_FOUND, b"")
        elif not self._may(repository, rest):
            pass
        elif rest == "info/lfs/objects/batch":
            self._batch(json.loads(body))
        else:
            self._git(path, rest, body)

    def _may(self, repository: "GitRepository", rest: str) -> bool:
        user, password = self._login()
        if not repository.users:
            return True
        if repository.users.get(user) != password or not user:
            realm = {"WWW-Authenticate": 'Basic realm="git"'}
            self._send(HTTPStatus.UNAUTHORIZED, b"", realm)
            return False
        if "receive-pack" in rest + self.query and user in repository.readers:
            self._send(HTTPStatus.FORBIDDEN, b"")
            return False
        return True

    def _login(self) -> tuple[str, str]:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return "", ""
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user, password

    def _git(self, path: str, rest: str, body: bytes) -> None:
        if rest == "git-receive-pack":
            self._let("at_push")
        self._answer_git(path, body)

    def _let(self, when: str) -> None:
        others = getattr(self.server_side, when)
        if others:
            others.pop(0)()

    def _answer_git(self, path: str, body: bytes) -> None:
        if self.query == "service=git-receive-pack":
            self._let("before_refs")
        with subprocess.Popen(
            ["git", "http-backend"],  # noqa: S607 - the distribution's
            env=self._cgi(path, len(body)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as backend:
            writer = threading.Thread(target=_give, args=(backend, body))
            writer.start()
            headers = dict(iter(lambda: _header(backend), None))
            status = int(headers.pop("Status", "200").split()[0])
            blocks = iter(lambda: backend.stdout.read1(BLOCK), b"")
            if self.query == "service=git-receive-pack":
                blocks = iter(list(blocks))  # what the client will see, before the others write
                self._let("before_push")
            self._stream(status, headers, blocks)
            backend.stdout.close()  # a client that went away ends it
            writer.join()

    def _stream(self, status: int, headers: dict[str, str], blocks: Iterable[bytes]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(key, value)
        self.end_headers()
        try:
            for block in blocks:
                if self._is_cut(block):
                    return
                self.seen.bytes_sent += len(block)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _is_cut(self, block: bytes) -> bool:
        """Whether the answer ends here; if so, after a part of the block."""
        cuts = self._cuts()
        if not cuts or self.seen.bytes_sent + len(block) <= cuts[0]:
            return False
        part = block[: cuts.pop(0) - self.seen.bytes_sent]
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if part else b"")
        self.close_connection = True
        return True

    def _cuts(self) -> list[int]:
        known = self.server_side.cut_after.items()
        return next((cuts for end, cuts in known if self.path_only.endswith(end)), [])

    def _cgi(self, path: str, length: int) -> dict[str, str]:
        user, _ = self._login()
        version = "" if self.server_side.is_old else self.headers.get("Git-Protocol", "")
        return {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self.server_side.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": self.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": version,
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": user,
        }

    def _batch(self, asked: dict[str, list[dict[str, object]]]) -> None:
        if self.server_side.lfs == "off":
            self._send(HTTPStatus.NOT_FOUND, b"")
            return
        objects = [self._offer(str(each["oid"])) for each in asked["objects"]]
        answer = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self._send(HTTPStatus.OK, answer, {"Content-Type": LFS_TYPE})

    def _offer(self, oid: str) -> dict[str, object]:
        content = self.server_side.objects.get(oid)
        if content is None:
            return {"oid": oid, "error": {"code": 404, "message": "no such object"}}
        action: dict[str, object] = {"href": f"{self.server_side.url}/lfs-object/{oid}"}
        if self.server_side.lfs == "elsewhere":
            href = f"{self.server_side.storage}/lfs-object/{oid}?{SIGNED}"
            action = {"href": href, "header": {"X-Signed": "secret-looking"}}
        return {"oid": oid, "size": len(content), "actions": {"download": action}}

    def _object(self, oid: str) -> None:
        content = self.server_side.objects[oid]
        if oid in self.server_side.garbled:
            content = bytes(byte ^ 1 for byte in content)
        start = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        headers, status = {}, HTTPStatus.OK
        if start:
            status, total = HTTPStatus.PARTIAL_CONTENT, len(content)
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self._send(status, content[int(start or 0) :], headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        cuts = self._cuts()
        if cuts:
            body = body[: cuts.pop(0)]
            self.close_connection = True
        self.seen.bytes_sent = len(body)
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


def _give(backend: "subprocess.Popen[bytes]", body: bytes) -> None:
    try:
        with backend.stdin:
            backend.stdin.write(body)
    except OSError:
        return  # it did not want all of it


def _header(backend: "subprocess.Popen[bytes]") -> tuple[str, str] | None:
    name, _, value = backend.stdout.readline().decode().strip().partition(": ")
    return (name, value) if name else None


def serve(side: "GitServer", host: str) -> ThreadingHTTPServer:
    """One of the two servers, running."""
    handler = type("Bound", (Handler,), {"server_side": side, "host": host})
    number = {"git": 1, "storage": 2}[host]
    server = ThreadingHTTPServer((f"127.0.0.{number}", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
