"""The objects a reflector knows, by key and by index."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from controller.kube.objects import Key, KubeObject, key_of

T = TypeVar("T", bound=KubeObject)
Index = Callable[[T], Iterable[str]]
"""The values under which an object is to be found."""


class Store(Generic[T]):
    """Only its reflector writes to it; reads never wait."""

    def __init__(self, indexes: Mapping[str, Index[T]] | None = None) -> None:
        self._objects: dict[Key, T] = {}
        self._indexes = dict(indexes or {})
        # index name -> value -> keys; a dict for its order, so that reads repeat themselves
        self._entries: dict[str, dict[str, dict[Key, None]]] = {name: {} for name in self._indexes}

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._objects)

    def get(self, key: Key) -> T | None:
        """The object, if it is there."""
        return self._objects.get(key)

    def all(self) -> list[T]:
        """Every object."""
        return list(self._objects.values())

    def of(self, namespace: str) -> list[T]:
        """Every object of one namespace."""
        return [obj for key, obj in self._objects.items() if key[0] == namespace]

    def keys(self, namespace: str | None = None) -> list[Key]:
        """The keys of one namespace, or of all."""
        return [key for key in self._objects if namespace is None or key[0] == namespace]

    def by_index(self, name: str, value: str) -> list[T]:
        """The objects that the index named puts under the value; KeyError for an unknown index."""
        return [self._objects[key] for key in self._entries[name].get(value, ())]

    def put(self, obj: T) -> T | None:
        """Adds or replaces; gives what was there."""
        key = key_of(obj)
        old = self.remove(key)
        self._objects[key] = obj
        for name, values in self._indexes.items():
            for value in values(obj):
                self._entries[name].setdefault(value, {})[key] = None
        return old

    def remove(self, key: Key) -> T | None:
        """Takes out; gives what was there."""
        old = self._objects.pop(key, None)
        if old is not None:
            self._unindex(key, old)
        return old

    def _unindex(self, key: Key, obj: T) -> None:
        for name, values in self._indexes.items():
            entries = self._entries[name]
            for value in values(obj):
                keys = entries.get(value, {})
                keys.pop(key, None)
                if not keys:
                    entries.pop(value, None)
