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


def test_each_sample_has_an_output_of_its_own():
    jobs = [yaml.safe_load(path.read_text()) for path in SAMPLE_FILES if "job-" in path.name]
    assert len({job["spec"]["output"]["uri"] for job in jobs}) == len(jobs)
    assert len({job["metadata"]["name"] for job in jobs}) == len(jobs)


def test_no_example_holds_a_value():
    values = {value for keys in secrets().values() for value in keys.values()}
    assert values == {"REPLACE-ME"}


def test_one_sample_reaches_three_places_as_three_identities():
    spec = the_job("s3").spec
    places = (spec.base_model.s3.storage, spec.dataset.storage, spec.output.storage)
    assert len({place.secret_ref.name for place in places}) == len(places)


def test_one_sample_reaches_everything_as_the_account_of_its_example():
    spec = the_job("workload-identity").spec
    account = yaml.safe_load((SAMPLES / "serviceaccount.example.yaml").read_text())
    assert spec.compute.service_account_name == account["metadata"]["name"]
    places = (spec.base_model.s3.storage, spec.dataset.storage, spec.output.storage)
    assert {place.secret_ref for place in places} == {None}


def test_one_sample_stays_at_a_revision_of_the_sample_base_model_that_write_back_moves():
    model = the_job("pinned").spec.base_model
    watched = yaml.safe_load((SAMPLES / "basemodel.yaml").read_text())["metadata"]["name"]
    assert model.name == watched
    line = f'revision: "{model.revision}" # {{"$basemodel": "ml:{watched}"}}'
    assert line in (SAMPLES / "job-pinned.yaml").read_text()


def test_one_sample_uses_several_gpus():
    assert the_job("multi-gpu").spec.compute.gpus == 4


def test_one_sample_bounds_time_and_gpu_time():
    spec = the_job("budget").spec
    assert spec.active_deadline_seconds == 4 * 3600
    assert spec.budget.max_gpu_seconds == spec.active_deadline_seconds * spec.compute.gpus
    assert spec.budget.price_per_gpu_hour


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


def test_the_namespaced_sample_names_the_namespaces_that_it_gives_rights_in():
    overlay = SAMPLES / "namespaced"
    kustomization = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    [patch] = kustomization["patches"]
    [add] = yaml.safe_load(patch["patch"])
    folders = [name for name in kustomization["resources"] if "/" not in name]
    assert add["value"] == {"name": "TUNEKEEPER_WATCH_NAMESPACES", "value": ",".join(folders)}
    for folder in folders:
        tenant = yaml.safe_load((overlay / folder / "kustomization.yaml").read_text())
        assert tenant["namespace"] == folder
