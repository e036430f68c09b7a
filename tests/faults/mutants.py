"""``mutants.py NAME FLAGS...``: the operator with one of its safeguards taken out.

The suite must turn red with each of them; a test says so. Nothing of this is in the product.
"""

import sys
from collections.abc import Callable

import msgspec

import controller.__main__ as operator
from controller.core import begin
from controller.kube.client import MERGE_PATCH, Client
from controller.kube.resources import Resource
from controller.shell.apply import Applier


def without_live_look() -> None:
    """A Job is created without a last look at its object."""

    async def no_look(_self: Applier, _stored: object) -> None:
        return

    Applier._check_live = no_look  # type: ignore[method-assign] # noqa: SLF001 - what is taken out


def without_write_ahead() -> None:
    """A Job is created in the same decision that records its attempt, before the status write."""
    begin._is_stored = lambda _turn: True  # noqa: SLF001 - what is taken out


def without_precondition() -> None:
    """A status is written whatever version is stored: a merge patch that names none."""
    replace = Client.replace

    async def patch(  # noqa: PLR0917 - as it is called
        self: Client,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        subresource: str = "",
        *,
        timeout_s: float | None = None,
    ) -> bytes:
        if subresource != "status":
            return await replace(self, resource, namespace, name, body, timeout_s=timeout_s)
        document = msgspec.json.decode(body)
        del document["metadata"]["resourceVersion"]
        path = resource.path(namespace, name, subresource)
        body = msgspec.json.encode(document)
        return await self.request("PATCH", path, body=body, content_type=MERGE_PATCH)

    Client.replace = patch  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    "no-live-look": without_live_look,
    "no-write-ahead": without_write_ahead,
    "no-precondition": without_precondition,
}


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    sys.exit(operator.main())
