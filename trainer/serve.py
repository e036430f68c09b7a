"""Serves a stage's live progress: ``/progress`` as JSON, ``/metrics`` for Prometheus.

Read-only, two paths, one thread. The address is ``host:port``, or ``fd:N`` for a socket that
the parent has bound already.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.metrics import stage_registry
from trainer.progress import ProgressTracker


@contextmanager
def serve_progress(tracker: ProgressTracker, address: str) -> Iterator[None]:
    """Serve while the body runs."""
    listener = open_listener(address)
    served = {"tracker": tracker, "registry": stage_registry(tracker)}
    handler = type("Handler", (_Handler,), served)
    server = ThreadingHTTPServer(listener.getsockname()[:2], handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def open_listener(address: str) -> socket.socket:
    """A listening socket.

    Raises:
        StageError: the address is malformed or cannot be bound.
    """
    kind, _, rest = address.rpartition(":")
    try:
        if kind == "fd":
            listener = socket.socket(fileno=int(rest))
            listener.listen()
            return listener
        return socket.create_server((kind, port_number(rest)))
    except (OSError, ValueError) as error:
        message = f"cannot serve progress on {address!r}: {error}; use host:port or fd:N"
        raise StageError(FailureClass.UNAVAILABLE, message) from None


def port_number(text: str) -> int:
    """A TCP port; checked here because ``create_server`` leaks its socket on a larger number."""
    port = int(text)
    if not 0 <= port < 1 << 16:
        raise ValueError(f"port {port} is not within 0..65535")
    return port


class _Handler(BaseHTTPRequestHandler):
    tracker: ProgressTracker
    registry: CollectorRegistry

    def do_GET(self) -> None:
        if self.path == "/progress":
            body = self.tracker.snapshot().model_dump_json().encode()
            self._answer(200, "application/json", body)
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4", generate_latest(self.registry))
        else:
            self._answer(404, "text/plain", b"only /progress and /metrics\n")

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the poller comes every two seconds."""
