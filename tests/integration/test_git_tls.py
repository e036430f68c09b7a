"""Git over TLS: the certificate is checked, by the system's authorities and the Secret's."""

import ssl

import pytest
from cluster.gitserver import GitServer
from cluster.s3server import make_certificates

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.git.client import Client
from trainer.git.place import Place


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    server = GitServer(tmp_path / "repositories")
    yield server
    server.close()


@pytest.fixture
def authority(tmp_path, server) -> str:
    """Of the server's certificate; it speaks TLS from here on."""
    ca = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.use(context)
    return ca.read_text()


def test_an_authority_of_the_secret_is_trusted(server, authority):
    repository = server.repository("m")
    head = repository.commit({"a": b"a"})
    assert Client(Place(repository.url, "f", ca=authority)).heads("main") == {"main": head}


def test_a_certificate_of_nobody_known_is_refused_with_the_remedy(server, authority):
    assert authority
    with pytest.raises(StageError, match=r"not trusted; .* key ca\.crt") as caught:
        Client(Place(server.repository("m").url, "f")).heads("main")
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert not server.seen


def test_what_is_no_certificate_is_told(server):
    with pytest.raises(StageError, match=r"ca\.crt holds no PEM") as caught:
        Client(Place(server.url, "f", ca="no"))
    assert caught.value.failure is FailureClass.INVALID_SPEC
