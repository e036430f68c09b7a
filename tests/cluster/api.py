"""A few lines of HTTP to an API server, for tests: JSON in, JSON out, errors with their message."""

import http.client
import json
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Answer = tuple[int, bytes]
TIMEOUT_S = 30
BUSY_S, RETRY_S = 15, 0.2
"""A CRD that was changed makes the server busy with its storage for a moment."""
MERGE = "application/merge-patch+json"


class ApiFailed(Exception):  # noqa: N818 - says what happened
    """The API server said no."""

    def __init__(self, status: int, body: Json, request: str) -> None:
        self.status = status
        self.reason = body.get("reason", "")
        self.body = body
        super().__init__(f"{request}: {status} {self.reason}: {body.get('message', body)}")


@dataclass(frozen=True)
class Api:
    """An API server as one user sees it; a connection per request, so any thread may use it."""

    host: str
    port: int
    ca_file: Path
    token: str

    def get(self, path: str) -> Json:
        """An object or a list."""
        return self.request("GET", path)

    def post(self, path: str, body: Json) -> Json:
        """Create."""
        return self.request("POST", path, body)

    def put(self, path: str, body: Json) -> Json:
        """Replace."""
        return self.request("PUT", path, body)

    def patch(self, path: str, body: Json, content_type: str = MERGE) -> Json:
        """Merge patch."""
        return self.request("PATCH", path, body, content_type)

    def delete(self, path: str, body: Json | None = None) -> Json:
        """Delete."""
        return self.request("DELETE", path, body)

    def find(self, path: str) -> Json | None:
        """An object, or None if there is none."""
        try:
            return self.get(path)
        except ApiFailed as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Send one request.

        Raises:
            ApiFailed: the status is not 2xx.
            OSError: there was no whole answer.
        """
        status, said = self._heard(method, path, body, content_type)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiFailed(status, _json(said), f"{method} {path}")
        return _json(said)

    def _heard(self, method: str, path: str, body: Json | None, content_type: str) -> Answer:
        """Asks again while the server says that it is busy, as client-go does."""
        deadline = time.monotonic() + BUSY_S
        while True:
            answer = self.raw(method, path, body, content_type)
            is_busy = answer[0] == http.HTTPStatus.TOO_MANY_REQUESTS
            if not is_busy or time.monotonic() > deadline:
                return answer
            time.sleep(RETRY_S)

    def raw(
        self, method: str, path: str, body: Json | None = None, content_type: str = ""
    ) -> Answer:
        """Status and body as they came."""
        tls = ssl.create_default_context(cafile=self.ca_file)
        connection = http.client.HTTPSConnection(
            self.host, self.port, context=tls, timeout=TIMEOUT_S
        )
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _json(said: bytes) -> Json:
    try:
        value = json.loads(said)
    except ValueError:
        return {"message": said.decode("utf-8", "replace")}
    return value if isinstance(value, dict) else {"value": value}
