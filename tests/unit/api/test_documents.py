"""From the text of a job file to its objects, or to every problem in it."""

import json

import pytest
from builders.api import GOOD, a_base_model_document, a_job_document, as_yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.api.basemodel import BaseModelObject
from controller.api.documents import decode, parse
from controller.api.finetunejob import FineTuneJob
from controller.errors import SpecError


def read(text, base="/home/me/job"):
    return parse(text, file="job.yaml", base=base)


def problems(text):
    with pytest.raises(SpecError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_places_beside_the_file_become_absolute():
    [job] = read(GOOD)
    assert job.spec.base_model.directory.path == "/home/me/job/base"
    assert job.spec.dataset.train.uri == "file:///home/me/job/train.jsonl"
    assert job.spec.output.uri == "file:///home/me/results"


def test_the_documents_of_a_file_come_in_its_order():
    base, job = read(as_yaml(a_base_model_document(), a_job_document(baseModel={"name": "base"})))
    assert isinstance(base, BaseModelObject)
    assert isinstance(job, FineTuneJob)
    assert job.spec.base_model.name == "base"


def test_empty_documents_between_others_are_nothing():
    assert len(read(f"---\n---\n{GOOD}---\n# the end\n")) == 1


def test_what_the_server_wrote_is_ignored():
    added = "metadata:\n  creationTimestamp: null\n  generation: 3\n  annotations: {a: b}\n"
    [job] = read(GOOD.replace("metadata:\n", added) + "status: {phase: Running}\n")
    assert job.status.phase == ""
    assert job.metadata.annotations == {"a": "b"}


def test_json_is_read_as_well():
    [job] = read(json.dumps(a_job_document("in-json"), indent=1))
    assert job.metadata.name == "in-json"


def test_an_anchor_may_be_used_twice():
    text = GOOD.replace(
        "    instruction: Name", "    storage: &s {region: eu}\n    instruction: Name"
    )
    [job] = read(f"{text}    storage: *s\n")
    assert job.spec.output.storage.region == "eu"


IN_THE_TEXT = [
    pytest.param("", "job.yaml:", "is empty", "write a document", id="an empty file"),
    pytest.param("a: b: c\n", "job.yaml:1:", "a: b: c", "look at the indentation", id="two colons"),
    pytest.param("a:\n\t- b\n", "job.yaml:2:", "- b", "spaces, not tabs", id="a tab"),
    pytest.param('a: "b\n', "job.yaml:2:", "end of the file", "quotes", id="an open quote"),
    pytest.param("a: \0\n", "job.yaml:1:", "U+0000", "remove it", id="a control character"),
    pytest.param("[" * 1500, "job.yaml:", "nested", "write it flatter", id="nesting without end"),
    pytest.param("- 1\n", "job.yaml:1:", "not an object", "start with apiVersion", id="a list"),
    pytest.param(
        "a: 1\nb: 2\na: 3\n", "job.yaml:3:", '"a"', "keep one", id="a key that is there twice"
    ),
    pytest.param(
        "&a [*a]\n", "job.yaml:1:", "aliases", "write the values out", id="an alias of itself"
    ),
    pytest.param("<<: {a: 1}\n", "job.yaml:1:", "<<", "write the fields out", id="a merge key"),
    pytest.param(
        "? [1]\n: 2\n", "job.yaml:1:", "a list", "write the fields out", id="a list as a key"
    ),
    pytest.param(
        "a: !!python/name:os.system x\n",
        "job.yaml:1:",
        "python/name",
        "remove it",
        id="a tag that makes an object",
    ),
    pytest.param(
        "kind: ConfigMap\n",
        "job.yaml:1 kind:",
        "ConfigMap",
        "FineTuneJob, BaseModel",
        id="a kind of others",
    ),
]


@pytest.mark.parametrize(("text", "place", "value", "remedy"), IN_THE_TEXT)
def test_an_unreadable_text_is_told_with_place_value_and_remedy(text, place, value, remedy):
    told = [line for line in problems(text) if line.startswith(place)]
    assert any(value in line and remedy in line for line in told), problems(text)


def test_aliases_of_aliases_end_soon():
    levels = "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
        for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "write the values out" in problems(f"a: &a [x]\n{levels}")[0]


def test_every_problem_of_a_file_is_told_at_once_in_the_order_of_its_lines():
    text = GOOD.replace("epochs: 2", "epochs: 0").replace("instruction", "instructoin")
    told = problems(text + "---\n" + GOOD.replace("name: demo", "name: Demo"))
    lines = [int(line.split(":")[1].split()[0]) for line in told]
    assert lines == [11, 14, 27]


def test_two_documents_of_one_name_are_refused():
    told = problems(f"{GOOD}---\n{GOOD}")
    assert told == [
        "job.yaml metadata.name: FineTuneJob demo is there twice; rename or remove one of them"
    ]


def test_what_a_later_release_brings_is_refused_with_its_line():
    [told] = problems(GOOD.replace("spec:\n", "spec:\n  method: DPO\n"))
    assert told == "job.yaml:6 spec.method: DPO is not supported in this release; use SFT"


def test_the_value_of_an_environment_variable_is_never_shown():
    text = GOOD + "  compute:\n    env:\n    - {name: TOKEN, value: 123456}\n"
    [told] = problems(text)
    assert told.startswith("job.yaml:25 spec.compute.env[0].value:")
    assert "123456" not in told


def test_a_file_that_is_not_utf_8_is_told_with_its_line():
    with pytest.raises(SpecError, match=r"^job.yaml:2: is not UTF-8 at byte 0xE9; save the file"):
        decode(b"a: 1\nb: caf\xe9\n", file="job.yaml")


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert decode(b"\xef\xbb\xbfa: 1\n", file="job.yaml") == "a: 1\n"


@given(st.text(max_size=200))
def test_no_text_makes_it_stumble(text):
    with pytest.raises(SpecError):
        read(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
SECTIONS = st.sampled_from(
    [
        "baseModel",
        "dataset",
        "lora",
        "training",
        "evaluation",
        "output",
        "compute",
        "budget",
        "suspend",
    ]
)


@given(SECTIONS, VALUES)
def test_no_value_of_a_section_makes_it_stumble(section, value):
    try:
        read(as_yaml(a_job_document(**{section: value})))
    except SpecError as error:
        told = [problem.message for problem in error.problems]
    else:
        told = []
    assert all(told)
