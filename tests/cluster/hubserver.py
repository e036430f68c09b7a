"""A Hugging Face Hub on loopback: the routes that huggingface_hub uses, and what goes wrong there.

Large files are led away to a second server, as a Hub leads to its storage hosts, and carry the
headers of Xet storage. Everything asked is remembered in ``seen``.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

BLOCK = 64 << 10


@dataclass(frozen=True)
class Seen:
    """One request."""

    host: str
    """hub or storage"""
    method: str
    path: str
    range: str
    token: str


@dataclass
class Repository:
    """Commits by sha, branches by name; ``token`` is needed for what is ``gated`` or hidden."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    token: str = ""
    is_gated: bool = False


class HubServer:
    """Starts at once; ``close`` ends it. Faults are set on the object while it runs."""

    def __init__(self, mirrored: "HubServer | None" = None) -> None:
        self.repositories: dict[str, Repository] = mirrored.repositories if mirrored else {}
        """A mirror has those of another Hub."""
        self.seen: list[Seen] = []
        self.limited_s: int | None = None
        self.limit_headers: dict[str, str] | None = None
        """What a refused request is told instead of ``limited_s``."""
        self.lies: dict[str, object] = {}
        """Fields of an answer about a revision that are not what they should be."""
        self.failing: HTTPStatus | None = None
        self.failures = 0
        """How many answers fail with ``failing``."""
        self.cut_after: dict[str, list[int]] = {}
        """File -> how many bytes the next answers send before the connection drops."""
        self.garbled: set[str] = set()
        """Files that come with other bytes than are listed."""
        self.knows_ranges = True
        self.gates: dict[str, threading.Event] = {}
        """Files that stay half sent until the event."""
        self.half_sent = threading.Event()
        self._servers = [self._serve("hub"), self._serve("storage")]
        self.endpoint, self.storage = (
            f"http://127.0.0.{number}:{server.server_port}"
            for number, server in enumerate(self._servers, start=1)
        )

    def commit(self, repo: str, files: Mapping[str, bytes], branch: str = "main") -> str:
        """A new head of the branch; returns its sha."""
        known = self.repositories.setdefault(repo, Repository())
        content = repr((sorted(files.items()), len(known.commits))).encode()
        sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        known.commits[sha] = dict(files)
        known.branches[branch] = sha
        return sha

    def asked_for(self, name: str, *, host: str = "") -> list[Seen]:
        """Requests whose path ends with the name."""
        return [each for each in self.seen if each.path.endswith(name) and host in ("", each.host)]

    def close(self) -> None:
        """End both servers."""
        for gate in self.gates.values():
            gate.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _serve(self, host: str) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"hub": self, "host": host})
        number = {"hub": 1, "storage": 2}[host]
        server = ThreadingHTTPServer((f"127.0.0.{number}", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    host: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._route()

    def do_HEAD(self) -> None:
        self._route()

    def log_message(self, *_args: object) -> None:
        pass

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.hub.seen.append(
            Seen(self.host, self.command, path, self.headers.get("Range", ""), token)
        )
        if self.host == "storage":
            repo, sha, name = path.strip("/").split("@")
            self._send_file(name, self.hub.repositories[repo].commits[sha][name])
        elif not self._is_refused_at_all():
            self._hub(path, token)

    def _is_refused_at_all(self) -> bool:
        limits = self.hub.limit_headers
        if self.hub.limited_s is not None:
            limits = {"RateLimit": f'"api";r=0;t={self.hub.limited_s}'}
        if limits is not None:
            self._send(HTTPStatus.TOO_MANY_REQUESTS, b"slow down", limits)
            return True
        if self.hub.failing is not None and self.hub.failures > 0:
            self.hub.failures -= 1
            self._send(self.hub.failing, b"<html>oops</html>")
            return True
        return False

    def _hub(self, path: str, token: str) -> None:
        if path.startswith("/api/models/"):
            repo, verb, revision = split_api(path.removeprefix("/api/models/"))
            name = ""
        else:
            repo, _, rest = path.strip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            verb = "resolve"
        known = self.hub.repositories.get(repo)
        if known is None or (known.token and not known.is_gated and token != known.token):
            self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound")
            return
        sha = known.branches.get(revision, revision)
        if sha not in known.commits:
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound")
        elif verb == "resolve" and known.is_gated and token != known.token:
            self._refuse(HTTPStatus.FORBIDDEN, "GatedRepo")
        else:
            self._found(repo, sha, verb, name)

    def _found(self, repo: str, sha: str, verb: str, name: str) -> None:
        files = self.hub.repositories[repo].commits[sha]
        if verb == "revision":
            siblings = [sibling(each, content) for each, content in files.items()]
            self._send_json({"id": repo, "sha": sha, "siblings": siblings} | self.hub.lies)
        elif verb == "tree":
            self._send_json([entry(each, content) for each, content in files.items()])
        elif name not in files:
            self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound")
        else:
            self._resolve(repo, sha, name, files[name])

    def _resolve(self, repo: str, sha: str, name: str, content: bytes) -> None:
        headers = {"X-Repo-Commit": sha, "ETag": f'"{git_blob(content)}"'}
        if not is_large(name):
            self._send_file(name, content, headers)
            return
        away = {
            "Location": f"{self.hub.storage}/{repo}@{sha}@{name}",
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "X-Xet-Hash": hashlib.sha256(content).hexdigest(),
            "X-Xet-Refresh-Route": f"{self.hub.storage}/xet-token",
        }
        self._send(HTTPStatus.FOUND, b"", headers | away)

    def _send_file(self, name: str, content: bytes, headers: Mapping[str, str] = {}) -> None:
        if name in self.hub.garbled:
            content = bytes(byte ^ 1 for byte in content)
        start = self._start()
        status, extra = HTTPStatus.OK, dict(headers)
        if start:
            status = HTTPStatus.PARTIAL_CONTENT
            extra["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(status, content[start:], extra, name=name)

    def _start(self) -> int:
        wanted = self.headers.get("Range", "")
        if not wanted or not self.hub.knows_ranges:
            return 0
        return int(wanted.removeprefix("bytes=").partition("-")[0])

    def _refuse(self, status: HTTPStatus, code: str) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": "no"})

    def _send_json(self, document: object) -> None:
        self._send(HTTPStatus.OK, json.dumps(document).encode())

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        headers: Mapping[str, str] = {},
        *,
        name: str = "",
    ) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body, name)

    def _send_body(self, body: bytes, name: str) -> None:
        cuts = self.hub.cut_after.get(name)
        if cuts:
            self.wfile.write(body[: cuts.pop(0)])
            self.close_connection = True
            return
        gate = self.hub.gates.get(name)
        half = len(body) // 2
        self.wfile.write(body[:half])
        if gate is not None:
            self.hub.half_sent.set()
            gate.wait()
        try:
            self.wfile.write(body[half:])
        except OSError:
            self.close_connection = True


def ask_this_hub(monkeypatch: pytest.MonkeyPatch, server: HubServer) -> None:
    """As HF_ENDPOINT does for a new process."""
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    address = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)


def split_api(path: str) -> tuple[str, str, str]:
    """Repository, verb (revision or tree) and revision."""
    for verb in ("revision", "tree"):
        repo, found, rest = path.partition(f"/{verb}/")
        if found:
            return repo, verb, rest
    return path, "revision", "main"


def is_large(name: str) -> bool:
    """Kept in LFS: only weights are, here."""
    return name.endswith((".safetensors", ".bin"))


def git_blob(content: bytes) -> str:
    """Git's name for the content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def sibling(name: str, content: bytes) -> dict[str, object]:
    """A file as model_info(files_metadata=True) lists it."""
    found: dict[str, object] = {
        "rfilename": name,
        "size": len(content),
        "blobId": git_blob(content),
    }
    if is_large(name):
        digest = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
    return found


def entry(name: str, content: bytes) -> dict[str, object]:
    """A file as the tree route lists it."""
    found: dict[str, object] = {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": git_blob(content),
    }
    if is_large(name):
        digest = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return found
