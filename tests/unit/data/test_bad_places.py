"""Data, model and output that prepare refuses as a whole: each says where and what to do."""

import json

import pytest
from builders.preparing import (
    a_base,
    chats,
    refusal,
    rows,
    write_jsonl,
    write_parquet,
)

from trainer.contract.failures import FailureClass
from trainer.store.file import FileStore

GOOD = rows(200)
NEEDLE = "do-not-print-me"


def lines(*content):
    def write(root):
        write_jsonl(root / "train.jsonl", [*GOOD[:20], *content, *GOOD[20:]])

    return write


def published(root):
    """Nothing but the owner's mark and the report of what was refused."""
    keys = [entry.key for entry in FileStore((root / "output").resolve()).list("")]
    assert set(keys) <= {"owner.json", "staging/data-report.json"}, keys


PLACES = [
    pytest.param("none.jsonl", FailureClass.NOT_FOUND, "there is no file", id="a missing file"),
    pytest.param("empty", FailureClass.NOT_FOUND, "holds no .jsonl", id="an empty directory"),
    pytest.param("data.txt", FailureClass.INVALID_SPEC, "is not .jsonl", id="another suffix"),
    pytest.param("data.parquet.gz", FailureClass.INVALID_SPEC, "is not .jsonl", id="gz Parquet"),
    pytest.param("../out.jsonl", FailureClass.ACCESS_DENIED, "outside", id="a way out"),
    pytest.param("link.jsonl", FailureClass.ACCESS_DENIED, "symbolic link", id="a link out"),
]


@pytest.mark.parametrize(("name", "expected", "message"), PLACES)
def test_a_place_without_data_is_refused(root, name, expected, message):
    (root / "empty").mkdir()
    for other in ("data.txt", "data.parquet.gz"):
        (root / other).write_text("x")
    (root / "link.jsonl").symlink_to("/etc/passwd")
    error = refusal(root, dataset={"train": {"uri": f"file://{root}/{name}"}})
    assert error.failure is expected
    assert message in error.message
    assert "spec.dataset.train.uri" in error.message


@pytest.mark.parametrize("name", ["a.jsonl", "a%20.jsonl"])
def test_a_link_out_of_a_directory_of_data_is_refused_whatever_its_name(root, name):
    folder = root / "many"
    folder.mkdir()
    (folder / name).symlink_to("/etc/passwd")
    error = refusal(root, dataset={"train": {"uri": f"file://{folder}"}})
    assert error.failure is FailureClass.ACCESS_DENIED
    assert "symbolic link" in error.message


def test_a_file_with_another_digest_is_refused(root):
    write_jsonl(root / "train.jsonl", GOOD)
    data = {"train": {"uri": f"file://{root}/train.jsonl", "sha256": "0" * 64}}
    error = refusal(root, dataset=data)
    assert error.failure is FailureClass.INVALID_SPEC
    assert "spec.dataset.train.sha256" in error.message


def test_a_test_split_that_could_decide_nothing_ends_before_any_tokens(root):
    write_jsonl(root / "train.jsonl", rows(12))
    error = refusal(root)
    assert error.failure is FailureClass.TEST_TOO_SMALL
    assert "add rows" in error.message
    published(root)


def test_conversations_need_a_chat_template(tmp_path):
    a_base(tmp_path, chat_template=False)
    write_jsonl(tmp_path / "train.jsonl", chats(200))
    error = refusal(tmp_path)
    assert error.failure is FailureClass.INVALID_SPEC
    assert "no chat template" in error.message


def test_a_template_that_is_none_is_the_base_models_fault(tmp_path):
    a_base(tmp_path, chat_template="{% for %}")
    write_jsonl(tmp_path / "train.jsonl", chats(200))
    error = refusal(tmp_path)
    assert error.failure is FailureClass.INVALID_SPEC
    assert "chat template" in error.message


LATER = [
    pytest.param({"method": "DPO"}, "spec.method: DPO", id="DPO"),
    pytest.param({"quantization": "NF4"}, "spec.quantization: NF4", id="NF4"),
]


@pytest.mark.parametrize(("sections", "message"), LATER)
def test_what_a_later_release_does_is_refused_by_name(root, sections, message):
    write_jsonl(root / "train.jsonl", GOOD)
    error = refusal(root, **sections)
    assert error.failure is FailureClass.INVALID_SPEC
    assert message in error.message


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param({"text": "x"}, "Text", id="plain text"),
        pytest.param({"prompt": "a", "chosen": "b", "rejected": "c"}, "Preference", id="pairs"),
    ],
)
def test_formats_of_a_later_release_are_refused_by_name(root, row, kind):
    write_jsonl(root / "train.jsonl", [row] * 50)
    error = refusal(root)
    assert error.failure is FailureClass.INVALID_SPEC
    assert f"spec.dataset.format: {kind}" in error.message


def test_another_jobs_output_is_left_as_it_is(root):
    write_jsonl(root / "train.jsonl", GOOD)
    (root / "output").mkdir()
    (root / "output" / "owner.json").write_text('{"namespace": "ml", "name": "other"}')
    error = refusal(root)
    assert error.failure is FailureClass.OUTPUT_IN_USE
    assert [path.name for path in (root / "output").iterdir()] == ["owner.json"]


def test_an_output_that_cannot_be_written_is_named(root):
    write_jsonl(root / "train.jsonl", GOOD)
    (root / "output").write_text("a file")
    error = refusal(root)
    assert error.failure is FailureClass.ACCESS_DENIED
    assert str(root / "output") in error.message


def test_leakage_above_five_percent_is_an_error(root):
    write_jsonl(root / "train.jsonl", GOOD)
    write_jsonl(root / "test.jsonl", GOOD[:60])
    error = refusal(root, dataset={"test": {"uri": f"file://{root}/test.jsonl"}})
    assert error.failure is FailureClass.INVALID_DATA
    assert "are also in validation or test" in error.message


def test_the_report_that_is_stored_says_what_travels(root):
    lines({"prompt": NEEDLE})(root)
    error = refusal(root)
    report = json.loads((root / "output" / "staging" / "data-report.json").read_text())
    assert report["errors"][0] == error.details.data.errors[0].model_dump()
    assert error.details.data.report_uri.endswith("/staging/data-report.json")


def test_parquet_rows_are_counted_from_one(root):
    write_parquet(root / "train.parquet", [*GOOD[:9], {"prompt": "x", "completion": None}])
    error = refusal(root, dataset={"train": {"uri": f"file://{root}/train.parquet"}})
    assert error.details.data.errors[0].place == "train.parquet:10"


def test_a_parquet_file_with_a_damaged_page_is_bad_data(root):
    path = root / "train.parquet"
    write_parquet(path, GOOD)
    content = bytearray(path.read_bytes())
    content[4:64] = bytes(60)  # behind the magic: the head of the first page
    path.write_bytes(content)
    error = refusal(root, dataset={"train": {"uri": f"file://{path}"}})
    assert error.failure is FailureClass.INVALID_DATA
    assert "not valid Parquet" in error.details.data.errors[0].message
