"""Networks fail: what can be tried again is, what cannot is told with place and remedy."""

import time
from uuid import uuid4

import pytest
from cluster.s3faults import faults_before
from cluster.s3server import REGION, Identity, S3Server, free_port, s3_server

from trainer.contract.base import LocalObjectReference
from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.store.base import ConditionError, MissingError
from trainer.store.fence import probe_conditional_writes
from trainer.store.s3 import S3Store, open_s3
from trainer.store.s3client import Patience
from trainer.store.secrets import SecretFiles

QUICK = Patience(connect_s=2, read_s=0.5, attempts=2)
BOUND_S = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def ada(server: S3Server) -> Identity:
    return server.user("ada")


@pytest.fixture(scope="module")
def bucket(server: S3Server, ada: Identity) -> str:
    return server.bucket("faulty", ada)


@pytest.fixture
def faults(server):
    with faults_before(server.host) as faults:
        yield faults


@pytest.fixture
def identity(monkeypatch, ada) -> Identity:
    for name, value in ada.environ().items():
        monkeypatch.setenv(name, value)
    return ada


def opened(uri: str, url: str, **storage) -> S3Store:
    return open_s3(uri, Storage(endpoint=url, **storage), patience=QUICK)


@pytest.fixture
def store(bucket, faults, identity) -> S3Store:
    """A fresh prefix, reached through the proxy."""
    del identity
    return opened(f"{bucket}/{uuid4().hex}", faults.url)


def upload(store: S3Store, tmp_path) -> bytes:
    (tmp_path / "large").write_bytes(b"0123456789abcdef" * (5 << 18))
    store.upload(tmp_path / "large", "a")
    return b""


def download(store: S3Store, tmp_path) -> bytes:
    store.download("a", tmp_path / "copy")
    return (tmp_path / "copy").read_bytes()


OPERATIONS = {
    "read": lambda store, _path: store.read("a"),
    "stream": lambda store, _path: b"".join(store.stream("a")),
    "write": lambda store, _path: store.write("b", b"1"),
    "exists": lambda store, _path: store.exists("a"),
    "list": lambda store, _path: list(store.list("")),
    "delete": lambda store, _path: store.delete("a"),
    "upload": upload,
    "download": download,
}
PASSING = ["reset", "lost answer", "slow down"]


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_that_passes_is_not_noticed(store, faults, tmp_path, operation, kind):
    store.write("a", b"12345")
    faults.forget()
    faults.then(kind)
    OPERATIONS[operation](store, tmp_path)
    assert len(faults.seen) >= 2


@pytest.mark.parametrize("operation", ["read", "stream", "download"])
def test_an_answer_that_breaks_off_is_asked_for_again(store, faults, tmp_path, operation):
    store.write("a", b"0123456789" * 1000)
    faults.then("cut short", times=2, method="GET")
    assert OPERATIONS[operation](store, tmp_path) == b"0123456789" * 1000


def test_a_large_file_comes_whole_through_a_bad_line(store, faults, tmp_path):
    upload(store, tmp_path)
    faults.then("cut short", times=2, method="GET")
    faults.then("reset", method="GET")
    assert download(store, tmp_path) == (tmp_path / "large").read_bytes()


@pytest.mark.parametrize("kind", ["reset", "slow down", "hang"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_that_stays_is_told_in_time(store, faults, tmp_path, operation, kind):
    faults.then(kind, times=100)
    started = time.monotonic()
    with pytest.raises(StageError) as caught:
        OPERATIONS[operation](store, tmp_path)
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert faults.url.removeprefix("http://") in caught.value.message
    assert "secret-looking" not in caught.value.message
    assert len(faults.seen) <= 20
    assert time.monotonic() - started < BOUND_S
    assert not list(tmp_path.glob(".tunekeeper-*"))


@pytest.mark.parametrize(
    "condition", [{"if_none_match": True}, {"if_match": True}], ids=["first write", "swap"]
)
def test_a_write_whose_answer_was_lost_took_place(store, faults, condition):
    if "if_match" in condition:
        condition = {"if_match": store.write("a", b"old")}
    faults.then("lost answer", method="PUT")
    tag = store.write("a", b"mine", **condition)
    assert store.read_tagged("a") == (b"mine", tag)


def test_a_repeated_write_that_met_another_writers_is_refused(store, faults):
    store.write("a", b"theirs")
    faults.then("reset", method="PUT")
    with pytest.raises(ConditionError):
        store.write("a", b"mine", if_none_match=True)


def test_a_conflict_that_passes_is_not_noticed(store, faults):
    faults.then("conflict", times=3, method="PUT")
    store.write("a", b"mine", if_none_match=True)
    assert store.read("a") == b"mine"


def test_a_conflict_that_stays_is_another_writer(store, faults):
    faults.then("conflict", times=10, method="PUT")
    with pytest.raises(ConditionError):
        store.write("a", b"mine", if_none_match=True)


def test_a_service_that_says_yes_to_every_write_is_refused(store, faults):
    faults.then("yes", times=10, method="PUT")
    with pytest.raises(StageError, match="use a store with conditional writes") as caught:
        probe_conditional_writes(store)
    assert caught.value.failure is FailureClass.CONDITIONAL_WRITES_UNSUPPORTED


@pytest.mark.parametrize("operation", ["read", "write", "exists", "list", "download"])
def test_a_web_server_in_place_of_the_store_is_told(store, faults, tmp_path, operation):
    faults.then("page", times=10)
    with pytest.raises(StageError, match="not as an S3 service") as caught:
        OPERATIONS[operation](store, tmp_path)
    assert caught.value.failure is FailureClass.INVALID_SPEC
    assert "spec.output.storage.endpoint" in caught.value.message
    assert "It works!" not in caught.value.message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_bucket_is_no_missing_key(faults, identity, tmp_path, operation):
    del identity
    store = opened("s3://nowhere/out", faults.url)
    with pytest.raises(StageError, match="there is no bucket nowhere at") as caught:
        OPERATIONS[operation](store, tmp_path)
    assert caught.value.failure is FailureClass.NOT_FOUND


@pytest.mark.parametrize("operation", OPERATIONS)
def test_anothers_bucket_is_denied(server, identity, tmp_path, operation):
    name = f"private-{operation}"
    server.bucket(name, server.user(name))
    with pytest.raises(StageError, match="may not do") as caught:
        OPERATIONS[operation](opened(f"s3://{name}/out", server.url), tmp_path)
    assert caught.value.failure is FailureClass.ACCESS_DENIED
    assert "the environment's credentials" in caught.value.message
    assert identity.secret not in caught.value.message


KEYS = [
    pytest.param(Identity("ada", "wrong"), "correct AWS_SECRET_ACCESS_KEY", id="wrong secret key"),
    pytest.param(
        Identity("eve", "ada-secret"), "does not know the access key", id="unknown access key"
    ),
]


@pytest.mark.parametrize(("identity", "said"), KEYS)
def test_wrong_keys_are_told_by_the_name_of_their_secret(tmp_path, server, bucket, identity, said):
    identity.secret_files(tmp_path / "output")
    ref = LocalObjectReference(name="acme-out")
    storage = Storage(endpoint=server.url, secret_ref=ref)
    store = open_s3(f"{bucket}/out", storage, secrets=SecretFiles(tmp_path), patience=QUICK)
    with pytest.raises(StageError, match=said) as caught:
        store.read("a")
    assert caught.value.failure is FailureClass.ACCESS_DENIED
    assert "Secret acme-out" in caught.value.message
    assert identity.secret not in caught.value.message


def test_no_credentials_at_all_are_told(monkeypatch, tmp_path, server, bucket):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StageError, match="there are no credentials") as caught:
        opened(f"{bucket}/out", server.url).read("a")
    assert caught.value.failure is FailureClass.ACCESS_DENIED
    assert "spec.output.storage.secretRef" in caught.value.message


def test_an_endpoint_where_nobody_listens_is_named(identity, bucket):
    del identity
    port = free_port()
    with pytest.raises(StageError, match=f"127.0.0.1:{port} does not answer") as caught:
        opened(f"{bucket}/out", f"http://127.0.0.1:{port}").read("a")
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert "spec.output.storage.endpoint" in caught.value.message


def test_tls_where_there_is_none_is_told(identity, server, bucket):
    del identity
    with pytest.raises(StageError, match="does not speak TLS"):
        opened(f"{bucket}/out", f"https://{server.host}").read("a")


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("tls"), tls=True) as server:
        server.bucket("secure", server.user("tess"))
        yield server


TRUST = [
    pytest.param(lambda secure, _path: {"ca_bundle": secure.ca}, id="caBundle"),
    pytest.param(lambda secure, path: path.write_text(secure.ca) and {}, id="ca.crt"),
]


@pytest.mark.parametrize("trust", TRUST)
def test_a_private_certificate_authority_is_trusted_when_given(tmp_path, secure, trust):
    Identity("tess", "tess-secret").secret_files(tmp_path / "output")
    given = trust(secure, tmp_path / "output" / "ca.crt")
    ref = LocalObjectReference(name="tess")
    storage = Storage(endpoint=secure.url, region=REGION, secret_ref=ref, path_style=True, **given)
    store = open_s3("s3://secure/out", storage, secrets=SecretFiles(tmp_path), patience=QUICK)
    store.write("a", b"1", if_none_match=True)
    assert store.read("a") == b"1"
    store.delete("a")


def test_a_certificate_that_nobody_vouches_for_is_told(secure, identity):
    del identity
    with pytest.raises(StageError, match="is not trusted") as caught:
        opened("s3://secure/out", secure.url).read("a")
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert "spec.output.storage.caBundle" in caught.value.message


def test_a_missing_key_below_a_fault_is_still_missing(store, faults):
    faults.then("slow down")
    with pytest.raises(MissingError):
        store.read("a")
