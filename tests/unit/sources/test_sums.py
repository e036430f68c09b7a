"""When a list of digests beside the weights is believed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.sources.sums import is_newer, is_true, parse_sums

A, B = "a" * 64, "b" * 64
NOW = datetime(2026, 10, 21, 7, 28, 0, 500_000, tzinfo=UTC)

LISTS = [
    pytest.param(f"{A}  model.safetensors\n", {"model.safetensors": A}, id="text mode"),
    pytest.param(f"{A} *model.safetensors", {"model.safetensors": A}, id="binary mode, no end"),
    pytest.param(
        f"{A}  ./a b.safetensors\n\n", {"a b.safetensors": A}, id="a space, an empty line"
    ),
    pytest.param(f"{A}  a\n{B}  a\n", {}, id="a file twice"),
    pytest.param(f"{A}  a\nsee below\n", {}, id="another line"),
    pytest.param(f"{A.upper()}  a\n", {}, id="capitals, which sha256sum does not write"),
    pytest.param(f"{A}  ../a\n", {}, id="a name that leads elsewhere"),
    pytest.param("", {}, id="an empty one"),
]


@pytest.mark.parametrize(("text", "sums"), LISTS)
def test_only_what_sha256sum_writes_is_read(text, sums):
    assert parse_sums(text.encode()) == sums


@given(st.binary())
def test_any_bytes_are_read_without_harm(data):
    parse_sums(data)


def test_a_list_that_is_wrong_about_one_file_is_true_of_none():
    assert is_true({"config.json": A, "w": B}, {"config.json": A, "tokenizer.json": B})
    assert not is_true({"config.json": B, "w": B}, {"config.json": A})
    both = {"config.json": A, "tokenizer.json": A}
    assert not is_true({**both, "w": B}, {"config.json": A, "tokenizer.json": B})


TIMES = [
    pytest.param(timedelta(seconds=1), True, id="a second later"),
    pytest.param(timedelta(milliseconds=400), False, id="in the same second"),
    pytest.param(timedelta(0), False, id="at the same time"),
    pytest.param(timedelta(seconds=-1), False, id="earlier"),
]


@pytest.mark.parametrize(("later", "newer"), TIMES)
def test_a_list_has_to_be_newer_than_the_file(later, newer):
    assert is_newer(NOW + later, NOW) is newer


def test_a_service_that_tells_no_time_has_no_newer_list():
    assert not is_newer(None, NOW)
    assert not is_newer(NOW, None)
