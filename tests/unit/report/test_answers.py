import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.report.answers import MAX_SHOWN, compared, mark, shown


def text_of(answer):
    return "".join(piece.text for piece in answer.pieces)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(
            '{"a":1,"b":["é"]}', '{\n  "a": 1,\n  "b": [\n    "é"\n  ]\n}', id="an object"
        ),
        pytest.param("[]", "[]", id="an empty list"),
    ],
)
def test_json_is_indented(answer, text):
    assert text_of(shown(answer)) == text
    assert shown(answer).is_json


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("12", id="a bare number"),
        pytest.param('{"a": 1,}', id="almost JSON"),
        pytest.param('{"a": 1, "a": 2}', id="a key twice"),
        pytest.param('{"a": 1.50}', id="a number written otherwise"),
        pytest.param('{"a": 1e999}', id="a number beyond all"),
        pytest.param('{"a": -0}', id="minus zero"),
        pytest.param('{"a": "\\ud800"}', id="half a character"),
        pytest.param('["' + "9" * 10 + '", ' + "9" * 5000 + "]", id="an endless number"),
        pytest.param("[" * 2000 + "]" * 2000, id="a bottomless list"),
    ],
)
def test_what_indented_json_would_misstate_is_shown_as_it_is(answer):
    assert text_of(shown(answer)) == answer[:MAX_SHOWN]
    assert not shown(answer).is_json


def test_control_characters_are_pictured():
    assert text_of(shown("a\x00b\x1b[1m\tc\n")) == "a␀b␛[1m\tc\n"


def test_an_endless_answer_is_cut_and_the_rest_counted():
    answer = shown("x" * (MAX_SHOWN + 5))
    assert (len(text_of(answer)), answer.cut) == (MAX_SHOWN, 5)


def test_an_empty_answer_has_no_pieces():
    assert shown("").pieces == []


@pytest.mark.parametrize(
    ("score", "kind", "text"),
    [
        (1.0, "right", "right"),
        (0.0, "wrong", "wrong"),
        (0.5, "partly", "scored 50.0\N{NO-BREAK SPACE}%"),
        (float("nan"), "wrong", "wrong"),
    ],
)
def test_a_score_is_a_mark(score, kind, text):
    assert (mark(score).kind, mark(score).text) == (kind, text)


def differing(answer, reference, score=0.0):
    return [piece.text for piece in compared(answer, reference, score).pieces if piece.differs]


def test_entries_that_the_reference_lacks_differ():
    assert differing('{"time": "7pm", "rooms": "2"}', '{"rooms": "2", "time": "7"}') == [
        '"time": "7pm"'
    ]


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        pytest.param('{"b": 2, "a": 1}', '{"a": 1, "b": 2}', 0.0, id="another order"),
        pytest.param('{"a": 1}', '{"a": 2}', 1.0, id="judged right"),
        pytest.param("{}", '{"a": 2}', 0.0, id="nothing said"),
        pytest.param("seven", '{"a": 2}', 0.0, id="not JSON"),
        pytest.param('{"a": 1}', "one", 0.0, id="a reference that is not JSON"),
    ],
)
def test_nothing_is_said_to_differ_in(answer, reference, score):
    assert differing(answer, reference, score) == []


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_marking_differences_changes_no_character(document):
    answer = repr(document).replace("'", '"')
    assert text_of(compared(answer, "{}", 0.0)).rstrip("\n") == text_of(shown(answer)).rstrip("\n")
