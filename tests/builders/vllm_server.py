"""A small HTTP server with vLLM 0.33's routes for models and adapters, and faults on demand.

Its answers, words included, are those of ``vllm/entrypoints/openai/models/serving.py``: 400 for a
name that is taken, 404 for one that is unknown, 500 for whatever the engine says.
"""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

BASE = "base"

Fault = Literal["500", "503", "reset", "page"]


@dataclass
class VllmServer:
    """One server process. ``loads`` are the paths that it was asked to load, refused ones too."""

    url: str = ""
    max_lora_rank: int = 16
    adapters: dict[str, str] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    """Of the next requests to load; each is used up once."""
    is_down: bool = False

    def restart(self) -> None:
        """A new process: nothing that was loaded at run time is there."""
        self.adapters.clear()

    def models(self) -> dict[str, Any]:
        """GET /v1/models."""
        base = {"id": BASE, "object": "model", "root": "/models/base", "parent": None}
        cards = [
            {"id": name, "object": "model", "root": path, "parent": BASE}
            for name, path in self.adapters.items()
        ]
        return {"object": "list", "data": [base, *cards]}

    def load(self, asked: dict[str, Any]) -> tuple[int, str]:
        """POST /v1/load_lora_adapter."""
        name, path = asked.get("lora_name"), asked.get("lora_path")
        self.asked.append(asked)
        self.loads.append(str(path))
        if not name or not path:
            return HTTPStatus.BAD_REQUEST, "Both 'lora_name' and 'lora_path' must be provided."
        if name == BASE:
            return HTTPStatus.BAD_REQUEST, f"The lora adapter '{name}' conflicts with a served ..."
        if not asked.get("load_inplace") and name in self.adapters:
            return HTTPStatus.BAD_REQUEST, f"The lora adapter '{name}' has already been loaded."
        refusal = self._engine_says(Path(path))
        if refusal:
            return refusal
        self.adapters[name] = path
        return HTTPStatus.OK, f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, asked: dict[str, Any]) -> tuple[int, str]:
        """POST /v1/unload_lora_adapter."""
        name = asked.get("lora_name", "")
        if name not in self.adapters:
            return HTTPStatus.NOT_FOUND, f"The lora adapter '{name}' cannot be found."
        del self.adapters[name]
        return HTTPStatus.OK, f"Success: LoRA adapter '{name}' removed successfully."

    def _engine_says(self, path: Path) -> tuple[int, str] | None:
        config = path / "adapter_config.json"
        if not config.is_file() or not (path / "adapter_model.safetensors").is_file():
            return HTTPStatus.NOT_FOUND, f"Loading lora {path} failed: No adapter found for {path}"
        rank = json.loads(config.read_bytes())["r"]
        if rank > self.max_lora_rank:
            said = f"LoRA rank {rank} is greater than max_lora_rank {self.max_lora_rank}."
            return HTTPStatus.INTERNAL_SERVER_ERROR, said
        return None


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server_: VllmServer

    def do_GET(self) -> None:
        """The list of models, or health."""
        if self.server_.is_down:
            self._reset()
        elif self.path == "/v1/models":
            self._answer(200, json.dumps(self.server_.models()))
        else:
            self._answer(200 if self.path == "/health" else 404, "")

    def do_POST(self) -> None:
        """Load and unload."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server_.is_down:
            self._reset()
            return
        routes = {
            "/v1/load_lora_adapter": self.server_.load,
            "/v1/unload_lora_adapter": self.server_.unload,
        }
        if self.path not in routes:
            self._answer(404, '{"detail":"Not Found"}')
        elif self.server_.faults and self.path == "/v1/load_lora_adapter":
            self._spoil(self.server_.faults.popleft())
        else:
            status, said = routes[self.path](json.loads(body))
            error = {"error": {"message": said, "code": status}}
            self._answer(status, said if status == HTTPStatus.OK else json.dumps(error))

    def _spoil(self, fault: Fault) -> None:
        if fault == "reset":
            self._reset()
        elif fault == "page":
            self._answer(502, "<html><body>Bad Gateway</body></html>")
        else:
            self._answer(int(fault), '{"error":{"message":"EngineDeadError"}}')

    def _reset(self) -> None:
        """As when a process dies: the connection ends without an answer."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def _answer(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def finish(self) -> None:
        """A connection that was reset cannot be flushed."""
        if self.connection.fileno() != -1:
            super().finish()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def vllm_server() -> Iterator[VllmServer]:
    """On a free loopback port; ended with the block."""
    state = VllmServer()
    handler = type("Bound", (Handler,), {"server_": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
