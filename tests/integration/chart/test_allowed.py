"""Lists of images, ServiceAccounts and hosts: what is not on them is refused to everybody."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from builders.api import a_base_model_document, a_job_document
from builders.policies import install, refusal
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.process import wait_until

STORE = "https://s3.example.com"
TRAIN, RESULTS = "s3://bucket/data", "s3://bucket/results"
LISTS = {
    "allowedImages": ["r.example/ml/*", "r.example/one:1", "r.example/own:*"],
    "allowedServiceAccounts": ["trainer"],
    "allowedHosts": ["s3.example.com", "*.forge.example", "mirror.example"],
}


def job(**spec: Any) -> Json:
    return a_job_document("probe", **spec)


def computing(**compute: Any) -> Json:
    return job(compute=compute)


def told(name: str, value: str, **spec: Any) -> Json:
    return job(compute={"env": [{"name": name, "value": value}]}, **spec)


def base(**source: Any) -> Json:
    return a_base_model_document(source=source)


def data(endpoint: str | None, **parts: Any) -> Json:
    storage = {"endpoint": endpoint} if endpoint else {}
    return job(dataset={"train": {"uri": TRAIN}, "storage": storage, **parts})


def output(endpoint: str | None) -> Json:
    storage = {"endpoint": endpoint} if endpoint else {}
    return job(output={"uri": RESULTS, "storage": storage})


HUB = {"huggingFace": {"repo": "a/b"}}
IMAGES = "allowed are r.example/ml/*, r.example/one:1, r.example/own:*"


@pytest.fixture(scope="module")
def listed(
    plane: ControlPlane, new_namespace: Callable[[str], AbstractContextManager[str]]
) -> Iterator[str]:
    """A namespace where the lists hold."""
    with new_namespace("allowed") as namespace:
        install(plane, namespace, **LISTS)
        probe = computing(serviceAccountName="other")
        wait_until(lambda: refusal(plane.api, namespace, probe), "the lists hold", 60)
        yield namespace


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(job(), id="a job that names nothing"),
        pytest.param(job(compute={"image": "other"}, suspend=True), id="a job that is stopped"),
        pytest.param(computing(image="r.example/ml/deep/trainer:7"), id="image below a prefix"),
        pytest.param(computing(image="r.example/one:1"), id="image by its whole name"),
        pytest.param(computing(image="r.example/own:7"), id="any tag of an image"),
        pytest.param(computing(serviceAccountName="trainer"), id="ServiceAccount"),
        pytest.param(data(STORE), id="endpoint of the data"),
        pytest.param(data("https://S3.Example.COM:9000/x"), id="case, port and path do not count"),
        pytest.param(output(STORE), id="endpoint of the output"),
        pytest.param(
            job(baseModel={"git": {"url": "https://eu.forge.example/a.git"}}), id="a subdomain"
        ),
        pytest.param(
            told("HF_ENDPOINT", "https://mirror.example", baseModel=HUB), id="a mirror of the hub"
        ),
        pytest.param(told("HTTPS_PROXY", ""), id="an empty proxy"),
        pytest.param(told("NO_PROXY", "10.0.0.0/8"), id="a variable that leads nowhere"),
    ],
)
def test_what_is_on_the_list_is_taken(plane: ControlPlane, listed: str, document: Json) -> None:
    assert refusal(plane.api, listed, document) == ""


AWS = "leads to https://s3.amazonaws.com;"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param(
            a_base_model_document(source={"s3": {"uri": TRAIN}}, suspend=True),
            AWS,
            id="a base model that is not looked at",
        ),
        pytest.param(computing(image="r.example/mlx/t:1"), IMAGES, id="image beside a prefix"),
        pytest.param(computing(image="r.example/one:2"), IMAGES, id="another tag"),
        pytest.param(computing(image="trainer"), "compute.image is trainer", id="no registry"),
        pytest.param(
            computing(serviceAccountName="default"),
            "compute.serviceAccountName is default; allowed are trainer",
            id="ServiceAccount",
        ),
        pytest.param(
            data("https://s3.example.com.evil.example"), "evil.example", id="a longer name"
        ),
        pytest.param(data("https://s3.example.com@evil.example"), "evil.example", id="a user name"),
        pytest.param(data("https://"), "leads to https://;", id="no host"),
        pytest.param(data(None), AWS, id="data on AWS"),
        pytest.param(output(None), AWS, id="output on AWS"),
        pytest.param(
            job(dataset={"train": {"uri": "file:///a.jsonl"}, "test": {"uri": TRAIN}}),
            AWS,
            id="only the test data",
        ),
        pytest.param(
            job(evaluation={"forgetting": {"uri": TRAIN}}), AWS, id="text to measure forgetting"
        ),
        pytest.param(job(baseModel={"s3": {"uri": TRAIN}}), AWS, id="base model on AWS"),
        pytest.param(base(s3={"uri": TRAIN}), AWS, id="watched base model on AWS"),
        pytest.param(job(baseModel=HUB), "leads to https://huggingface.co;", id="the hub"),
        pytest.param(base(**HUB), "leads to https://huggingface.co;", id="watched on the hub"),
        pytest.param(base(git={"url": "https://forge.example/a.git"}), "leads to", id="the domain"),
        pytest.param(
            a_base_model_document(
                writeBack={"git": {"url": "https://evil.example/a.git", "branch": "main"}}
            ),
            "leads to https://evil.example/a.git",
            id="write-back",
        ),
        pytest.param(
            told("HF_ENDPOINT", "https://evil.example", baseModel=HUB), "evil", id="another mirror"
        ),
        pytest.param(
            told("HUGGINGFACE_CO_STAGING", "1", baseModel=HUB),
            "huggingface.co, 1;",
            id="the hub's other one",
        ),
        pytest.param(told("https_proxy", "http://evil.example:1"), "evil", id="a proxy"),
        pytest.param(told("ALL_PROXY", "evil.example:1"), "evil", id="a proxy without scheme"),
        pytest.param(told("AWS_ENDPOINT_URL_S3", "https://evil.example"), "evil", id="AWS's own"),
    ],
)
def test_what_is_not_on_it_is_refused_by_name(
    plane: ControlPlane, listed: str, document: Json, said: str
) -> None:
    assert said in refusal(plane.api, listed, document)


MIRROR = "https://hub.corp.example/path?a=b&c='d'"


@pytest.fixture(scope="module")
def mirrored(
    plane: ControlPlane, new_namespace: Callable[[str], AbstractContextManager[str]]
) -> Iterator[str]:
    """A namespace where every pod asks a mirror, which is on the list."""
    values = {"allowedHosts": ["hub.corp.example"], "trainer": {"env": {"HF_ENDPOINT": MIRROR}}}
    with new_namespace("mirrored") as namespace:
        install(plane, namespace, **values)
        probe = job(baseModel={"git": {"url": "https://evil.example/a.git"}})
        wait_until(lambda: refusal(plane.api, namespace, probe), "the list holds", 60)
        yield namespace


@pytest.mark.parametrize("document", [job(baseModel=HUB), base(**HUB)], ids=["job", "base model"])
def test_models_of_the_hub_lead_to_the_operators_mirror(
    plane: ControlPlane, mirrored: str, document: Json
) -> None:
    assert refusal(plane.api, mirrored, document) == ""


def test_a_job_that_goes_past_the_operators_mirror_is_refused(
    plane: ControlPlane, mirrored: str
) -> None:
    document = told("HF_ENDPOINT", "https://huggingface.co", baseModel=HUB)
    assert "leads to https://huggingface.co" in refusal(plane.api, mirrored, document)
