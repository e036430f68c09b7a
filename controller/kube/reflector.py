"""Keeps a store equal to what the API server has, by list and watch."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from controller.kube.backoff import Backoff
from controller.kube.client import Client
from controller.kube.resources import Resource
from controller.kube.scope import SILENCE_S, OnAccess, OnChange, Scope
from controller.kube.store import Index, Store, T


class Reflector(Generic[T]):
    """One kind, in some namespaces or in all.

    ``on_change(old, new)`` is called after the store changed: ``old`` is None for an object that
    was not known, ``new`` for one that is gone. It must be quick and must not raise; what it raises
    ends ``run``. Errors of the API server never do. ``on_access`` is told of each namespace
    whenever a whole list was made of it, and whenever the server refused one; what is known of a
    namespace that is refused is kept as it was. ``on_rewind`` is called when a list is older than
    what is known, as after a restore of etcd from a backup; then every object in it is told as
    changed.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        type_: type[T],
        *,
        namespaces: Sequence[str] = (),
        label_selector: str = "",
        indexes: Mapping[str, Index[T]] | None = None,
        on_change: OnChange[T],
        on_access: OnAccess = lambda _namespace, _error: None,
        on_rewind: Callable[[], None] = lambda: None,
        backoff: Callable[[], Backoff] = Backoff,
        silence_s: float = SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store: Store[T] = Store(indexes)
        self._scopes = [
            Scope(
                client,
                resource,
                type_,
                namespace=namespace,
                label_selector=label_selector,
                store=self.store,
                on_change=on_change,
                on_access=on_access,
                on_rewind=on_rewind,
                backoff=backoff(),
                silence_s=silence_s,
                clock=clock,
            )
            for namespace in (tuple(dict.fromkeys(namespaces)) or (None,))
        ]

    @property
    def relists(self) -> int:
        """How many whole lists were made, the first one included."""
        return sum(scope.relists for scope in self._scopes)

    @property
    def has_synced(self) -> bool:
        """Whether every namespace was listed at least once."""
        return all(scope.is_synced.is_set() for scope in self._scopes)

    @property
    def has_settled(self) -> bool:
        """Whether every namespace was listed at least once, or refused."""
        return all(scope.is_settled.is_set() for scope in self._scopes)

    async def wait_settled(self) -> None:
        """Returns once ``has_settled``."""
        for scope in self._scopes:
            await scope.is_settled.wait()

    def seconds_since_contact(self) -> float:
        """Since the server last said anything, in the namespace where that is longest ago.

        About a minute is normal where nothing happens; more than two mean trouble.
        """
        return max(scope.seconds_since_contact() for scope in self._scopes)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for scope in self._scopes:
                group.create_task(scope.run())
