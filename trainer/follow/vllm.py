"""vLLM's routes for adapters at run time, as of vLLM 0.33.

``load_inplace`` replaces an adapter under its name between two steps: no request fails, and one
that cannot be loaded leaves the old one where it is. Earlier releases read a replaced adapter from
disk again at every step, and reuse prefixes that the old adapter has computed.
"""

from pathlib import Path
from typing import Any

import httpx2

ANSWER_S = 10.0
LOAD_S = 300.0
"""It reads and checks the adapter before it answers, behind the work that it has."""
MAX_SAID = 300


class ServerError(Exception):
    """The server does not answer, or says no."""


class Vllm:
    """One server process; each keeps its own list of adapters."""

    def __init__(self, url: str) -> None:
        timeout = httpx2.Timeout(ANSWER_S, read=LOAD_S)
        # No proxy of the environment: the server is in this pod.
        self._http = httpx2.Client(base_url=url, timeout=timeout, trust_env=False)
        self._url = url

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def served(self, name: str) -> Path | None:
        """Where the adapter lies that it serves under the name; None: it serves none.

        Raises:
            ServerError: it does not say.
        """
        answer = self._ask("GET", "/v1/models")
        try:
            roots = {model["id"]: model["root"] for model in answer.json()["data"]}
        except (ValueError, KeyError, TypeError):
            raise ServerError(f"{self._url}/v1/models does not answer as vLLM does") from None
        root = roots.get(name)
        return Path(root) if isinstance(root, str) else None

    def load(self, name: str, path: Path) -> None:
        """Serve the adapter under the name, instead of the one that may be there.

        Raises:
            ServerError: it does not; what it served before it still serves.
        """
        document = {"lora_name": name, "lora_path": str(path), "load_inplace": True}
        self._ask("POST", "/v1/load_lora_adapter", json=document)

    def _ask(self, method: str, route: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's
        try:
            answer = self._http.request(method, route, **options)
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ServerError(f"{self._url} does not answer: {reason}") from None
        if not answer.is_success:
            said = " ".join(answer.text.split())[:MAX_SAID]
            raise ServerError(f"{self._url}{route} answers {answer.status_code}: {said}")
        return answer
