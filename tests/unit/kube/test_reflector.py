"""The store becomes and stays equal to the server's."""

import asyncio
from pathlib import Path

import pytest
from msgspec import Raw
from unit.kube.reflecting import PATH, WATCH, Play, Thing, names, play
from unit.kube.scripted import (
    Answer,
    Scripted,
    a_bookmark,
    a_client,
    a_list,
    a_status,
    a_watch,
    an_object,
)

from controller.kube.objects import KubeObject
from controller.kube.reflector import Reflector
from controller.kube.resources import PODS


def test_a_list_in_pages_and_then_a_watch_from_its_version(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list(an_object("a"), page="t1"), labelSelector="x=y")
        part.lists(a_list(an_object("b"), page="t2"), **{"continue": "t1"})
        part.lists(a_list(an_object("c"), version="12"), **{"continue": "t2"})
        part.ends_watching("12")

    part, reflector = play(tmp_path, script, label_selector="x=y")
    assert part.told == [("added", "a"), ("added", "b"), ("added", "c")]
    assert reflector.has_synced
    assert reflector.relists == 1
    timeout_s = int(part.server.calls[-1].query["timeoutSeconds"])
    assert 240 <= timeout_s <= 300
    assert {call.query["labelSelector"] for call in part.server.calls} == {"x=y"}


def test_an_empty_list_is_a_sync_too(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(Answer(body=b'{"metadata":{"resourceVersion":"10"},"items":null}'))
        part.ends_watching("10")

    _, reflector = play(tmp_path, script)
    assert reflector.has_synced


def test_events_change_the_store_and_bookmarks_only_the_version(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list(an_object("a")))
        part.watches(
            a_watch(
                ("ADDED", an_object("b", "11")),
                ("MODIFIED", an_object("a", "12", size=3)),
                ("DELETED", an_object("b", "13")),
                a_bookmark("20"),
            )
        )
        part.ends_watching("20")

    part, reflector = play(tmp_path, script)
    assert part.told == [("added", "a"), ("added", "b"), ("changed", "a"), ("gone", "b")]
    thing = reflector.store.get(("ns", "a"))
    assert thing is not None
    assert thing.size == 3


def test_a_watch_that_ends_well_goes_on_where_it_was(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list())
        part.watches(a_watch(("ADDED", an_object("a", "11"))), "10")
        part.watches(a_watch(("ADDED", an_object("b", "12"))), "11")
        part.ends_watching("12")

    part, reflector = play(tmp_path, script)
    assert names(reflector) == ["a", "b"]
    assert reflector.relists == 1
    assert part.backoff.pauses == [0.8, 0.8]  # short ones, but each brought something new


def test_a_watch_closed_at_once_again_and_again_does_not_spin(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        part.lists(a_list())
        for _ in range(6):
            part.watches(a_watch())
        part.ends_watching("10")

    part, reflector = play(tmp_path, script)
    assert part.backoff.pauses == [0.8, 1.6, 3.2, 6.4, 12.8, 15.0]
    assert reflector.relists == 1


def test_several_namespaces_share_a_store_and_keep_their_versions(tmp_path: Path) -> None:
    def script(part: Play) -> None:
        for namespace, version in (("x", "10"), ("y", "20")):
            path = f"/api/v1/namespaces/{namespace}/pods"
            items = (an_object(name, namespace=namespace) for name in ("a", "b"))
            part.server.expect("GET", path, a_list(*items, version=version))
            gone = a_status(410, "Expired")
            part.server.expect("GET", path, gone, {**WATCH, "resourceVersion": version})
            left = an_object("a", namespace=namespace)
            part.server.expect("GET", path, a_list(left, version=version + "1"))
            opened = a_watch(then="hang")
            part.server.expect("GET", path, opened, {**WATCH, "resourceVersion": version + "1"})

    part, reflector = play(tmp_path, script, namespaces=("x", "y", "x"))
    assert sorted(thing.metadata.namespace for thing in reflector.store.all()) == ["x", "y"]
    assert sorted(part.told) == [("added", "a")] * 2 + [("added", "b")] * 2 + [("gone", "b")] * 2


def test_contact_is_counted_from_the_last_word(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Scripted() as server:
            part = Play(server)
            part.lists(a_list())
            part.ends_watching("10")
            reflector = await part.run(tmp_path)
            assert reflector.seconds_since_contact() < 10.0

    asyncio.run(scenario())


def test_what_on_change_raises_is_not_hidden(tmp_path: Path) -> None:
    def raising(_old: Thing | None, _new: Thing | None) -> None:
        raise OSError("ours")

    async def scenario() -> None:
        async with Scripted() as server:
            server.expect("GET", PATH, a_list(an_object("a")))
            client = await a_client(tmp_path, server.url)
            with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="ours")):
                await Reflector(client, PODS, Thing, on_change=raising).run()
            await client.close()

    asyncio.run(scenario())


class WithRaw(KubeObject):
    """With a part that is not looked into."""

    spec: Raw = Raw(b"{}")


def test_a_raw_field_keeps_its_own_object_alive_and_not_its_page(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with Scripted() as server:
            big = an_object("big", spec={"x": "y" * 100_000})
            server.expect("GET", PATH, a_list(big, an_object("small", spec={"a": 1})))
            server.expect("GET", PATH, a_watch(then="hang"))
            client = await a_client(tmp_path, server.url)
            reflector = Reflector(client, PODS, WithRaw, on_change=lambda _old, _new: None)
            running = asyncio.create_task(reflector.run())
            await server.played()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.close()
        small = reflector.store.get(("ns", "small"))
        assert small is not None
        view = memoryview(small.spec)
        return len(view.obj)  # the buffer behind the view

    assert asyncio.run(scenario()) < 1000
