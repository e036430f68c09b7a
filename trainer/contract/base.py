"""The base of every wire model, and the scalar types that the wire uses.

Owns naming (camelCase outside, snake_case inside) and strictness; knows no single field.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

CONTRACT_VERSION = 1
"""Part of every run id: a change here means that old artefacts are not what this code writes."""

Auto = Literal["Auto"]

DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?(e-?[0-9]{1,2})?$"

MAX_DECIMAL_LENGTH = 24

Decimal = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=MAX_DECIMAL_LENGTH)]
"""A decimal number as a quoted string; floats do not survive a round trip through Git and YAML."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

Uri = Annotated[
    str, Field(pattern=r"^(s3://[a-z0-9][a-z0-9.-]{2,62}(/.*)?|file:///.*)$", max_length=1024)
]
"""``s3://bucket/key`` or ``file:///absolute/path``."""

Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", max_length=253
    ),
]


class Wire(BaseModel):
    """Frozen, camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
    )


class LocalObjectReference(Wire):
    """An object in the same namespace, by name."""

    name: Name = Field(description="Name of the object.")
