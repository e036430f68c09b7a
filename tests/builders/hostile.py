"""Hypothesis strategies for any wire model, with the strings and numbers that break pages."""

from collections.abc import Mapping
from enum import EnumMeta
from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from trainer.contract.base import Wire

HOSTILE = [
    "",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><base href=//evil.example>",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "a\x00b\x1b[31m\u202e",
    '{"a": 1e999, "b": "\\ud800"}',
    '{"a": ["<b>", {}]}',
    "[" * 3000,
    "x" * 5000,
]
DIGESTS = st.just("sha256:" + "0" * 64)


@st.composite
def any_model(draw: st.DrawFn, model: type[Wire]) -> Any:
    """Instances of a wire model within the limits that its fields declare."""
    return model(**{name: draw(_field(info)) for name, info in model.model_fields.items()})


def _field(info: FieldInfo) -> st.SearchStrategy[Any]:
    limits = [limit for note in info.metadata if (limit := getattr(note, "max_length", None))]
    patterned = any(getattr(note, "pattern", None) for note in info.metadata)
    return DIGESTS if patterned else _of(info.annotation, min(limits, default=None))


def _of(kind: Any, longest: int | None) -> st.SearchStrategy[Any]:
    if isinstance(kind, type) and issubclass(kind, Wire):
        return any_model(kind)
    if isinstance(kind, EnumMeta) or get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind) or list(kind))
    if get_origin(kind) is list:
        return st.lists(_of(get_args(kind)[0], None), max_size=min(longest or 2, 2))
    if get_origin(kind) is dict:
        return st.dictionaries(_text(None), _text(None), max_size=2)
    if get_args(kind):
        return st.one_of([_of(member, longest) for member in get_args(kind)])
    return _scalar(kind, longest)


def _scalar(kind: Any, longest: int | None) -> st.SearchStrategy[Any]:
    scalars: Mapping[Any, st.SearchStrategy[Any]] = {
        str: _text(longest),
        float: st.floats() | st.floats(0, 1),
        int: st.integers(-(2**63), 2**63),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return scalars[kind]


def _text(longest: int | None) -> st.SearchStrategy[str]:
    hostile = st.integers(0, len(HOSTILE) - 1).map(lambda index: HOSTILE[index][:longest])
    return hostile | st.text(max_size=min(longest or 20, 20))
