"""Adding rows never moves a row, and a group is never in two splits."""

from pathlib import Path

import numpy as np
from builders.requests import a_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.source import Dataset
from trainer.data.split import TEST, TRAIN, VALIDATION, assign, auto_test_percent, make_rule, places

GROUPS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=200)


def a_dataset(**changes):
    return Dataset.model_validate(a_spec(Path("/data"))["dataset"] | changes)


def split(groups, rule, dataset):
    keys = np.array(groups, np.uint64)
    return assign(places(keys, rule.salt), np.zeros(len(keys), np.int8), rule, dataset)


@settings(max_examples=60, deadline=None)
@given(old=GROUPS, new=GROUPS, percent=st.integers(0, 50), salt=st.text(max_size=16))
def test_adding_rows_never_moves_a_row(old, new, percent, salt):
    dataset = a_dataset(split={"validationPercent": percent})
    rule = make_rule(dataset, places(np.unique(np.array(old, np.uint64)), salt[:16]), salt[:16])
    before, after = split(old, rule, dataset), split([*old, *new], rule, dataset)
    assert before.tolist() == after[: len(old)].tolist()


@settings(max_examples=60, deadline=None)
@given(groups=st.lists(st.integers(0, 20), min_size=1, max_size=200), test=st.integers(1, 50))
def test_a_group_is_never_in_two_splits(groups, test):
    dataset = a_dataset(split={"testPercent": test})
    rule = make_rule(dataset, np.empty(0), "salt")
    codes = split(groups, rule, dataset)
    assert len(set(zip(groups, codes.tolist(), strict=True))) == len(set(groups))


def test_the_shares_are_near_what_was_asked():
    dataset = a_dataset(split={"testPercent": 20, "validationPercent": 10})
    codes = split(list(range(20_000)), make_rule(dataset, np.empty(0), "salt"), dataset)
    shares = [np.mean(codes == code) for code in (TRAIN, VALIDATION, TEST)]
    assert np.allclose(shares, [0.7, 0.1, 0.2], atol=0.01)


def test_auto_takes_ten_percent_where_that_is_enough():
    assert auto_test_percent(np.linspace(0, 1, 2000)) == 10


def test_auto_takes_more_until_there_are_a_hundred_groups():
    at = np.linspace(0, 1, 500, endpoint=False)
    percent = auto_test_percent(at)
    assert percent == 20
    assert np.count_nonzero(at < percent / 100) == 100


def test_auto_never_takes_more_than_thirty_percent():
    assert auto_test_percent(np.linspace(0, 1, 50)) == 30


def test_another_salt_is_another_split():
    dataset = a_dataset(split={"testPercent": 30})
    groups = list(range(500))
    one, two = (split(groups, make_rule(dataset, np.empty(0), salt), dataset) for salt in "ab")
    assert one.tolist() != two.tolist()


def test_rows_of_given_files_stay_where_they_were_given():
    dataset = a_dataset(test={"uri": "file:///test.jsonl"})
    given = np.array([TRAIN, TEST] * 200, np.int8)
    at = places(np.arange(400, dtype=np.uint64), "salt")
    codes = assign(at, given, make_rule(dataset, at, "salt"), dataset)
    assert np.array_equal(codes == TEST, given == TEST)
