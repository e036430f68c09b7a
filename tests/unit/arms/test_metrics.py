import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.arms.metrics import MEASURES, longest_common_subsequence, score

ANSWERS = [
    ("ExactMatch", "refund", "refund", 1.0, "the same text"),
    ("ExactMatch", "  two\n words ", "two words", 1.0, "white space does not count"),
    ("ExactMatch", "cafe\u0301", "caf\u00e9", 1.0, "composed or not, the accent is the same"),
    ("ExactMatch", "Refund", "refund", 0.0, "case counts"),
    ("ExactMatch", "refund.", "refund", 0.0, "punctuation counts"),
    ("ExactMatch", "", "refund", 0.0, "an empty answer is wrong"),
    ("JsonMatch", '{"b":2,"a":1}', '{"a": 1, "b": 2}', 1.0, "the order of keys is free"),
    ("JsonMatch", '{"a": 1.0}', '{"a": 1}', 1.0, "numbers are equal by value"),
    ("JsonMatch", "[1, 2]", "[2, 1]", 0.0, "the order of a list is not"),
    ("JsonMatch", '{"a": true}', '{"a": 1}', 0.0, "true is not 1"),
    ("JsonMatch", '{"a": "1"}', '{"a": 1}', 0.0, "a string is not a number"),
    ("JsonMatch", '{"a": null}', "{}", 0.0, "null is not absence"),
    ("JsonMatch", "null", "null", 1.0, "null equals null"),
    ("JsonMatch", '```json\n{"a": 1}\n```', '{"a": 1}', 1.0, "a fence around it is taken off"),
    ("JsonMatch", '```\n{"a": 1}\n```', '{"a": 1}', 1.0, "so is one without a language"),
    ("JsonMatch", 'Here: {"a": 1}', '{"a": 1}', 0.0, "any other text is not JSON"),
    ("JsonMatch", '{"a": 1} {"a": 1}', '{"a": 1}', 0.0, "two values are not JSON"),
    ("JsonMatch", '{"a": 2, "a": 1}', '{"a": 1}', 0.0, "a repeated key is not JSON"),
    ("JsonMatch", "NaN", "null", 0.0, "NaN is not JSON"),
    ("JsonMatch", '{"a": 1', '{"a": 1}', 0.0, "cut off is not JSON"),
    ("JsonMatch", "[" * 100_000, "[]", 0.0, "absurd nesting is not JSON"),
    ("JsonMatch", "9" * 5000, "9", 0.0, "absurd numbers are not JSON"),
    ("TokenF1", "the cat sat", "a cat sat down", 0.8, "articles aside, 2 of 2 and 2 of 3"),
    ("TokenF1", "Cat!", "cat", 1.0, "case and punctuation do not count"),
    ("TokenF1", "cat cat", "cat", 2 / 3, "a repeated word counts once"),
    ("TokenF1", "北京市", "北京", 0.8, "scripts without spaces count by character"),
    ("TokenF1", "", "cat", 0.0, "an empty answer shares nothing"),
    ("TokenF1", "the", "a", 1.0, "nothing but articles on both sides"),
    ("RougeL", "a b c d", "a x c d", 0.75, "three in order of four"),
    ("RougeL", "c b a", "a b c", 1 / 3, "order counts"),
    ("RougeL", "", "a", 0.0, "an empty answer has no subsequence"),
]


@pytest.mark.parametrize(
    ("metric", "answer", "reference", "expected"),
    [case[:4] for case in ANSWERS],
    ids=[f"{case[0]}: {case[4]}" for case in ANSWERS],
)
def test_an_answer_is_scored_as_its_metric_says(metric, answer, reference, expected):
    assert score(metric, answer, reference) == pytest.approx(expected)


def test_a_metric_that_is_not_computed_here_is_refused_by_name():
    with pytest.raises(ValueError, match="metric Grader is not computed here"):
        score("Grader", "x", "x")


@given(st.sampled_from(sorted(MEASURES)), st.text(max_size=40))
def test_every_answer_meets_itself(metric, text):
    assert score(metric, text, text) == 1


@given(st.sampled_from(sorted(MEASURES)), st.text(max_size=40), st.text(max_size=40))
def test_scores_stay_between_0_and_1(metric, answer, reference):
    assert 0 <= score(metric, answer, reference) <= 1


@given(
    st.sampled_from(["ExactMatch", "TokenF1", "RougeL"]), st.text(max_size=40), st.text(max_size=40)
)
def test_answer_and_reference_may_change_places(metric, answer, reference):
    assert score(metric, answer, reference) == score(metric, reference, answer)


@given(
    st.lists(st.sampled_from("abc"), max_size=8),
    st.lists(st.sampled_from("abc"), max_size=8),
    st.sampled_from("abc"),
)
def test_a_common_last_token_makes_the_subsequence_one_longer(left, right, token):
    grown = longest_common_subsequence([*left, token], [*right, token])
    assert grown == longest_common_subsequence(left, right) + 1
