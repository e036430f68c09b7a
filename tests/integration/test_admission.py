"""Good documents are taken and bad ones refused, by the API server and by the command alike."""

import json
from pathlib import Path

import pytest
import yaml
from builders.api import a_job_document
from builders.crd_cases import BAD, Bad
from builders.crd_good import GOOD
from builders.docpages import blocks
from builders.jobs import SPEC

from controller.api.documents import parse
from controller.api.paths import absolute
from controller.api.unsupported import NOT_YET
from controller.errors import SpecError

ROOT = Path(__file__).parents[2]
OURS = "apiVersion: tunekeeper.dev/"


def shipped_documents():
    """Every object of ours among the examples and samples, relative places made whole."""
    for folder in (ROOT / "examples", ROOT / "manifests" / "samples"):
        for path in sorted(folder.rglob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            if "build" not in path.parts and OURS in text:
                for number, document in enumerate(yaml.safe_load_all(text)):
                    if str(document["apiVersion"]).startswith("tunekeeper.dev/"):
                        spec = absolute(document["spec"], str(path.parent))
                        name = f"{path.relative_to(ROOT)} {number}"
                        yield pytest.param(document | {"spec": spec}, id=name)


def shown_documents():
    """Every object of ours on the pages, and every part of a job there put into one."""
    for block in blocks("yaml"):
        for number, document in enumerate(yaml.safe_load_all(block.text)):
            if str(document.get("apiVersion", "")).startswith("tunekeeper.dev/"):
                yield pytest.param(document, id=f"{block.id} {number}")
            elif list(document) == ["spec"]:
                part = a_job_document() | {"spec": SPEC | document["spec"]}
                yield pytest.param(part, id=f"{block.id} {number}")


def path_of(document, namespace):
    plural = f"{document['kind'].lower()}s"
    return f"/apis/tunekeeper.dev/v1alpha1/namespaces/{namespace}/{plural}"


def problems_of_the_command(document):
    try:
        parse(json.dumps(document, indent=1), file="job.json", base="/home")
    except SpecError as error:
        return [str(problem) for problem in error.problems]
    return []


GOOD_ONES = [pytest.param(document, id=about) for about, document in GOOD]


@pytest.mark.parametrize("document", [*GOOD_ONES, *shipped_documents(), *shown_documents()])
def test_a_good_document_is_taken_as_it_is(plane, namespace, document):
    strict = f"{path_of(document, namespace)}?fieldValidation=Strict"
    metadata = {"name": document["metadata"]["name"]}
    made = plane.api.post(strict, document | {"metadata": metadata})
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize("document", [*GOOD_ONES, *shipped_documents()])
def test_a_good_document_is_taken_by_the_command_but_for_what_is_to_come(document):
    problems = problems_of_the_command(document)
    assert [problem for problem in problems if NOT_YET not in problem] == []


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.about)
def test_a_bad_document_is_refused_at_admission_with_field_and_remedy(plane, bad: Bad):
    document = bad.document()
    status, said = plane.api.raw("POST", path_of(document, "default"), document)
    message = json.loads(said)["message"]
    assert status == 422, message
    assert bad.field in message
    assert bad.server_says in message


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.about)
def test_a_bad_document_is_refused_by_the_command_too(bad: Bad):
    told = "\n".join(problems_of_the_command(bad.document()))
    assert bad.field in told
    assert (bad.command_says or bad.server_says) in told
