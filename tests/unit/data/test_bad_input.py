"""Every bad input ends in one clear message: class, place, remedy, and nothing published."""

import gzip
import json

import pytest
from builders.preparing import (
    a_base,
    chats,
    refusal,
    rows,
    write_csv,
    write_jsonl,
)

from trainer.contract.failures import FailureClass
from trainer.store.file import FileStore

GOOD = rows(200)
NEEDLE = "do-not-print-me"


def lines(*content):
    def write(root):
        write_jsonl(root / "train.jsonl", [*GOOD[:20], *content, *GOOD[20:]])

    return write


def raw(data, name="train.jsonl"):
    def write(root):
        (root / name).write_bytes(data)

    return write


def jsonl(*, at=20, extra=b""):
    whole = [json.dumps(row).encode() for row in GOOD]
    return raw(b"\n".join([*whole[:at], extra, *whole[at:]]))


INVALID = [
    pytest.param(jsonl(extra=b"{broken"), "train.jsonl:21", "is not a JSON object", id="not JSON"),
    pytest.param(jsonl(extra=b"[1]"), "train.jsonl:21", "is not a JSON object", id="not an object"),
    pytest.param(
        jsonl(extra=b'{"prompt": "caf\xe9", "completion": "x"}'),
        "train.jsonl:21",
        "is not UTF-8; convert",
        id="not UTF-8",
    ),
    pytest.param(
        raw("\n".join(json.dumps(row) for row in GOOD).encode("utf-16")),
        "train.jsonl:1",
        "is not UTF-8; convert",
        id="UTF-16",
    ),
    pytest.param(raw(b""), "train.jsonl:1", "has no rows", id="an empty file"),
    pytest.param(raw(b"\n\n"), "train.jsonl:1", "has no rows", id="a file of empty lines"),
    pytest.param(
        lines({"prompt": NEEDLE}),
        "train.jsonl:21",
        'has no answer: fill "completion"',
        id="a row without an answer",
    ),
    pytest.param(
        lines({"prompt": NEEDLE, "completion": " "}),
        "train.jsonl:21",
        "has an empty answer",
        id="an empty answer",
    ),
    pytest.param(
        lines({"prompt": "", "completion": NEEDLE}),
        "train.jsonl:21",
        "has an empty prompt",
        id="an empty prompt",
    ),
    pytest.param(
        lines({"prompt": [NEEDLE], "completion": "x"}),
        "train.jsonl:21",
        "has no prompt",
        id="a prompt that is no text",
    ),
    pytest.param(
        lines({"other": NEEDLE}),
        "train.jsonl:21",
        "has no prompt",
        id="a row with other columns",
    ),
    pytest.param(
        lines(chats(1)[0]), "train.jsonl:1", "keep one format", id="mixed formats early on"
    ),
]


@pytest.mark.parametrize(("write", "place", "message"), INVALID)
def test_bad_rows_are_refused_with_place_and_remedy(root, write, place, message):
    write(root)
    error = refusal(root)
    assert error.failure is FailureClass.INVALID_DATA
    first = error.details.data.errors[0]
    assert (first.place, message in first.message) == (place, True), first
    assert place in error.message
    assert message in error.message
    assert NEEDLE not in error.message
    published(root)


def published(root):
    """Nothing but the owner's mark and the report of what was refused."""
    keys = [entry.key for entry in FileStore((root / "output").resolve()).list("")]
    assert set(keys) <= {"owner.json", "staging/data-report.json"}, keys


def test_rows_of_another_format_far_down_are_found_one_by_one(root):
    write_jsonl(root / "train.jsonl", [*rows(150), *chats(2)])
    error = refusal(root)
    assert [one.place for one in error.details.data.errors] == [
        "train.jsonl:151",
        "train.jsonl:152",
    ]
    assert "format Chat" in error.details.data.errors[0].message


def test_all_errors_are_reported_at_once_and_the_first_ten_travel(root):
    bad = [{"prompt": NEEDLE} for _ in range(25)]
    write_jsonl(root / "train.jsonl", [*GOOD, *bad, {"prompt": "", "completion": ""}])
    error = refusal(root)
    report = json.loads((root / "output" / "staging" / "data-report.json").read_text())
    assert len(error.details.data.errors) == 10
    assert error.details.data.error_count == len(report["errors"]) == 27
    assert error.details.data.invalid_rows == 26
    assert [one["place"] for one in report["errors"]][-2:] == ["train.jsonl:226"] * 2
    assert NEEDLE not in json.dumps(report)
    assert "27 errors in 26 of 226 rows" in error.message


def test_errors_of_reading_and_of_tokenising_come_together(root):
    weightless = chats(1)[0]
    weightless["messages"][1]["weight"] = 0
    write_jsonl(root / "train.jsonl", [*chats(100), weightless, {"messages": []}])
    error = refusal(root)
    assert [one.place for one in error.details.data.errors] == [
        "train.jsonl:101",
        "train.jsonl:102",
    ]


CHAT_TURNS = [
    pytest.param([{"role": "user", "content": "hi"}], "ends without an answer", id="no answer"),
    pytest.param(
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}],
        "ends with an empty answer",
        id="an empty answer",
    ),
    pytest.param([{"role": "assistant", "content": "hi"}], "no message of the user", id="no user"),
    pytest.param(
        [{"role": "robot", "content": "hi"}, {"role": "assistant", "content": "x"}],
        "needs a role",
        id="an unknown role",
    ),
    pytest.param(
        [
            {"role": "user", "content": [{"type": "image", "image": "x"}]},
            {"role": "assistant", "content": "x"},
        ],
        "needs text in content",
        id="an image",
    ),
    pytest.param("hi", "must be a list", id="messages that are no list"),
    pytest.param([], "must be a list", id="no messages"),
]


@pytest.mark.parametrize(("turns", "message"), CHAT_TURNS)
def test_a_conversation_without_a_prompt_and_an_answer_is_refused(root, turns, message):
    write_jsonl(root / "train.jsonl", [*chats(150), {"messages": turns}])
    first = refusal(root).details.data.errors[0]
    assert first.place == "train.jsonl:151"
    assert message in first.message


def test_a_conversation_that_the_template_refuses_is_a_row_error(tmp_path):
    template = (
        "{% for m in messages %}{% if m['role'] == 'tool' %}{{ raise_exception('no tools') }}"
        "{% endif %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
    )
    a_base(tmp_path, chat_template=template)
    odd = {"messages": [{"role": "tool", "content": "a"}, *chats(1)[0]["messages"]]}
    write_jsonl(tmp_path / "train.jsonl", [*chats(150), odd])
    first = refusal(tmp_path).details.data.errors[0]
    assert first.place == "train.jsonl:151"
    assert "no tools" in first.message


def test_repeated_ids_are_refused_without_saying_them(root):
    content = [row | {"key": f"k{number}"} for number, row in enumerate(GOOD)]
    content[30]["key"] = "k7"
    write_jsonl(root / "train.jsonl", content)
    error = refusal(root, dataset={"fields": {"id": "key"}})
    first = error.details.data.errors[0]
    assert (first.place, first.field) == ("train.jsonl:31", "key")
    assert "has the id of train.jsonl:8; ids must be unique" in first.message
    assert "k7" not in error.message


def test_an_answer_that_does_not_fit_is_an_error(root):
    long = {"prompt": "word " * 300, "completion": "x"}
    write_jsonl(root / "train.jsonl", [*GOOD, long])
    first = refusal(root, training={"maxSequenceTokens": 128}).details.data.errors[0]
    assert first.place == "train.jsonl:201"
    assert "raise training.maxSequenceTokens" in first.message


COLUMNS = [
    pytest.param(
        {"fields": {"prompt": "promt"}},
        'dataset.fields.prompt: no row has the column "promt"; did you mean "prompt"?',
        id="a misspelt column",
    ),
    pytest.param(
        {"fields": {"completion": "label"}},
        'The columns are "completion", "prompt": set dataset.fields.completion',
        id="a column that is not there",
    ),
    pytest.param(
        {"split": {"groupBy": "customer"}}, "set dataset.split.groupBy", id="a group column"
    ),
    pytest.param({"fields": {"id": "key"}}, "set dataset.fields.id", id="an id column"),
]


@pytest.mark.parametrize(("dataset", "message"), COLUMNS)
def test_unknown_columns_are_one_error_with_a_suggestion(root, dataset, message):
    write_jsonl(root / "train.jsonl", GOOD)
    error = refusal(root, dataset=dataset)
    assert error.failure is FailureClass.INVALID_DATA
    assert error.details.data.error_count == 1
    assert message in error.message


def test_a_csv_with_its_own_names_is_told_which_fields_to_set(root):
    content = [{"message": row["prompt"], "category": row["completion"]} for row in GOOD]
    write_csv(root / "train.csv", content)
    error = refusal(root, dataset={"train": {"uri": f"file://{root}/train.csv"}})
    assert [one.field for one in error.details.data.errors] == [
        "dataset.fields.prompt",
        "dataset.fields.completion",
    ]
    assert 'The columns are "category", "message"' in error.message


FILES = [
    pytest.param(
        raw(b'prompt,completion\na,b\n"c,d', "train.csv"),
        "train.csv:3",
        "cannot be read as CSV",
        id="a quote that never ends",
    ),
    pytest.param(
        raw(b"prompt,completion\na,b\nc,d,e\n", "train.csv"),
        "train.csv:3",
        "has 3 fields, the header has 2",
        id="a comma too many",
    ),
    pytest.param(
        raw(b"prompt,completion\na,caf\xe9\n", "train.csv"),
        "train.csv:2",
        "is not UTF-8",
        id="a CSV in Latin-1",
    ),
    pytest.param(
        raw(b"prompt,prompt,completion\na,b,c\n", "train.csv"),
        "train.csv:1",
        "name of two columns",
        id="two columns of one name",
    ),
    pytest.param(
        raw(b"PAR1 is not enough", "train.parquet"),
        "train.parquet:1",
        "not valid Parquet",
        id="a broken Parquet file",
    ),
    pytest.param(
        raw(gzip.compress(b'{"prompt": "a", "completion": "b"}\n' * 9)[:-9], "train.jsonl.gz"),
        "train.jsonl.gz:10",
        "the .gz file is damaged",
        id="a cut archive",
    ),
    pytest.param(
        raw(b"plain text", "train.jsonl.gz"),
        "train.jsonl.gz:1",
        "the .gz file is damaged",
        id="an archive that is none",
    ),
]


def test_a_file_of_which_the_rest_is_lost_is_not_excused_as_an_invalid_row(root):
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in GOOD).encode())
    (root / "train.jsonl.gz").write_bytes(whole[:-200])
    data = {"train": {"uri": f"file://{root}/train.jsonl.gz"}, "maxInvalidPercent": 99}
    error = refusal(root, dataset=data)
    assert error.failure is FailureClass.INVALID_DATA
    assert "damaged" in error.message
    published(root)


@pytest.mark.parametrize(("write", "place", "message"), FILES)
def test_damaged_files_are_named_with_the_line(root, write, place, message):
    write(root)
    name = place.rpartition(":")[0]
    error = refusal(root, dataset={"train": {"uri": f"file://{root}/{name}"}})
    assert message in {one.place: one.message for one in error.details.data.errors}[place]
