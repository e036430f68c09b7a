"""Fields that are unknown, missing or at odds are told with place, value and remedy."""

import pytest
from builders.api import GOOD

from controller.api.documents import parse
from controller.errors import SpecError

INSTRUCTION = "    instruction: Name the intent.\n"

WRONG_FIELDS = [
    # the line, what is written instead, the place that is told, the value, the remedy
    pytest.param(
        "    train:\n",
        "    trian:\n",
        "9 spec.dataset.trian",
        '"trian"',
        'did you mean "train"',
        id="an unknown field is like one that there is",
    ),
    pytest.param(
        INSTRUCTION,
        '    learning_rate: "1"\n',
        "11 spec.dataset.learning_rate",
        '"learning_rate"',
        "there are train, validation",
        id="an unknown field is like nothing here",
    ),
    pytest.param(
        INSTRUCTION,
        '    learningRate: "1"\n',
        "11 spec.dataset.learningRate",
        '"learningRate"',
        'did you mean "training.learningRate"',
        id="an unknown field belongs to another section",
    ),
    pytest.param(
        "    epochs: 2\n",
        "    batch_tokens: 2\n",
        "14 spec.training.batch_tokens",
        '"batch_tokens"',
        'did you mean "batchTokens"',
        id="a field in another spelling",
    ),
    pytest.param(
        "    epochs: 2\n",
        "    checkpointPeriod: 5m\n",
        "14 spec.training.checkpointPeriod",
        '"checkpointPeriod"',
        "write checkpointPeriodSeconds: 300",
        id="a duration without its unit in the name",
    ),
    pytest.param(
        "    directory: {path: ./base}\n",
        "    directory: {path: ./base}\n    name: b\n",
        "6 spec.baseModel",
        "directory, name",
        "exactly one of",
        id="two base models",
    ),
    pytest.param(
        "    directory: {path: ./base}\n",
        "    revision: abc\n",
        "6 spec.baseModel",
        "revision",
        "exactly one of",
        id="no base model",
    ),
    pytest.param(
        "  output:\n    uri: file://../results\n",
        "",
        "5 spec.output",
        "is missing",
        "add it (where results go",
        id="a section that is missing",
    ),
    pytest.param(
        "    uri: file://../results\n",
        "    keepRuns: 2\n",
        "21 spec.output.uri",
        "is missing",
        "add it (prefix that this job owns)",
        id="a field that is missing",
    ),
    pytest.param(
        "    uri: file://../results\n",
        "    uri: file://./train.jsonl/out\n",
        "22 spec.output.uri",
        "train.jsonl/out",
        "choose another prefix",
        id="an output inside the data",
    ),
    pytest.param(
        "- name: RetrievedFewShot",
        "- name: ZeroShot",
        "16 spec.evaluation.arms",
        "listed once",
        "remove the repeated name",
        id="an arm that is there twice",
    ),
    pytest.param(
        "- name: ZeroShot",
        "- require: Better",
        "17 spec.evaluation.arms[0].name",
        "is missing",
        "one of ZeroShot, FewShot",
        id="an arm without a name",
    ),
    pytest.param(
        "    arms:\n",
        "    grader: {command: [grade]}\n    arms:\n",
        "16 spec.evaluation.grader",
        "grader",
        "set both or neither",
        id="a grader without its metric",
    ),
    pytest.param(
        "kind: FineTuneJob",
        "kind: FinetuneJob",
        "2 kind",
        "FinetuneJob",
        "write FineTuneJob",
        id="a kind in the wrong case",
    ),
    pytest.param(
        "kind: FineTuneJob\n",
        "",
        "1 kind",
        "is missing",
        "one of FineTuneJob, BaseModel",
        id="no kind",
    ),
    pytest.param(
        "v1alpha1",
        "v1",
        "1 apiVersion",
        "tunekeeper.dev/v1",
        "write tunekeeper.dev/v1alpha1",
        id="another version",
    ),
    pytest.param(
        "training:\n",
        "training: fast\n  lora:\n",
        "12 spec.training",
        "fast",
        "a section of fields",
        id="a word for a section",
    ),
]


@pytest.mark.parametrize(("line", "instead", "place", "value", "remedy"), WRONG_FIELDS)
def test_a_wrong_field_is_told_with_place_value_and_remedy(line, instead, place, value, remedy):
    assert line in GOOD
    with pytest.raises(SpecError) as caught:
        parse(GOOD.replace(line, instead, 1), file="job.yaml", base="/home/me/job")
    told = [str(p) for p in caught.value.problems if p.place == f"job.yaml:{place}"]
    assert any(value in text and remedy in text for text in told), str(caught.value)
