"""A look at a bucket: listed each time, read only where something moved, never by an ETag alone."""

import base64
import hashlib
import os
import time
from uuid import uuid4

import pytest
from builders.edits import ALL_EDITS, WEIGHTS, a_repository
from builders.looking import Looker
from builders.sources import Asker
from builders.tiny_model import make_tokenizer
from cluster.s3faults import faults_before
from cluster.s3server import ROOT, s3_server

from trainer.contract.errand import Cause
from trainer.errors import StageError
from trainer.sources import fetch, look_s3, ranges
from trainer.store.secrets import SecretFiles

BUCKET, VERSIONED = "models", "versions"
PIECE = 64 << 10
CONTENT = bytes(range(256)) * (2 * PIECE // 256 + 9)  # three pieces


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the service keeps its objects."""
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def server(folder):
    with s3_server(folder) as server:
        grace = server.user("grace")
        for name in (BUCKET, VERSIONED):
            server.bucket(name, grace)
        server.client(ROOT).put_bucket_versioning(
            Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"}
        )
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    made = make_tokenizer(tmp_path_factory.mktemp("made"))
    (made / WEIGHTS).write_bytes(CONTENT)
    return a_repository({path.name: path.read_bytes() for path in made.iterdir()})


@pytest.fixture
def faults(server, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES_S", (0.0,) * 5)
    monkeypatch.setattr(ranges, "PIECE_BYTES", PIECE)
    with faults_before(server.host) as faults:
        yield faults


class Prefix:
    """A prefix of this test alone."""

    def __init__(self, client, bucket) -> None:
        self.client, self.bucket, self.name = client, bucket, uuid4().hex

    def put(self, files, **arguments) -> None:
        for name, content in files.items():
            key = f"{self.name}/{name}"
            self.client.put_object(Bucket=self.bucket, Key=key, Body=content, **arguments)

    def hold(self, files) -> None:
        """These files and no others."""
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.name}/")
        for found in listed.get("Contents", []):
            if found["Key"].removeprefix(f"{self.name}/") not in files:
                self.client.delete_object(Bucket=self.bucket, Key=found["Key"])
        self.put(files)

    def tag(self, name) -> str:
        return self.client.head_object(Bucket=self.bucket, Key=f"{self.name}/{name}")["ETag"]

    def put_in_parts(self, name, content, part_bytes, **checksum) -> None:
        """As large files are uploaded: the ETag is none of the content."""
        at = {"Bucket": self.bucket, "Key": f"{self.name}/{name}"}
        upload = at | {
            "UploadId": self.client.create_multipart_upload(**at, **checksum)["UploadId"]
        }
        parts = []
        for number, start in enumerate(range(0, len(content), part_bytes), 1):
            body = content[start : start + part_bytes]
            done = self.client.upload_part(**upload, PartNumber=number, Body=body, **checksum)
            known = {key: done[key] for key in ("ETag", "ChecksumSHA256") if key in done}
            parts.append({"PartNumber": number, **known})
        self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


@pytest.fixture(params=[BUCKET, VERSIONED], ids=["a plain bucket", "a versioned one"])
def any_prefix(request, server, files):
    prefix = Prefix(server.client(ROOT), request.param)
    prefix.put(files)
    return prefix


@pytest.fixture
def prefix(server, files):
    prefix = Prefix(server.client(ROOT), BUCKET)
    prefix.put(files)
    return prefix


@pytest.fixture
def looker(tmp_path, faults):
    """Makes one who looks at a prefix."""
    type(ROOT)("grace", "grace-secret").secret_files(tmp_path / "secrets" / "base")
    storage = {"endpoint": faults.url, "pathStyle": True, "secretRef": {"name": "models"}}

    def make(prefix) -> Looker:
        source = {"s3": {"uri": f"s3://{prefix.bucket}/{prefix.name}", "storage": storage}}
        return Looker(tmp_path, source, SecretFiles(tmp_path / "secrets"))

    return make


@pytest.fixture
def look(looker, prefix):
    return looker(prefix)


def prepared(look):
    return Asker(look.root, look.source, look.secrets)(weights=False)


@pytest.mark.parametrize("edit", ALL_EDITS)
def test_the_digest_moves_with_the_model_and_with_nothing_else(looker, any_prefix, files, edit):
    look = looker(any_prefix)
    before = look()
    any_prefix.hold(edit.change(files))
    after = look()
    assert (after != before) is edit.moves
    model = prepared(look)
    assert (model.revision, model.content_digest) == (after.revision, after.content_digest)


def test_nothing_is_read_while_nothing_moves(look, faults):
    first = look()
    assert look.bytes_read > len(CONTENT)
    faults.forget()
    assert look() == first
    assert look.bytes_read == 0
    assert all("list-type=2" in each for each in faults.seen)


def test_an_etag_that_moved_with_the_same_content_is_the_same_revision(look, prefix, files):
    first, tag = look(), prefix.tag(WEIGHTS)
    prefix.put_in_parts(WEIGHTS, CONTENT, 5 << 20)
    assert prefix.tag(WEIGHTS) != tag
    assert look() == first
    assert look.bytes_read == len(CONTENT) + len(files["config.json"])  # and nothing else
    assert look() == first
    assert look.bytes_read == 0


def test_an_etag_that_lies_hides_no_change(look, prefix, folder):
    first, tag = look(), prefix.tag(WEIGHTS)
    path = folder / "objects" / BUCKET / prefix.name / WEIGHTS
    with path.open("r+b") as file:  # behind the service's back, which keeps its ETag beside it
        file.write(b"\xff")
    stamp(folder, prefix, WEIGHTS, 5)
    assert prefix.tag(WEIGHTS) == tag
    assert look() != first


def test_a_checksum_that_the_service_took_saves_reading(look, prefix):
    prefix.put({WEIGHTS: CONTENT}, ChecksumAlgorithm="SHA256")
    found = look()
    assert look.bytes_read < len(CONTENT)
    assert prepared(look).content_digest == found.content_digest


def test_a_checksum_over_parts_is_not_taken_for_one_of_the_content(look, prefix):
    prefix.put_in_parts(WEIGHTS, CONTENT, 5 << 20, ChecksumAlgorithm="SHA256")
    found = look()
    assert look.bytes_read > len(CONTENT)
    assert prepared(look).content_digest == found.content_digest


CHECKSUMS = [
    pytest.param({"ChecksumType": "COMPOSITE"}, id="over parts, by its type"),
    pytest.param({"ChecksumSHA256": base64.b64encode(b"x" * 32).decode() + "-2"}, id="by its name"),
    pytest.param({"ChecksumSHA256": "eHh4"}, id="too short"),
    pytest.param({"ETag": '"another"'}, id="of another version"),
    pytest.param({"ContentLength": 5}, id="of another length"),
]


@pytest.mark.parametrize("change", CHECKSUMS)
def test_a_checksum_of_something_else_is_not_believed(change):
    stored = look_s3.Stored(9, '"tag"', None)
    answer = {
        "ETag": '"tag"',
        "ContentLength": 9,
        "ChecksumType": "FULL_OBJECT",
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(b"x").digest()).decode(),
    }
    assert look_s3.checksum_in(answer, stored) == hashlib.sha256(b"x").hexdigest()
    assert look_s3.checksum_in(answer | change, stored) == ""


def sums_of(files) -> bytes:
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in files]
    return "".join(lines).encode()


def stamp(folder, prefix, name, later_s) -> None:
    """Set an object's time, which a test cannot wait for."""
    path = folder / "objects" / BUCKET / prefix.name / name
    os.utime(path, (time.time() + later_s,) * 2)


SUMS = [
    pytest.param((lambda files: files, 60, True), id="a newer list that is right is believed"),
    pytest.param((lambda files: files, -60, False), id="an older one is not"),
    pytest.param((lambda files: files | {"config.json": b"old"}, 60, False), id="nor a stale one"),
    pytest.param((lambda _files: {"a/b": b""}, 60, False), id="nor one of something else"),
]


@pytest.mark.parametrize("case", SUMS)
def test_a_list_of_digests_saves_reading(look, prefix, files, folder, case):
    listed, later_s, is_believed = case
    prefix.put({"SHA256SUMS": sums_of(listed(files))})
    stamp(folder, prefix, "SHA256SUMS", later_s)
    found = look()
    assert (look.bytes_read < len(CONTENT)) is is_believed
    assert prepared(look).content_digest == found.content_digest


def writing_while_it_is_read(monkeypatch, prefix, contents):
    """Somebody who uploads other weights whenever they are about to be read."""
    read = look_s3.sha256_of

    def write_and_read(remote, name, listed, transfer):
        if name == WEIGHTS and contents:
            prefix.put({WEIGHTS: contents.pop()})
        return read(remote, name, listed, transfer)

    monkeypatch.setattr(look_s3, "sha256_of", write_and_read)


def test_weights_replaced_while_they_are_read_are_looked_at_again(look, prefix, monkeypatch):
    writing_while_it_is_read(monkeypatch, prefix, [b"\xff" + CONTENT[1:]])
    found = look()
    assert prepared(look).content_digest == found.content_digest


def test_a_prefix_that_changes_all_the_time_is_left_for_another_time(look, prefix, monkeypatch):
    contents = [bytes([number]) + CONTENT[1:] for number in range(3)]
    writing_while_it_is_read(monkeypatch, prefix, contents)
    with pytest.raises(StageError, match="changes while it is read") as caught:
        look()
    assert caught.value.failure.value == "Unavailable"


def emptied(prefix, _files):
    prefix.hold({})


def pickled(prefix, files):
    kept = {name: files[name] for name in files if name != WEIGHTS}
    prefix.hold(kept | {"pytorch_model.bin": b"\x80\x04"})


def half_uploaded(prefix, _files):
    index = b'{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}'
    prefix.put({"model.safetensors.index.json": index})


FAILURES = [
    pytest.param((emptied, "NotFound", None, "nothing below it"), id="it disappeared"),
    pytest.param((pickled, "InvalidSpec", Cause.UNSAFE_WEIGHTS, "pickle"), id="pickles"),
    pytest.param((half_uploaded, "InvalidSpec", None, "lacks model-2"), id="a half upload"),
]


@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_had_or_trained_is_told_before_weights_are_read(look, prefix, files, case):
    fault, failure, cause, words = case
    fault(prefix, files)
    with pytest.raises(StageError, match=words) as caught:
        look()
    assert (caught.value.failure.value, caught.value.cause) == (failure, cause)
    assert look.bytes_read < len(CONTENT)


def test_a_service_that_takes_no_more_requests_is_a_cause(look, faults):
    faults.then("slow down", 99)
    with pytest.raises(StageError, match="SlowDown") as caught:
        look()
    assert caught.value.cause is Cause.RATE_LIMITED


def test_too_many_objects_are_another_kind_of_prefix(look, monkeypatch):
    monkeypatch.setattr(look_s3, "MAX_OBJECTS", 3)
    with pytest.raises(StageError, match="more than 3 objects"):
        look()


def test_a_prefix_of_thousands_of_folders_is_listed_by_its_top(look, prefix, faults):
    first = look()
    prefix.put({f"checkpoints/{number}/model.safetensors": b"" for number in range(40)})
    faults.forget()
    assert look() == first
    assert all("delimiter=%2F" in each for each in faults.seen)


def test_a_look_that_fails_remembers_what_it_has_read(look, prefix, files):
    second = "model-2.safetensors"
    prefix.put({second: b"w"})
    broken = look_s3.sha256_of

    def break_off(remote, name, listed, transfer):
        if name == WEIGHTS:
            raise StageError(look_s3.FailureClass.UNAVAILABLE, "gone")
        return broken(remote, name, listed, transfer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look_s3, "sha256_of", break_off)
        with pytest.raises(StageError, match="gone"):
            look()
    look()
    assert look.bytes_read <= len(CONTENT) + 2 * len(files["config.json"])
