"""What differs between the two kinds when one of their objects is reconciled."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from controller.core.draft import Decision, StatusT
from controller.core.observed import Observed
from controller.core.watching.observed import ObservedBase
from controller.errors import SpecError
from controller.kube.resources import Resource
from controller.shell.looks import AnyObserver, ChildT, Look, ObjectT
from controller.shell.records import JobObject

ObservedT = TypeVar("ObservedT", Observed, ObservedBase)


class Work(ABC, Generic[ObjectT, ChildT, StatusT, ObservedT]):
    """One kind: how it is looked at and decided, and who else wants to know."""

    resource: Resource
    labels: tuple[str, ...]
    """Of a child: together they say which one it is, and what it is true for."""
    observer: AnyObserver[ObjectT, ChildT]

    @abstractmethod
    def observe(self, look: Look[ObjectT, ChildT]) -> ObservedT:
        """What the decision is made about."""

    @abstractmethod
    def decide(self, observed: ObservedT) -> Decision[StatusT]:
        """What to do about it."""

    @abstractmethod
    def refuse(self, stored: JobObject, error: SpecError) -> Decision[StatusT]:
        """What to do about one whose spec cannot be read."""

    @abstractmethod
    def settle(
        self, uid: str, status: StatusT, observed: ObservedT | None, *, is_alive: bool
    ) -> None:
        """What the decision made of the object; None was observed where its spec is unreadable."""

    @abstractmethod
    def leave(self, uid: str) -> None:
        """The object is going, and nothing of it lives."""

    @abstractmethod
    def count(self, obj: ObjectT, status: StatusT, *, has_changed: bool) -> None:
        """The status as it is stored now."""

    @abstractmethod
    def count_unreadable(self, stored: JobObject, status: StatusT) -> None:
        """The same, of an object whose spec nobody here can read."""
