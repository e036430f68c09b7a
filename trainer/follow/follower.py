"""One look: what is promoted, what the server serves, and what makes the two agree.

Nothing is remembered between two looks but files, so it does not matter which of the pointer, the
server and this process changed, went away or came back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trainer.errors import StageError
from trainer.follow.copies import Copies
from trainer.follow.vllm import ServerError, Vllm
from trainer.follow.wanted import find_wanted
from trainer.store.base import Store


@dataclass
class Look:
    """What came of a look."""

    serves: Path | None = None
    """The copy that the server serves now."""
    notes: list[str] = field(default_factory=list)
    is_unreachable: bool = False
    """The server does not answer."""
    is_refused: bool = False
    """The server did not take an adapter."""


@dataclass
class Follower:
    """Keeps one name of one server at what one output has promoted for one base model."""

    name: str
    base: str
    open_store: Callable[[], Store]
    """Called again after a failure: the Secret may be another by then."""
    copies: Copies
    server: Vllm
    _store: Store | None = None

    def look(self) -> Look:
        """Compare, act, and say what came of it; what failed is left to the next look."""
        look = Look()
        try:
            served = self._served(look)
            copy = self._wanted_copy(served, look)
            look.serves = self._ours(self._brought(copy, served, look))
            self.copies.show_ready(look.serves is not None)
            if look.serves is not None and look.serves == copy:
                self.copies.prune(copy)
        except StageError as error:  # this machine's disk
            look.notes.append(error.message)
        return look

    def _served(self, look: Look) -> Path | None:
        try:
            return self.server.served(self.name)
        except ServerError as error:
            look.notes.append(str(error))
            look.is_unreachable = True
            return None

    def _wanted_copy(self, served: Path | None, look: Look) -> Path | None:
        """Fetched also while the server does not answer: it may only be starting."""
        try:
            store = self._store = self._store or self.open_store()
            answer = find_wanted(store, self.base)
            look.notes += [answer.note] if answer.note else []
            if answer.adapter is None:
                return None
            path = self.copies.path(answer.adapter.digest)
            return path if path == served else self.copies.fetch(store, answer.adapter)
        except StageError as error:
            self._store = None
            look.notes.append(error.message)
            return None

    def _brought(self, copy: Path | None, served: Path | None, look: Look) -> Path | None:
        """What the server serves after this.

        One that serves nothing, and cannot have the copy, gets what it took last.
        """
        if look.is_unreachable:
            return None
        if copy is not None and served != copy and self._is_loaded(copy, look):
            return copy
        if served is None:
            accepted = self.copies.accepted()
            if accepted not in (None, copy) and self._is_loaded(accepted, look):
                return accepted
        return served

    def _is_loaded(self, copy: Path, look: Look) -> bool:
        try:
            self.server.load(self.name, copy)
        except ServerError as error:
            look.notes.append(str(error))
            look.is_refused = True
            return False
        look.notes.append(f"{self.name} is served from {copy}")
        self.copies.accept(copy)
        return True

    def _ours(self, served: Path | None) -> Path | None:
        """Somebody may have loaded another adapter under the name."""
        return served if served is not None and served.parent == self.copies.root else None
