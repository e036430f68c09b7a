"""Every field of both kinds says what it is, in the CRD and so in docs/api.md."""

import pytest

from controller.api.crd import KINDS, object_schema
from controller.api.structural import walk


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_has_a_meaning(kind):
    schema = object_schema(kind)["properties"]
    silent = [
        f"{part}.{path}"
        for part in ("spec", "status")
        for path, field in walk(schema[part])
        if not field.get("description")
    ]
    assert silent == []
