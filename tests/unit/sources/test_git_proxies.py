"""Which way a Git server and its LFS store are reached."""

import pytest

from trainer.git.place import Place
from trainer.git.web import connections

PLACE = Place("https://git.corp.example/acme/model", "spec.baseModel.git")
LFS = "https://bucket.s3.example.com/objects/1"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://ada:pass@proxy.example:3128")
    monkeypatch.setenv("no_proxy", ".corp.example")


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        pytest.param("", None, id="the server itself, past the proxy"),
        pytest.param(LFS, "proxy.example", id="its LFS store, which is outside"),
        pytest.param("https://lfs.corp.example/1", None, id="a store inside"),
    ],
)
def test_a_proxy_is_chosen_for_each_host(url, proxy):
    found = connections(PLACE, url).proxy
    assert (found and found.host) == proxy


def test_the_login_of_the_proxy_goes_to_the_proxy_alone():
    pool = connections(PLACE, LFS)
    assert "proxy-authorization" in pool.proxy_headers
    assert "proxy-authorization" not in pool.headers
