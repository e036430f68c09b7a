"""Data in a bucket: one object or a prefix, every message by its URI, nothing left on the disk."""

import hashlib
import json
import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from builders.preparing import a_base, a_context, preparing, rows
from cluster.s3server import Identity, S3Server, s3_server

from trainer.contract.failures import FailureClass
from trainer.data.fetch import FETCH, check_room, split_uri
from trainer.data.stage import prepare
from trainer.errors import StageError

ENDPOINT = "AWS_ENDPOINT_URL"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.bucket("data", server.user("ada"))
        yield server


@pytest.fixture
def root(tmp_path) -> Path:
    a_base(tmp_path)
    return tmp_path


class Bucket:
    """A fresh prefix, filled by the test."""

    def __init__(self, server: S3Server) -> None:
        self.server, self.prefix = server, uuid4().hex

    def put(self, name: str, content: list | bytes) -> str:
        """Store rows, or bytes as they are; returns the URI."""
        text = content if isinstance(content, bytes) else jsonl(content)
        key = f"{self.prefix}/{name}"
        self.server.client().put_object(Bucket="data", Key=key, Body=text)
        return f"s3://data/{key}"

    def uri(self, name: str = "") -> str:
        return f"s3://data/{self.prefix}/{name}"


def jsonl(content: list) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in content).encode()


@pytest.fixture
def bucket(server, monkeypatch) -> Bucket:
    for name, value in Identity("ada", "ada-secret").environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(ENDPOINT, server.url)
    return Bucket(server)


def prepared(root, uri, **dataset):
    context = a_context(root, preparing(root, dataset={"train": {"uri": uri, **dataset}}))
    return context, prepare(context)


def refused(root, uri, **dataset) -> StageError:
    with pytest.raises(StageError) as caught:
        prepared(root, uri, **dataset)
    return caught.value


def test_an_object_gives_the_run_that_a_file_gives(root, bucket):
    (root / "train.jsonl").write_bytes(jsonl(rows(200)))
    _, local = prepared(root, f"file://{root}/train.jsonl")
    context, remote = prepared(root, bucket.put("train.jsonl", rows(200)))
    assert remote.outcome.run_id == local.outcome.run_id
    assert not (context.work / "data").exists()


@pytest.mark.parametrize("end", ["parts", "parts/"])
def test_a_prefix_means_every_data_file_below_it(root, bucket, end):
    for number in range(4):
        part = rows(50, start=50 * number)
        bucket.put(f"parts/day-{number}/part.jsonl", part)
    bucket.put("parts/README.md", b"# not data")
    bucket.put("parts/.hidden.jsonl", b"not data")
    bucket.put("parts-old/part.jsonl", b"not data")
    _, result = prepared(root, bucket.uri(end))
    assert result.details.data.rows == 200


def test_its_progress_is_in_bytes(root, bucket):
    context, _ = prepared(root, bucket.put("train.jsonl", rows(200)))
    [fetched] = [one for one in context.progress.snapshot().activities if one.name == FETCH]
    assert (fetched.unit, fetched.done) == ("bytes", len(jsonl(rows(200))))


def test_a_digest_is_checked(root, bucket):
    uri = bucket.put("train.jsonl", rows(200))
    prepared(root, uri, sha256=hashlib.sha256(jsonl(rows(200))).hexdigest())
    error = refused(root, uri, sha256="0" * 64)
    assert error.failure is FailureClass.INVALID_SPEC
    assert error.message.startswith(f"spec.dataset.train.sha256: {uri} has sha256")


def test_a_bad_row_is_told_by_uri_and_line(root, bucket):
    uri = bucket.put("train.jsonl", [*rows(20), {"prompt": 7}, *rows(100, start=20)])
    error = refused(root, uri)
    assert error.failure is FailureClass.INVALID_DATA
    assert f"{uri}:21" in error.message
    assert str(root) not in error.message.partition("; all of them")[0]


WRONG = [
    pytest.param("none.jsonl", {}, "there is no object", id="no object"),
    pytest.param("none/", {}, "there is no object", id="no prefix"),
    pytest.param("empty/", {}, "there is no object", id="no data in it"),
    pytest.param("a.txt", {}, "is not .jsonl", id="no data file"),
    pytest.param("many", {"sha256": "0" * 64}, "digest of one file", id="a digest of a prefix"),
]


@pytest.mark.parametrize(("name", "fields", "said"), WRONG)
def test_a_uri_that_means_nothing_is_told(root, bucket, name, fields, said):
    bucket.put("a.txt", b"text")
    bucket.put("empty/README.md", b"text")
    bucket.put("many/a.jsonl", rows(10))
    error = refused(root, bucket.uri(name), **fields)
    is_missing = said == "there is no object"
    assert error.failure is (FailureClass.NOT_FOUND if is_missing else FailureClass.INVALID_SPEC)
    assert said in error.message
    assert error.message.startswith("spec.dataset.train")
    assert bucket.uri(name) in error.message


def test_data_that_the_disk_cannot_hold_is_not_begun(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    check_room(tmp_path, free // 2)
    with pytest.raises(StageError, match="GiB free") as caught:
        check_room(tmp_path, 2 * free)
    assert caught.value.failure is FailureClass.HOST_STORAGE_EXCEEDED


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://data/a/b.jsonl", ("s3://data/a", "b.jsonl")),
        ("s3://data/b.jsonl", ("s3://data", "b.jsonl")),
        ("s3://data/a/", ("s3://data/a", "")),
        ("s3://data/", ("s3://data", "")),
        ("s3://data", ("s3://data", "")),
    ],
)
def test_a_uri_is_a_folder_and_a_name(uri, parts):
    assert split_uri(uri) == parts
