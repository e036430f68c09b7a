"""The few fields that every object has. Anything else in a document is skipped while decoding."""

from datetime import datetime

from msgspec import Struct, field

Key = tuple[str, str]
"""Namespace and name."""


class OwnerReference(Struct, rename="camel", gc=False):
    """Who an object belongs to."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Meta(Struct, rename="camel", gc=False):
    """``metadata``, as far as anything here decides by it."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    owner_references: list[OwnerReference] = field(default_factory=list)
    finalizers: list[str] = field(default_factory=list)


class KubeObject(Struct, rename="camel", gc=False):
    """Every watched type extends it with the fields that it needs.

    A ``msgspec.Raw`` field keeps the bytes of its whole object alive, not those of a whole list.
    """

    metadata: Meta


def key_of(obj: KubeObject) -> Key:
    """Where the object is."""
    return (obj.metadata.namespace, obj.metadata.name)
