"""An operator that keeps to some namespaces works in those that it sees whole, and says which."""

import logging

import pytest

from controller.kube.errors import ApiError
from controller.shell.territory import Territory, unique

KINDS = ("finetunejobs", "pods")
REFUSED = ApiError(403, "Forbidden", "may not list pods")


class Scene:
    """A territory of the namespaces ml and nlp, and what it told."""

    def __init__(self, *namespaces: str) -> None:
        self.told: list[tuple[str, str]] = []
        self.territory = Territory(
            namespaces,
            KINDS,
            lambda name: self.told.append(("opened", name)),
            lambda name: self.told.append(("closed", name)),
        )

    def seen(self, namespace: str) -> None:
        for kind in KINDS:
            self.territory.seen(kind, namespace)

    def refused(self, namespace: str, kind: str = "pods") -> None:
        self.territory.refused(kind, namespace, REFUSED)


def test_a_namespace_is_open_once_everything_of_it_is_seen() -> None:
    scene = Scene("ml", "nlp")
    scene.territory.seen("pods", "ml")
    assert scene.territory.state() == {"ml": False, "nlp": False}
    assert not scene.territory.has_room()
    scene.territory.seen("finetunejobs", "ml")
    assert scene.territory.state() == {"ml": True, "nlp": False}
    assert scene.territory.has_room()
    assert scene.told == [("opened", "ml")]


def test_a_later_list_of_an_open_namespace_is_no_news() -> None:
    scene = Scene("ml")
    scene.seen("ml")
    scene.seen("ml")
    assert scene.told == [("opened", "ml")]


def test_one_kind_that_is_refused_closes_the_namespace_until_it_is_seen_again() -> None:
    scene = Scene("ml")
    scene.seen("ml")
    scene.refused("ml")
    assert not scene.territory.is_open("ml")
    scene.territory.seen("pods", "ml")
    assert scene.territory.is_open("ml")
    assert scene.told == [("opened", "ml"), ("closed", "ml"), ("opened", "ml")]


def test_a_refusal_is_said_once_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene("ml")
    with caplog.at_level(logging.ERROR):
        for kind in (*KINDS, *KINDS):
            scene.refused("ml", kind)
    (message,) = caplog.messages
    assert "namespace ml: 403 Forbidden: may not list pods" in message
    assert "manifests/namespaced/tenant" in message
    caplog.clear()
    scene.seen("ml")
    scene.refused("ml")
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


def test_without_a_list_of_namespaces_there_is_no_bound() -> None:
    scene = Scene()
    scene.territory.seen("pods", None)
    scene.territory.refused("pods", None, REFUSED)
    assert scene.territory.is_open("anything")
    assert scene.territory.has_room()
    assert scene.told == []


def test_a_name_that_is_written_twice_counts_once() -> None:
    assert unique(["ml", "", "nlp", "ml"]) == ("ml", "nlp")
