"""The store stays equal to the server's, whatever the server and the network do."""

from itertools import count
from pathlib import Path

import pytest
from unit.kube.reflecting import WATCH, Play, names, play
from unit.kube.scripted import (
    Answer,
    Hang,
    Reset,
    Stream,
    a_bookmark,
    a_list,
    a_status,
    a_watch,
    an_error_event,
    an_object,
)

from controller.kube.errors import ApiError


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(a_status(410, "Expired"), id="by the HTTP status"),
        pytest.param(a_watch(an_error_event(410, "Expired")), id="by an ERROR event"),
        pytest.param(a_watch(an_error_event(410, "Gone"), then="hang"), id="and it stays open"),
    ],
)
def test_a_version_too_old_is_listed_anew_and_what_went_meanwhile_is_told(
    tmp_path: Path, gone: Answer
) -> None:
    def script(part: Play) -> None:
        part.lists(a_list(an_object("same"), an_object("new", "2"), an_object("lost")))
        part.watches(gone)
        part.lists(a_list(an_object("same"), an_object("new", "31"), version="30"))
        part.ends_watching("30")

    part, reflector = play(tmp_path, script)
    assert part.told[3:] == [("changed", "new"), ("gone", "lost")]
    assert names(reflector) == ["new", "same"]
    assert reflector.relists == 2
    assert part.backoff.pauses == [0.8]


def test_a_version_that_is_always_too_old_is_not_listed_without_pauses(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        for _ in range(4):
            part.lists(a_list())
            part.watches(a_status(410, "Expired"))
        part.lists(a_list(version="40"))
        part.ends_watching("40")

    part, _ = play(tmp_path, script)
    assert part.backoff.pauses == [0.8, 1.6, 3.2, 6.4]


def test_a_continue_token_too_old_starts_the_list_again(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list(an_object("a"), page="t1"))
        part.lists(a_status(410, "Expired"), **{"continue": "t1"})
        part.lists(a_list(an_object("b"), version="20"))
        part.ends_watching("20")

    part, reflector = play(tmp_path, script)
    assert part.told == [("added", "b")]
    assert reflector.relists == 1


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Answer(502, b"<html>Bad Gateway</html>"), id="a proxy's page"),
        pytest.param(a_status(500, "InternalError"), id="500"),
        pytest.param(a_watch(an_error_event(500, "InternalError")), id="an ERROR event"),
        pytest.param(a_status(429, "TooManyRequests"), id="429"),
        pytest.param(Stream(pieces=(b'{"type":"ADDED","obj',), then="abort"), id="cut in a line"),
        pytest.param(Stream(pieces=(b'{"type":"ADDED","obj',)), id="ended in a line"),
    ],
)
def test_trouble_is_waited_out_and_the_watch_goes_on_where_it_was(
    tmp_path: Path, trouble: Answer
) -> None:
    def script(part: Play) -> None:
        part.lists(a_list(an_object("a")))
        for _ in range(2):
            part.watches(trouble)
            if isinstance(trouble, Stream) and trouble.then == "abort":
                part.looks_at_version(is_at("11"))
        part.watches(a_watch(("ADDED", an_object("b", "11"))))
        part.ends_watching("11")

    part, reflector = play(tmp_path, script)
    assert names(reflector) == ["a", "b"]
    assert reflector.relists == 1
    assert part.backoff.pauses == [0.8, 1.6, 0.8]  # reset by what arrived


def test_a_torn_connection_is_made_anew(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list())
        part.watches(Reset())  # on the connection of the list, so that aiohttp tries once more
        part.watches(Reset())
        part.looks_at_version(is_at("11"))
        part.ends_watching("10")

    part, reflector = play(tmp_path, script)
    assert part.backoff.pauses == [0.8]
    assert reflector.relists == 1


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_status(429, "TooManyRequests", **{"Retry-After": "17"}))
        part.lists(a_list())
        part.watches(a_status(429, "TooManyRequests", **{"Retry-After": "9"}))
        part.ends_watching("10")

    part, _ = play(tmp_path, script)
    assert part.backoff.pauses == [17.0, 9.0]


def test_a_version_that_the_server_keeps_choking_on_is_given_up(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list())
        for _ in range(3):
            part.watches(a_watch(an_error_event(500)))
        part.lists(a_list(version="20"))
        part.ends_watching("20")

    _, reflector = play(tmp_path, script)
    assert reflector.relists == 2


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"<html>Bad Gateway</html>\n", id="a page in the middle of a stream"),
        pytest.param(b'{"no":"event"}\n', id="JSON that is no event"),
        pytest.param(b'{"type":"ERROR","object":{"kind":"Pod"}}\n', id="an ERROR without Status"),
        pytest.param(b"\xff\xfe\n", id="no text"),
    ],
)
def test_nonsense_in_a_watch_leads_to_a_new_list(tmp_path: Path, line: bytes) -> None:
    def script(part: Play) -> None:
        part.lists(a_list(an_object("a")))
        part.watches(Stream(pieces=(line,)))
        part.lists(a_list(an_object("a"), version="20"))
        part.ends_watching("20")

    part, _ = play(tmp_path, script)
    assert part.told == [("added", "a")]


def test_a_list_that_is_no_list_is_asked_for_again(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(Answer(body=b"<html>"))
        part.lists(Answer(body=b'{"metadata":{},"items":[]}'))
        part.lists(a_list(an_object("a")))
        part.ends_watching("10")

    part, _ = play(tmp_path, script)
    assert part.told == [("added", "a")]
    assert len(part.backoff.pauses) == 2


def test_an_object_that_cannot_be_read_is_named_and_spoils_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = an_object("bad", "11", size="s3cret")

    def script(part: Play) -> None:
        part.lists(a_list(an_object("a"), an_object("bad", size="s3cret"), {"metadata": 7}))
        part.watches(a_watch(("MODIFIED", bad), ("ADDED", an_object("b", "12"))))
        part.ends_watching("12")

    part, reflector = play(tmp_path, script)
    assert names(reflector) == ["a", "b"]
    assert "pods ns/bad cannot be read" in caplog.text
    assert "s3cret" not in caplog.text
    assert part.backoff.pauses == [0.8]


def test_an_object_that_became_unreadable_is_kept_as_it_was(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list(an_object("a", size=1)))
        part.watches(a_status(410, "Expired"))
        part.lists(a_list(an_object("a", "11", size="much"), version="20"))
        part.ends_watching("20")

    part, reflector = play(tmp_path, script)
    assert part.told == [("added", "a")]
    assert names(reflector) == ["a"]


def is_at(version: str) -> Answer:
    """What a look at the server's version gives."""
    return a_list(an_object("any"), version=version, page="more")


def test_a_connection_that_fell_silent_is_left(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list())
        part.watches(a_watch(a_bookmark("11"), then="hang"))
        part.looks_at_version(is_at("12"))
        part.watches(Hang(), "11")
        part.looks_at_version(is_at("12"))
        part.watches(a_watch(("ADDED", an_object("a", "12")), then="hang"), "11")
        part.looks_at_version(Hang())

    part, reflector = play(tmp_path, script, silence_s=0.1)
    assert reflector.relists == 1
    assert part.told == [("added", "a")]
    assert part.backoff.pauses == [0.8, 1.6, 0.8]


def test_a_watch_from_a_version_that_the_server_has_not_reached_is_not_kept_up_for_ever(
    tmp_path: Path,
) -> None:
    """What a restored store answers: the watch is opened, and nothing ever comes."""

    def script(part: Play) -> None:
        part.lists(a_list(an_object("a", "900"), version="910"))
        part.watches(a_watch(then="hang"), "910")
        part.looks_at_version(is_at("7"))
        part.lists(a_list(an_object("a", "3"), version="8"))
        part.ends_watching("8")

    part, reflector = play(tmp_path, script, silence_s=0.1)
    assert reflector.relists == 2
    assert part.told == [("added", "a"), ("changed", "a")]


def test_a_look_at_the_version_that_fails_is_made_again(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list())
        part.watches(a_watch(then="hang"))
        part.looks_at_version(a_status(500, "InternalError"))
        part.looks_at_version(is_at("10"))
        part.watches(a_watch(("ADDED", an_object("a", "11")), then="hang"))

    _, reflector = play(tmp_path, script, silence_s=0.1)
    assert reflector.relists == 1


def test_a_watch_that_lasted_long_was_a_good_one_however_it_ended(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list())
        for _ in range(4):
            part.watches(a_watch(then="abort"))
            part.looks_at_version(is_at("11"))
        part.watches(a_watch())  # ended in good order: no pause at all
        part.ends_watching("10")

    minutes = count(step=60)
    part, reflector = play(tmp_path, script, clock=lambda: float(next(minutes)))
    assert part.backoff.pauses == [0.8] * 4
    assert reflector.relists == 1


FORBIDDEN = a_status(403, "Forbidden")


def in_two(part: Play, x: Answer, then: Answer | None = None) -> None:
    """Namespace x answers that; y is as it should be."""
    x_path, y_path = (f"/api/v1/namespaces/{name}/pods" for name in "xy")
    part.server.expect("GET", y_path, a_list(an_object("b", namespace="y")))
    part.server.expect("GET", y_path, a_watch(then="hang"), WATCH)
    part.server.expect("GET", x_path, x)
    if then is not None:
        part.server.expect("GET", x_path, then)


def test_a_namespace_that_is_refused_does_not_keep_the_others_from_being_settled(
    tmp_path: Path,
) -> None:
    told: list[tuple[str | None, int]] = []

    def script(part: Play) -> None:
        in_two(part, FORBIDDEN, Hang())

    def access(namespace: str | None, error: ApiError | None) -> None:
        told.append((namespace, error.status if error else 200))

    _, reflector = play(tmp_path, script, namespaces=("x", "y"), on_access=access)
    assert reflector.has_settled
    assert not reflector.has_synced
    assert sorted(told) == [("x", 403), ("y", 200)]
    assert names(reflector) == ["b"]


def test_a_namespace_whose_rights_come_later_is_listed_then(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        in_two(part, FORBIDDEN, a_list(an_object("a", namespace="x")))
        part.server.expect("GET", "/api/v1/namespaces/x/pods", a_watch(then="hang"), WATCH)

    _, reflector = play(tmp_path, script, namespaces=("x", "y"))
    assert reflector.has_synced
    assert names(reflector) == ["a", "b"]


def test_a_namespace_that_answers_badly_is_waited_for(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        in_two(part, a_status(500, "InternalError"), Hang())

    _, reflector = play(tmp_path, script, namespaces=("x", "y"))
    assert not reflector.has_settled


def test_without_rights_to_the_whole_cluster_nothing_is_settled(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(FORBIDDEN)
        part.lists(Hang())

    _, reflector = play(tmp_path, script)
    assert not reflector.has_settled


def test_a_list_older_than_what_is_known_is_a_restored_store_and_everything_is_news(
    tmp_path: Path,
) -> None:
    """Every version is lower now, an object is back, one is gone, and one is as it was."""
    rewinds: list[str] = []

    def script(part: Play) -> None:
        same = an_object("same", "3")
        part.lists(
            a_list(same, an_object("changed", "900"), an_object("new", "901"), version="910")
        )
        part.watches(a_status(410, "Expired"), "910")
        part.lists(a_list(same, an_object("changed", "5"), an_object("old", "4"), version="8"))
        part.ends_watching("8")

    part, reflector = play(tmp_path, script, on_rewind=lambda: rewinds.append("rewound"))
    assert rewinds == ["rewound"]
    assert part.told[3:] == [
        ("changed", "same"),
        ("changed", "changed"),
        ("added", "old"),
        ("gone", "new"),
    ]
    changed = reflector.store.get(("ns", "changed"))
    assert changed is not None
    assert changed.metadata.resource_version == "5"


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(a_bookmark("8"), id="by a bookmark"),
        pytest.param(("MODIFIED", an_object("a", "8")), id="by an event"),
        pytest.param(("DELETED", an_object("a", "8")), id="by an end"),
    ],
)
def test_a_watch_that_goes_back_in_time_is_left_for_a_list(
    tmp_path: Path, told: tuple[str, object]
) -> None:
    rewinds: list[str] = []

    def script(part: Play) -> None:
        part.lists(a_list(an_object("a"), version="910"))
        part.watches(a_watch(told, then="hang"), "910")
        part.lists(a_list(an_object("a"), version="9"))
        part.watches(a_watch(("MODIFIED", an_object("a", "11")), then="hang"), "9")

    part, _ = play(tmp_path, script, on_rewind=lambda: rewinds.append("rewound"))
    assert rewinds == ["rewound"]
    assert part.told[:2] == [("added", "a"), ("changed", "a")]


def test_a_list_again_of_the_same_version_is_no_step_back(tmp_path: Path) -> None:
    rewinds: list[str] = []

    def script(part: Play) -> None:
        part.lists(a_list(an_object("a")))
        part.watches(a_status(410, "Expired"))
        part.lists(a_list(an_object("a")))
        part.ends_watching("10")

    part, _ = play(tmp_path, script, on_rewind=lambda: rewinds.append("rewound"))
    assert rewinds == []
    assert part.told == [("added", "a")]
