import re

import pytest
from builders.hostile import HOSTILE, any_model
from builders.pages import ACTIVE, LOADING, Page, words
from builders.report import a_judgement, a_report, an_untrained_report
from hypothesis import HealthCheck, given, settings

from trainer.contract.verdict import ArmScore, Verdict
from trainer.report.html import render
from trainer.report.model import ChangedAnswer, LossPoint, Report


@given(any_model(Report))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        HealthCheck.data_too_large,
    ],
)
def test_any_report_becomes_a_well_formed_page_that_loads_and_runs_nothing(report):
    html = render(report)
    page = Page(html)
    assert html.encode()
    assert page.open == []
    assert not ACTIVE & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert not LOADING & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("text", HOSTILE[1:7])
def test_a_hostile_text_is_shown_and_not_obeyed(text):
    changed = ChangedAnswer(
        id=text,
        prompt=text,
        reference=text,
        base_arm=text,
        base_answer=text,
        base_score=0,
        tuned_answer=text,
        tuned_score=1,
    )
    judgement = a_judgement(reason=text, notes=[text], metric=text)
    html = render(a_report(first_line=text, usage=text, changed=[changed], judgement=judgement))
    assert words(html).count(text) >= 9
    assert "<img" not in html
    assert "<script" not in html


def test_the_page_forbids_itself_every_request():
    html = render(a_report())
    policies = [
        meta["content"]
        for meta in Page(html).named("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not re.search(r"https?://|@import|url\(", html)


def test_the_first_words_are_what_the_reader_must_know():
    text = words(render(a_report()))
    order = [
        "run 1 Tuning helped:",
        "✓ Promote Tuned is better than every arm: by 35.0 points",
        "Promoted: this adapter is the one in use",
        "How well each arm answers",
        "What tuning changed",
        "How training went",
        "The data Rows read",
        "Answers that changed most",
        "What tuning must not cost",
        "What was decided for you",
        "The run",
        "Use the adapter",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "figure",
    [
        "JsonMatch score on 120 test items, %",
        "53.3 % 44.4 to 62.0 %",
        "Score of the tuned model minus the arm's, percentage points",
        "+35.0 points +24.0 to +45.0 points",
        "Cross-entropy, nats per supervised token",
        "optimizer step",
        "31,211 tokens",
        "120 rows 118 groups",
        "per token changed by +0.021 nats from 3.412 nats",
        "allowed +0.200 nats",
        "0.214 nats at step 70 of 100",
        "4 min 43 s",
        "0.00 EUR",
        "412.0 tokens/s",
        "3.1 GB",
        "Trained parameters 4,884,480",
        "its interval at 96.96 % confidence",
    ],
)
def test_a_figure_is_shown_with_its_unit(figure):
    assert figure in words(render(a_report()))


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_told_in_words_and_not_by_colour_alone(verdict):
    html = render(a_report(judgement=a_judgement(verdict=verdict)))
    badge = re.search(r'<p class="badge"><span aria-hidden="true">(.)</span> ([\w ]+)</p>', html)
    assert badge
    assert badge[2].replace(" ", "").lower() == verdict.lower()


@pytest.mark.parametrize(
    ("report", "said"),
    [
        pytest.param(an_untrained_report(), "No adapter was trained", id="nothing promoted"),
        pytest.param(an_untrained_report(), "Nothing was trained, so", id="nothing trained"),
        pytest.param(
            a_report(judgement=a_judgement(comparisons=[])),
            "There is no comparison with an arm.",
            id="nothing to compare",
        ),
        pytest.param(a_report(promoted=False), "Not promoted:", id="kept, not promoted"),
        pytest.param(a_report(losses=[]), "No losses were recorded.", id="no losses"),
        pytest.param(a_report(changed=[]), "Tuning changed no answer.", id="no change"),
        pytest.param(
            a_report(judgement=a_judgement(forgetting=None)),
            "Forgetting was not measured.",
            id="no forgetting",
        ),
        pytest.param(a_report(judgement=a_judgement(arms=[])), "No arm was scored.", id="no arms"),
        pytest.param(a_report(resolved=[]), "every field was set in the spec", id="no Autos"),
        pytest.param(
            a_report(judgement=a_judgement(partial=True)), "Partial. Training", id="partial"
        ),
    ],
)
def test_what_is_missing_is_said(report, said):
    assert said in words(render(report))


def test_without_training_no_section_stands_empty():
    headings = Page(render(an_untrained_report())).named("h2")
    assert [heading["id"] for heading in headings] == [
        "scores",
        "differences",
        "data",
        "settings",
        "run",
    ]


def test_arms_that_answered_different_numbers_of_items_each_say_theirs():
    arms = [
        ArmScore(name=name, score=0.5, ci_low=0.4, ci_high=0.6, n=n)
        for name, n in (("Tuned", 118), ("ZeroShot", 120))
    ]
    text = words(render(a_report(judgement=a_judgement(arms=arms))))
    assert "score on 118 to 120 test items, %" in text
    assert "(118 items)" in text


def test_a_difference_that_is_not_shown_is_marked_so():
    missed = a_judgement().comparisons[0].model_copy(update={"passed": False, "p_value": None})
    text = words(render(a_report(judgement=a_judgement(comparisons=[missed]))))
    assert "✗ not shown" in text
    assert "McNemar" not in text


def test_forgetting_is_told_once_though_it_is_a_guard_and_a_result():
    text = words(render(a_report()))
    assert text.count("Forgetting ✓ kept") == 1
    assert "the loss on general text rose" not in text
    alone = a_judgement(forgetting=None)
    assert "the loss on general text rose" in words(render(a_report(judgement=alone)))


def test_every_chart_has_words_for_those_who_do_not_see_it():
    drawings = Page(render(a_report())).named("svg")
    told = [svg for svg in drawings if svg.get("role") == "img"]
    assert len(told) == 5 + 3 + 1
    assert all(svg["aria-label"] for svg in told)
    nested = [svg for svg in drawings if svg.get("role") != "img"]
    assert all(svg.get("aria-hidden") == "true" or "viewbox" in svg for svg in nested)


def test_every_table_has_a_caption_and_every_section_a_heading():
    html = render(a_report())
    page = Page(html)
    assert len(page.named("caption")) == len(page.named("table")) == 5
    ids = {heading["id"] for level in ("h2", "h3") for heading in page.named(level)}
    parts = page.named("section") + page.named("article")
    assert {part["aria-labelledby"] for part in parts} == ids


def test_a_page_of_long_unbroken_texts_wraps():
    html = render(a_report(first_line="x" * 400))
    assert "overflow-wrap: anywhere" in html
    assert "white-space: pre-wrap" in html
    assert "minmax(0, 1fr)" in html
    assert not re.search(r"[^-]min-width: \d", html)


def test_endless_losses_make_a_page_of_normal_size():
    losses = [LossPoint(step=step, epoch=1, train_loss=1 / step) for step in range(1, 50_000)]
    assert len(render(a_report(losses=losses))) < 100_000


def test_the_best_step_is_marked_in_the_loss_chart():
    assert "best adapter, step 70" in words(render(a_report()))
    assert 'class="best" x1="70.00%"' in render(a_report())
