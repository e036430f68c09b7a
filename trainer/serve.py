"""Serves a stage's live progress: ``/progress`` as JSON, ``/metrics`` for Prometheus.

Read-only, two paths, one thread. The address is ``host:port``, or ``fd:N`` for a socket that
the parent has bound already.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.progress import ProgressTracker

FIGURES = {
    "progress_percent": ("percent", "Of the whole stage, by estimated work."),
    "eta_seconds": ("eta_seconds", "Until the stage ends."),
    "step": ("step", "Optimizer steps done."),
    "max_steps": ("max_steps", "The last optimizer step."),
    "train_loss_nats": ("train_loss", "Per supervised token, of the last step."),
    "eval_loss_nats": ("eval_loss", "Per supervised token, on the validation rows."),
    "tokens_per_second": ("tokens_per_second", "Non-padding tokens, while it trains."),
    "mfu_ratio": ("mfu", "Model FLOPs utilisation: of the GPU's dense BF16 peak."),
    "learning_rate": ("learning_rate", "Of the last optimizer step."),
    "gradient_norm": ("gradient_norm", "Of that step, before clipping."),
}
"""Metric -> field of the progress, and what it says; which job it is stands on the pod."""


@contextmanager
def serve_progress(tracker: ProgressTracker, address: str) -> Iterator[None]:
    """Serve while the body runs."""
    listener = open_listener(address)
    handler = type("Handler", (_Handler,), {"tracker": tracker})
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


def metrics_text(tracker: ProgressTracker) -> bytes:
    """The snapshot in Prometheus' text format."""
    now = tracker.snapshot()
    registry = CollectorRegistry()
    for name, (field, text) in FIGURES.items():
        value = getattr(now, field)
        if value is not None:
            Gauge(f"tunekeeper_trainer_{name}", text, registry=registry).set(value)
    return generate_latest(registry)


class _Handler(BaseHTTPRequestHandler):
    tracker: ProgressTracker

    def do_GET(self) -> None:
        if self.path == "/progress":
            body = self.tracker.snapshot().model_dump_json().encode()
            self._answer(200, "application/json", body)
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4", metrics_text(self.tracker))
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
