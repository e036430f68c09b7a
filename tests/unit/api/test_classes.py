"""The table of field classes and the table of Autos cover the types."""

from builders.api import a_job_spec

from controller.api.autos import AUTOS
from controller.api.classes import FIELD_RULES, FieldClass
from controller.api.finetunejob import FineTuneJobSpec
from controller.api.structural import is_leaf, structural_schema, walk

FIELDS = dict(walk(structural_schema(FineTuneJobSpec)))
LEAVES = {path for path, field in FIELDS.items() if is_leaf(field)}

POLICIES = {"promotion.policy", "retrain.policy"}
"""Auto is the name of a policy there, nothing to resolve."""


def test_every_field_of_the_spec_has_a_class():
    assert sorted(LEAVES - FIELD_RULES.keys()) == []


def test_every_class_is_of_a_field_that_there_is():
    assert sorted(FIELD_RULES.keys() - LEAVES) == []


def test_only_identity_fields_are_locations_and_only_control_fields_are_judged():
    locations = {rule.field_class for rule in FIELD_RULES.values() if rule.is_location}
    judged = {rule.field_class for rule in FIELD_RULES.values() if rule.is_judged}
    assert locations == {FieldClass.IDENTITY}
    assert judged == {FieldClass.CONTROL}


def test_every_uri_of_an_identity_field_is_a_location():
    uris = [
        path
        for path, rule in FIELD_RULES.items()
        if path.endswith(".uri") and rule.field_class is FieldClass.IDENTITY
    ]
    assert uris
    assert all(FIELD_RULES[path].is_location for path in uris)


def test_no_secret_makes_a_run():
    secrets = [rule for path, rule in FIELD_RULES.items() if "secretRef" in path]
    assert secrets
    assert {rule.field_class for rule in secrets} == {FieldClass.EXECUTION}


def test_every_auto_of_the_spec_has_a_rule():
    defaults = {path for path, field in FIELDS.items() if field.get("default") == "Auto"}
    assert {auto.field for auto in AUTOS} == defaults - POLICIES


def test_the_default_of_every_auto_is_auto():
    written = a_job_spec().model_dump(by_alias=True)
    for auto in AUTOS:
        value = written
        for name in auto.field.split("."):
            value = value[name]
        assert value == "Auto", auto.field
