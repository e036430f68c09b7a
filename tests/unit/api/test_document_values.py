"""A value that a field does not take is told with place, value and remedy."""

import pytest
from builders.api import GOOD

from controller.api.documents import parse
from controller.errors import SpecError

INSTRUCTION = "    instruction: Name the intent.\n"

WRONG_VALUES = [
    # the line, what is written instead, the place that is told, the value, the remedy
    pytest.param(
        "    epochs: 2\n",
        "    checkpointPeriodSeconds: 5m\n",
        "14 spec.training.checkpointPeriodSeconds",
        "5m",
        "write 300",
        id="a duration with a unit",
    ),
    pytest.param(
        "    epochs: 2\n",
        '    stallSeconds: "2 hours"\n',
        "14 spec.training.stallSeconds",
        '"2 hours"',
        "write 7200",
        id="a duration in words",
    ),
    pytest.param(
        '"5e-4"',
        "0.0005",
        "13 spec.training.learningRate",
        "0.0005",
        'in quotes: "0.0005"',
        id="an unquoted decimal",
    ),
    pytest.param(
        '"5e-4"',
        "5e-4",
        "13 spec.training.learningRate",
        "5e-4",
        'in quotes: "5e-4"',
        id="an unquoted decimal that PyYAML takes for text",
    ),
    pytest.param(
        '"5e-4"',
        ".5E-3",
        "13 spec.training.learningRate",
        ".5E-3",
        'in quotes: "0.5e-3"',
        id="an unquoted decimal in a spelling that quotes do not mend",
    ),
    pytest.param(
        '"5e-4"',
        "1",
        "13 spec.training.learningRate",
        "bare 1",
        'in quotes: "1"',
        id="a whole number for a decimal",
    ),
    pytest.param(
        '"0.05"',
        "5%",
        "20 spec.evaluation.arms[1].margin",
        "5%",
        'as "0.05"',
        id="a percentage for a decimal",
    ),
    pytest.param(
        '"5e-4"',
        '"5"',
        "13 spec.training.learningRate",
        '"5"',
        "more than 0 and at most 1",
        id="a decimal out of range",
    ),
    pytest.param(
        "name: demo",
        "name: 7",
        "4 metadata.name",
        "bare 7",
        'write "7" in quotes',
        id="a number for a text",
    ),
    pytest.param(
        "name: demo",
        "name: Demo",
        "4 metadata.name",
        "Demo",
        "lower-case letters",
        id="a name with a capital",
    ),
    pytest.param(
        "name: demo",
        f"name: {'d' * 64}",
        "4 metadata.name",
        "ddd",
        "at most 63",
        id="a name that is too long",
    ),
    pytest.param(
        "epochs: 2",
        "epochs: 0",
        "14 spec.training.epochs",
        "is 0",
        "Auto or a whole number of at least 1",
        id="a count below its least",
    ),
    pytest.param(
        "epochs: 2",
        "epochs: auto",
        "14 spec.training.epochs",
        "auto",
        "write Auto",
        id="auto without a capital",
    ),
    pytest.param(
        "epochs: 2",
        'epochs: "2"',
        "14 spec.training.epochs",
        '"2"',
        "write 2 without quotes",
        id="a quoted count",
    ),
    pytest.param(
        "epochs: 2",
        "epochs: 1.5",
        "14 spec.training.epochs",
        "1.5",
        "a whole number",
        id="a fraction for a count",
    ),
    pytest.param(
        "epochs: 2",
        "epochs:",
        "14 spec.training.epochs",
        "no value",
        "give it one or remove",
        id="a field without a value",
    ),
    pytest.param(
        "epochs: 2",
        "seed: -1",
        "14 spec.training.seed",
        "-1",
        "from 0 to 2147483647",
        id="a whole number out of range",
    ),
    pytest.param(
        "epochs: 2",
        'seed: "3"',
        "14 spec.training.seed",
        '"3"',
        "write 3 without quotes",
        id="a quoted whole number",
    ),
    pytest.param(
        "epochs: 2",
        "scheduler: cosine",
        "14 spec.training.scheduler",
        "cosine",
        "write Cosine",
        id="a word in the wrong case",
    ),
    pytest.param(
        "epochs: 2",
        "trainOn: answers",
        "14 spec.training.trainOn",
        "answers",
        "one of Completions, LastCompletion, Everything",
        id="a word that is none of the choice",
    ),
    pytest.param(
        INSTRUCTION,
        "    split: {testPercent: 31}\n",
        "11 spec.dataset.split.testPercent",
        "31",
        "from 1 to 30",
        id="a test split that is too large",
    ),
    pytest.param(
        INSTRUCTION,
        "    storage: {pathStyle: 'yes'}\n",
        "11 spec.dataset.storage.pathStyle",
        '"yes"',
        "true or false",
        id="a text for a switch",
    ),
    pytest.param(
        "      uri: file://./train.jsonl\n",
        "      sha256: abc\n",
        "10 spec.dataset.train.sha256",
        "abc",
        "64 hexadecimal digits",
        id="a digest that is none",
    ),
    pytest.param(
        "      uri: file://./train.jsonl\n",
        "      uri: ./train.jsonl\n",
        "10 spec.dataset.train.uri",
        "./train.jsonl",
        "file://./path",
        id="a path for a URI",
    ),
    pytest.param(
        "      uri: file://./train.jsonl\n",
        "      uri: https://acme.dev/d\n",
        "10 spec.dataset.train.uri",
        "https://acme.dev/d",
        "s3://bucket/prefix",
        id="a URI of another scheme",
    ),
]


@pytest.mark.parametrize(("line", "instead", "place", "value", "remedy"), WRONG_VALUES)
def test_a_wrong_value_is_told_with_place_value_and_remedy(line, instead, place, value, remedy):
    assert line in GOOD
    with pytest.raises(SpecError) as caught:
        parse(GOOD.replace(line, instead, 1), file="job.yaml", base="/home/me/job")
    told = [str(p) for p in caught.value.problems if p.place == f"job.yaml:{place}"]
    assert any(value in text and remedy in text for text in told), str(caught.value)
