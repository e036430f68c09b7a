"""The policy on references asks for every field by which a Secret can be named."""

import re
from pathlib import Path

import yaml

from controller.api.crd import KINDS, object_schema
from controller.api.structural import walk

POLICY = Path(__file__).parents[3] / "manifests" / "admission" / "references.yaml"
SPEC = next(yaml.safe_load_all(POLICY.read_text()))["spec"]
PULLED = "compute.imagePullSecrets[].name"
IN_A_JOB = 3
"""Places of one job that name a Secret: base model, data, output."""


def fields(kind):
    return dict(walk(object_schema(kind)["properties"]["spec"]))


def naming(kind):
    """Paths of the fields that name a Secret."""
    return {path for path in fields(kind) if path.endswith(("secretRef.name", PULLED))}


def test_every_field_that_names_a_secret_is_asked_for():
    expression = SPEC["variables"][0]["expression"]
    asked = {
        path.replace("?", "") for path in re.findall(r"\?object\.spec\.(\S+\.name)", expression)
    }
    assert asked == set().union(*map(naming, KINDS)) - {PULLED}
    assert "compute.imagePullSecrets.orValue([]).map(one, one.name)" in expression


def test_as_many_are_asked_for_as_a_job_can_name():
    job = next(kind for kind in KINDS if PULLED in naming(kind))
    most = IN_A_JOB + fields(job)["compute.imagePullSecrets"]["maxItems"]
    indices = [
        int(n)
        for v in SPEC["validations"]
        for n in re.findall(r"secrets\[(\d+)\]", v["expression"])
    ]
    assert indices == list(range(len(indices)))
    assert len(indices) >= most
