"""dcgm-exporter, played: the names, labels and units of the real one, the figures of nobody.

The real one runs where a GPU is. What is taken from it: its default counters, and that the labels
``namespace`` and ``pod`` name who holds the GPU, not who is scraped.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIGURES: Mapping[str, tuple[str, float]] = {
    "DCGM_FI_DEV_GPU_UTIL": ("GPU utilization (in %).", 87),
    "DCGM_FI_DEV_FB_USED": ("Framebuffer memory used (in MiB).", 21504),
    "DCGM_FI_DEV_POWER_USAGE": ("Power draw (in W).", 412.5),
}

Holders = Callable[[], Iterable[tuple[str, str]]]
"""Namespace and name of every pod that holds a GPU now."""


def page(holders: Iterable[tuple[str, str]]) -> str:
    """The text format: one GPU for each pod."""
    gpus = [
        f'gpu="{n}",UUID="GPU-{n:08d}",device="nvidia{n}",modelName="NVIDIA H100 80GB HBM3",'
        f'Hostname="node",container="stage",namespace="{namespace}",pod="{pod}"'
        for n, (namespace, pod) in enumerate(holders)
    ]
    lines = []
    for name, (text, value) in FIGURES.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f"{name}{{{labels}}} {value:g}" for labels in gpus]
    return "".join(f"{line}\n" for line in lines)


@contextmanager
def exporting(holders: Holders) -> Iterator[int]:
    """Serve on a free loopback port; the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page(holders()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="dcgm")
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
