"""Every log line about an object names it, and its run and attempt where there is one."""

import json
import logging
from typing import Any

import msgspec
import pytest

from controller.kube.objects import Meta
from controller.shell.logs import JsonLines
from controller.shell.records import Job, JobObject
from controller.shell.whereabouts import Where, where_of_base, where_of_child, where_of_job

KEY = ("ml", "intents")


def stored(status: Any) -> JobObject:
    return JobObject(Meta("intents", "ml"), status=msgspec.Raw(msgspec.json.encode(status)))


def child(**labels: str) -> Job:
    return Job(Meta("j", labels={f"tunekeeper.dev/{name}": text for name, text in labels.items()}))


JOB: dict[str, Any] = {"job": "ml/intents"}
BASE: dict[str, Any] = {"basemodel": "ml/intents"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(
            where_of_job(KEY, stored({"run": {"number": 2, "attempt": 3}})),
            JOB | {"run": 2, "attempt": 3},
            id="a job with a run",
        ),
        pytest.param(where_of_job(KEY, stored({})), JOB, id="a job without one"),
        pytest.param(where_of_job(KEY, None), JOB, id="a job that is gone"),
        pytest.param(where_of_job(KEY, stored({"run": 7})), JOB, id="a job that is unreadable"),
        pytest.param(
            where_of_base(KEY, stored({"errand": {"number": 4}})), BASE | {"number": 4}, id="a base"
        ),
        pytest.param(where_of_base(KEY, stored({})), BASE, id="a base without an errand"),
        pytest.param(where_of_base(KEY, None), BASE, id="a base that is gone"),
        pytest.param(where_of_base(KEY, stored([])), BASE, id="a base that is unreadable"),
        pytest.param(
            where_of_child("ml/intents", child(run="2", stage="train", attempt="3")),
            JOB | {"run": 2, "attempt": 3},
            id="a stage's Job",
        ),
        pytest.param(
            where_of_child("ml/intents", child(errand="resolve", number="4")),
            BASE | {"number": 4},
            id="an errand's Job",
        ),
        pytest.param(
            where_of_child("ml/intents", child(run="two", attempt="\u00b2")),
            JOB,
            id="labels that somebody wrote",
        ),
    ],
)
def test_a_line_says_of_which_object_run_and_attempt_it_is(
    told: Where, expected: dict[str, Any]
) -> None:
    assert told == expected


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        pytest.param(("FineTuneJob", "ml/intents"), JOB, id="an event that was not written"),
        pytest.param(("finetunejobs", "ml/intents"), JOB, id="an object that cannot be read"),
        pytest.param(("BaseModel", "ml/intents"), BASE, id="an event of a base model"),
        pytest.param(("pods", "ml/p"), {}, id="no object of ours"),
    ],
)
def test_what_the_runtime_tells_of_our_objects_names_them(
    of: tuple[str, str], expected: dict[str, Any]
) -> None:
    record = logging.LogRecord("controller.kube", logging.WARNING, "", 0, "told", (), None)
    record.of = of
    said = json.loads(JsonLines().format(record))
    assert {name: said[name] for name in ("job", "basemodel") if name in said} == expected
