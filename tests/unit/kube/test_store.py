"""The store finds objects by key and by index, whatever happened before."""

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kube.objects import KubeObject, Meta
from controller.kube.store import Store

NAMES = st.sampled_from("abcd")
LABELS = st.frozensets(st.sampled_from("xyz"), max_size=3)


def _obj(name: str, labels: frozenset[str] = frozenset()) -> KubeObject:
    return KubeObject(Meta(name=name, namespace="ns", labels=dict.fromkeys(sorted(labels), "")))


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(NAMES, st.none() | LABELS)))
def test_indexes_agree_with_a_search_through_everything(
    changes: list[tuple[str, frozenset[str] | None]],
) -> None:
    store: Store[KubeObject] = Store({"label": lambda obj: obj.metadata.labels})
    for name, labels in changes:
        if labels is None:
            store.remove(("ns", name))
        else:
            store.put(_obj(name, labels))
    for value in "xyz":
        found = {obj.metadata.name for obj in store.by_index("label", value)}
        assert found == {o.metadata.name for o in store.all() if value in o.metadata.labels}


def test_put_and_remove_give_what_was_there() -> None:
    store: Store[KubeObject] = Store()
    first, second = _obj("a"), _obj("a")
    assert store.put(first) is None
    assert store.put(second) is first
    assert store.get(("ns", "a")) is second
    assert store.remove(("ns", "a")) is second
    assert store.remove(("ns", "a")) is None
    assert len(store) == 0
