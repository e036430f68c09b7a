"""The samples can be applied as they are."""

from pathlib import Path

import pytest
import yaml

from controller.api.documents import parse

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
SAMPLE_FILES = sorted([*SAMPLES.glob("job-*.yaml"), SAMPLES / "basemodel.yaml"])
S3_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def the_job(name):
    path = SAMPLES / f"job-{name}.yaml"
    [job] = parse(path.read_text(), file=path.name, base=str(SAMPLES))
    return job


def secret_names(value):
    """Every secretRef in a document."""
    if isinstance(value, list):
        return {name for entry in value for name in secret_names(entry)}
    if not isinstance(value, dict):
        return set()
    own = {value["secretRef"]["name"]} if "secretRef" in value else set()
    return own.union(*(secret_names(inner) for inner in value.values()))


def secrets():
    documents = yaml.safe_load_all((SAMPLES / "secrets.example.yaml").read_text())
    return {secret["metadata"]["name"]: secret["stringData"] for secret in documents}


@pytest.mark.parametrize("path", SAMPLE_FILES, ids=lambda path: path.name)
def test_a_sample_has_no_problem(path):
    assert len(parse(path.read_text(), file=path.name, base=str(SAMPLES))) == 1


def test_every_secret_that_a_sample_names_has_an_example_with_the_keys_that_are_read():
    named = set().union(*(secret_names(yaml.safe_load(path.read_text())) for path in SAMPLE_FILES))
    assert named == set(secrets())
    assert {frozenset(keys) for keys in secrets().values()} == {
        frozenset(S3_KEYS),
        frozenset({"token"}),
        frozenset({"username", "password"}),
    }


def test_no_example_holds_a_value():
    values = {value for keys in secrets().values() for value in keys.values()}
    assert values == {"REPLACE-ME"}


def test_one_sample_reaches_three_places_as_three_identities():
    spec = the_job("s3").spec
    places = (spec.base_model.s3.storage, spec.dataset.storage, spec.output.storage)
    assert len({place.secret_ref.name for place in places}) == len(places)


def test_one_sample_follows_a_branch_of_a_hub_model():
    model = the_job("hub").spec.base_model
    assert model.hugging_face.branch == "main"
    assert model.revision is None


def test_one_sample_trains_a_pinned_revision_on_the_cpu():
    spec = the_job("cpu").spec
    assert len(spec.base_model.revision) == len("12fd25f77366fa6b3b4b768ec3050bf629380bac")
    assert spec.compute.gpus == 0


def test_one_sample_waits_in_a_queue():
    assert the_job("kueue").spec.compute.queue_name == "gpus"
