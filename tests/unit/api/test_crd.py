"""The CRDs are what an API server takes: structural, bounded, small."""

import copy
import json
import re

import pytest
from builders.api import a_job_spec

from controller.api.crd import BASE_MODEL, FINE_TUNE_JOB, KINDS, crd_documents, object_schema
from controller.api.rules import RULES
from controller.api.structural import walk
from controller.api.wire import to_document

MAX_BYTES = 100 * 1024

KEYWORDS = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
}
"""Of a structural schema; what pydantic writes beside them must not come through."""

SCHEMAS = {kind.kind: object_schema(kind) for kind in KINDS}


def nodes(schema, path=""):
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from nodes(schema[name], f"{path}[]")


NODES = [
    (f"{kind}{path}", node) for kind, schema in SCHEMAS.items() for path, node in nodes(schema)
]


@pytest.mark.parametrize("document", crd_documents(), ids=lambda d: d["metadata"]["name"])
def test_a_crd_fits_the_annotation_of_a_client_side_apply(document):
    assert len(json.dumps(document, indent=1)) < MAX_BYTES


def test_only_keywords_of_a_structural_schema_are_used():
    strange = {
        (path, key)
        for path, node in NODES
        for key in node.keys() - KEYWORDS
        if not key.startswith("x-kubernetes-")
    }
    assert strange == set()


def test_every_field_has_a_type_or_is_int_or_string():
    untyped = [p for p, n in NODES if "type" not in n and "x-kubernetes-int-or-string" not in n]
    assert untyped == []


def test_no_field_is_a_float():
    assert [path for path, node in NODES if node.get("type") == "number"] == []


def test_properties_and_additional_properties_never_meet():
    assert [p for p, n in NODES if {"properties", "additionalProperties"} <= n.keys()] == []


def test_every_text_list_and_map_is_bounded():
    bound = {"string": "maxLength", "array": "maxItems"}
    unbounded = [
        path
        for path, node in NODES
        if (node.get("type") in bound and not {bound[node["type"]], "enum", "format"} & node.keys())
        or ("additionalProperties" in node and "maxProperties" not in node)
        or ("x-kubernetes-int-or-string" in node and "maxLength" not in node)
    ]
    assert unbounded == []


def test_every_field_of_a_spec_is_described():
    bare = [
        f"{kind}.{path}"
        for kind, schema in SCHEMAS.items()
        for path, field in walk(schema["properties"]["spec"])
        if not field.get("description")
    ]
    assert bare == []


def test_required_fields_are_fields_that_there_are():
    wrong = [
        p for p, n in NODES if not set(n.get("required", ())) <= n.get("properties", {}).keys()
    ]
    assert wrong == []


def test_every_pattern_is_anchored_and_compiles():
    patterns = [node["pattern"] for _, node in NODES if "pattern" in node]
    assert patterns
    assert all(pattern.startswith("^") and re.compile(pattern) for pattern in patterns)


def test_a_new_object_has_a_status_that_says_in_progress():
    for schema in SCHEMAS.values():
        assert schema["properties"]["status"]["default"] == {"observedGeneration": -1}


def applied(schema, value):
    """The value with the schema's defaults, as an API server puts them in."""
    if not isinstance(value, dict):
        return [applied(schema["items"], v) for v in value] if isinstance(value, list) else value
    result = dict(value)
    for name, field in schema.get("properties", {}).items():
        if name not in result and "default" in field:
            result[name] = copy.deepcopy(field["default"])
        if name in result:
            result[name] = applied(field, result[name])
    return result


def test_the_defaults_of_the_schema_are_the_defaults_of_the_types():
    least = {
        "baseModel": {"name": "base"},
        "dataset": {"train": {"uri": "file:///d"}},
        "output": {"uri": "file:///o"},
    }
    schema = SCHEMAS["FineTuneJob"]["properties"]["spec"]
    assert applied(schema, least) == to_document(a_job_spec(**least))


def test_the_columns_are_those_that_people_look_for():
    narrow = [column.name for column in FINE_TUNE_JOB.columns if not column.is_wide]
    wide = [column.name for column in FINE_TUNE_JOB.columns if column.is_wide]
    assert narrow == ["Phase", "Verdict", "Score", "Base", "Progress", "Age"]
    assert wide == ["Reason", "Run", "BaseCurrent", "Queue"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_column_shows_a_field_that_there_is(kind):
    fields = {path for path, _ in walk(object_schema(kind))}
    for column in kind.columns:
        path = re.sub(r"\[\?.*?\)\]", "[]", column.path).removeprefix(".")
        assert path in fields or path.startswith("metadata."), column


def test_the_job_has_its_short_name_and_a_status_subresource():
    job = next(d for d in crd_documents() if d["spec"]["names"]["kind"] == FINE_TUNE_JOB.kind)
    assert job["spec"]["names"]["shortNames"] == ["ftj"]
    assert job["spec"]["versions"][0]["subresources"] == {"status": {}}


@pytest.mark.parametrize("kind", [FINE_TUNE_JOB, BASE_MODEL], ids=lambda kind: kind.kind)
def test_every_rule_stands_in_the_schema_with_a_message(kind):
    written = [
        rule
        for _, node in nodes(object_schema(kind))
        for rule in node.get("x-kubernetes-validations", ())
    ]
    assert {rule.cel for rule in RULES[kind.kind]} <= {rule["rule"] for rule in written}
    assert all(rule["message"] and "\n" not in rule["message"] for rule in written)
