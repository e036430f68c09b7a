"""A proxy in front of an S3 service that does what a test tells it: networks fail like this."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Kind = Literal[
    "reset",
    "lost answer",
    "slow down",
    "cut short",
    "hang",
    "conflict",
    "yes",
    "page",
    "not implemented",
    "kept",
]

HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>secret-looking text</Message></Error>"
CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
NOT_IMPLEMENTED = b"<Error><Code>NotImplemented</Code></Error>"
KEPT = (
    b"<DeleteResult><Error><Key>place/a</Key><Code>AccessDenied</Code>"
    b"<Message>secret-looking text</Message></Error></DeleteResult>"
)
ANSWERS: dict[str, tuple[int, bytes]] = {
    "slow down": (503, SLOW_DOWN),
    "conflict": (409, CONFLICT),
    "not implemented": (501, NOT_IMPLEMENTED),
    "kept": (200, KEPT),
}
PAGE = b"<html><body>It works!</body></html>"
HANG_S = 60.0


@dataclass(frozen=True)
class Fault:
    """What happens to the next ``times`` requests of a method."""

    kind: Kind
    times: int = 1
    method: str = ""
    """Empty: any."""


@dataclass
class Faults:
    """The script of a proxy, and what it saw."""

    url: str
    script: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """``METHOD path`` of every request."""
    ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def then(self, kind: Kind, times: int = 1, method: str = "") -> None:
        """Add to the script."""
        self.script.append(Fault(kind, times, method))

    def forget(self) -> None:
        """An empty script, nothing seen."""
        self.script.clear()
        self.seen.clear()

    def next(self, method: str, path: str) -> Kind | None:
        """What to do with a request; None: pass it on."""
        with self._lock:
            self.seen.append(f"{method} {path}")
            for number, fault in enumerate(self.script):
                if fault.method in ("", method):
                    rest = Fault(fault.kind, fault.times - 1, fault.method)
                    self.script[number : number + 1] = [rest] if rest.times else []
                    return fault.kind
        return None


class Handler(BaseHTTPRequestHandler):
    """One request: passed on, or spoilt."""

    protocol_version = "HTTP/1.1"
    faults: Faults
    target: str

    def work(self) -> None:
        """Read it whole, then do what the script says."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.faults.next(self.command, self.path)
        self.close_connection = True
        match kind:
            case "reset":
                self.reset()
            case "lost answer":
                self.forward(body)
                self.reset()
            case "hang":
                self.faults.ended.wait(HANG_S)
            case "slow down" | "conflict" | "not implemented" | "kept":
                self.answer(*ANSWERS[kind])
            case "yes":
                self.answer(200, b"", {"ETag": '"yes"'})
            case "page":
                self.answer(200, PAGE, {"Content-Type": "text/html"})
            case "cut short" | None:
                status, headers, content = self.forward(body)
                self.answer(status, content, headers, cut=kind is not None)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = work  # noqa: N815 - http.server's names

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Ask the real service, with the headers that were signed."""
        connection = HTTPConnection(self.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                connection.putheader(name, value)
        connection.endheaders(body)
        response: HTTPResponse = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, dict(response.getheaders()), content

    def answer(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        """Send the answer, or only half of what its length promises."""
        self.send_response_only(status)
        skipped = HOP_BY_HOP | {"content-length"}
        for name, value in (headers or {}).items():
            if name.lower() not in skipped:
                self.send_header(name, value)
        length = str(len(content))
        if self.command == "HEAD" and headers:  # that of the body which GET would have
            length = headers.get("Content-Length", length)
        self.send_header("Content-Length", length)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)

    def reset(self) -> None:
        """Close with an RST, as a machine that lost its memory does."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """A connection that we reset cannot be flushed."""
        if self.connection.fileno() != -1:
            super().finish()


@contextmanager
def faults_before(host: str) -> Iterator[Faults]:
    """A proxy before the service at ``host``; ended with the block."""
    faults = Faults("")
    handler = type("Bound", (Handler,), {"faults": faults, "target": host})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        faults.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield faults
        finally:
            faults.ended.set()
            server.shutdown()
            thread.join()
