"""history.html: one page that tells the story, loads nothing and runs nothing."""

import pytest
from builders.hostile import HOSTILE, any_model
from builders.outputs import AnOutput, better
from builders.pages import ACTIVE, LOADING, Page, words
from hypothesis import HealthCheck, given, settings

from trainer.contract.lineage import BaseRecord, Cause, History, HistoryRun
from trainer.contract.outcome import Move
from trainer.lineage.history import read_history
from trainer.lineage.page import MAX_ROWS, render


def a_run(number: int, **fields) -> HistoryRun:
    document = {
        "id": f"{number:016x}",
        "state": "Judged",
        "number": number,
        "causes": ["BaseMoved"],
    }
    return HistoryRun.model_validate(document | fields)


def a_base(revision: str, **fields) -> BaseRecord:
    document = {"source": "acme/base", "revision": revision, "content_digest": f"sha256:{revision}"}
    return BaseRecord.model_validate(document | fields)


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> History:
    """Promoted, replaced, refused and rolled back."""
    output = AnOutput(tmp_path_factory.mktemp("story"))
    output.store.write("owner.json", b'{"namespace": "ml", "name": "intents"}')
    first = output.run(better(20, 40))
    second = output.run(better(22, 58), base="base two")
    output.run(better(15, 18), base="base three")
    output.begun()
    moves = [(1, first, "Policy"), (2, second, "Policy"), (3, first, "Pin")]
    told = read_history(output.store)
    return told.model_copy(
        update={
            "promoted_run_id": first,
            "moves": [
                Move(sequence=at, run_id=run, time=f"2026-11-2{at}T09:00:00Z", by=by)
                for at, run, by in moves
            ],
            "runs": [run.model_copy(update={"promoted": run.id == first}) for run in told.runs],
        }
    )


@pytest.mark.parametrize(
    "said",
    [
        "ml/intents history",
        "4 runs on 3 base revisions; run 1 is in use.",
        "Run 1 in use ✓ Promote",
        "✗ Reject",
        "the base model moved from",
        "Tuned answers 58 of 60 right against 40 for the promoted adapter",
        "Against the adapter in use then: +30.0",
        "Promotion 3, 2026-11-23 09:00 UTC: Back to run 1, by a pin",
        "To run 2, by the promotion policy",
        "Begun, left nothing",
        "66.7",
    ],
)
def test_the_page_tells(story, said):
    assert said in words(render(story)).replace("\N{NO-BREAK SPACE}", " ")


def test_the_newest_run_heads_the_chart_and_the_story_begins_with_the_first(story):
    page = words(render(story))
    chart, _, told = page.partition("What happened")
    assert chart.rindex("Run 1") > chart.index("Run 3")
    assert told.index("Run 1") < told.index("Run 3")


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"architecture": "Qwen3ForCausalLM"}, "Its architecture is another: Qwen3ForCausalLM"),
        ({"tokenizer_sha256": "b" * 64}, "Its tokenizer is another"),
        ({"vocabulary_size": 64}, "Its vocabulary size is another: 64 instead of 128."),
        ({"source": "acme/other"}, "Its source is another: acme/other instead of acme/base."),
    ],
)
def test_a_base_that_is_more_than_newer_weights_is_pointed_out(field, said):
    usual = {
        "architecture": "LlamaForCausalLM",
        "tokenizer_sha256": "a" * 64,
        "vocabulary_size": 128,
    }
    runs = [a_run(1, base=a_base("one", **usual)), a_run(2, base=a_base("two", **usual | field))]
    assert said in words(render(History(uri="file:///out", runs=runs)))


@given(any_model(History))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        HealthCheck.data_too_large,
    ],
)
def test_any_history_becomes_a_well_formed_page_that_loads_and_runs_nothing(history):
    page = Page(render(history))
    assert page.open == []
    for tag, attributes in page.elements:
        assert tag not in ACTIVE
        assert not LOADING & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("text", HOSTILE[1:8])
def test_a_hostile_text_is_shown_and_not_obeyed(text):
    run = a_run(1, reason=text, base=a_base(text, source=text), problems=[text], git_commit=text)
    page = Page(render(History(uri=text, name=text, runs=[run], problems=[text])))
    assert not ACTIVE & {tag for tag, _ in page.elements}


def test_thousands_of_runs_make_a_page_that_says_what_it_leaves_out():
    runs = [a_run(number, causes=[Cause.SPEC]) for number in range(1, 3001)]
    page = render(History(uri="file:///out", runs=runs))
    assert "2,800 older ones" in words(page).replace("\N{NO-BREAK SPACE}", " ")
    assert page.count("<li class") == MAX_ROWS


def test_a_partial_run_is_said_to_be_one():
    runs = [a_run(1, partial=True, verdict="Promote"), a_run(2, verdict="Promote")]
    page = words(render(History(uri="file:///o", runs=runs)))
    assert page.count("✓ Promote partial") == 2  # in the table and in the list
    assert page.count("✓ Promote") == 4
