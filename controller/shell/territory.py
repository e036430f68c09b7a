"""Where the operator may work, when it keeps to some namespaces: those that it can see whole.

A namespace that is gone, or in which the operator lacks a right, must not stop the others. And a
namespace of which one kind is not seen is not worked in at all: without the Jobs there, a run would
look as if its Job had vanished.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from controller.kube.errors import ApiError

log = logging.getLogger(__name__)

REMEDY = (
    "nothing is done there: give the operator the Role of manifests/namespaced/tenant in it, or"
    " take it out of watch_namespaces; it is tried again by itself"
)


@dataclass
class Territory:
    """The namespaces, each open or closed. Without any there is no bound."""

    namespaces: Sequence[str]
    kinds: Sequence[str]
    """What must be seen of a namespace, by resource."""
    opened: Callable[[str], None]
    """A namespace can be worked in from now on."""
    closed: Callable[[str], None]
    """It cannot any more."""
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _refused: dict[str, set[str]] = field(default_factory=dict)

    def is_open(self, namespace: str) -> bool:
        """Whether everything of it is seen."""
        return not self.namespaces or self._seen.get(namespace, set()) >= set(self.kinds)

    def state(self) -> dict[str, bool]:
        """Whether each namespace is open."""
        return {namespace: self.is_open(namespace) for namespace in self.namespaces}

    def has_room(self) -> bool:
        """Whether there is anywhere to work."""
        return not self.namespaces or any(self.state().values())

    def seen(self, kind: str, namespace: str | None) -> None:
        """A whole list was made of it."""
        if namespace is None:
            return
        was_open = self.is_open(namespace)
        self._seen.setdefault(namespace, set()).add(kind)
        self._refused.get(namespace, set()).discard(kind)
        if self.is_open(namespace) and not was_open:
            log.info("namespace %s: worked in", namespace)
            self.opened(namespace)

    def refused(self, kind: str, namespace: str | None, error: ApiError) -> None:
        """The server does not show it; said once for each namespace until it does."""
        if namespace is None:
            return
        known, was_open = self._refused.setdefault(namespace, set()), self.is_open(namespace)
        is_news = not known
        known.add(kind)
        self._seen.get(namespace, set()).discard(kind)
        if is_news:
            log.error("namespace %s: %s; %s", namespace, error, REMEDY)
        if was_open:
            self.closed(namespace)


def unique(namespaces: Iterable[str]) -> tuple[str, ...]:
    """Each once, in their order."""
    return tuple(dict.fromkeys(filter(None, namespaces)))
