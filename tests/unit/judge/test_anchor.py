"""Quality cannot creep down: on a newer base a run is held against the best that was promoted."""

import pytest
from builders.finished import a_base, a_context, finish
from builders.judge import right, span

from trainer.judge import pointer
from trainer.judge.basechange import base_change_note
from trainer.judge.evidence import Item
from trainer.judge.lineage import TrainedRows
from trainer.judge.stage import judge
from trainer.store.manifest import TUNED

ONE_ARM = {"arms": [{"name": "ZeroShot"}]}
ITEMS = 400
ZERO_SHOT = right(of=ITEMS)
MANY, STEP = 800, 24
"""Three points; with fewer items three could not be told from five."""


def base(number):
    return f"sha256:{number:064x}"


def run_id(number):
    return f"{number:016x}"


def retrained(root, number, correct, *, items=ITEMS, **sections):
    """The same recipe on the next base; its adapter is right on the first ``correct`` items."""
    fields = {"evaluation": ONE_ARM} | sections
    ctx = a_context(root, run_id=run_id(number), **fields)
    scores = {"ZeroShot": right(of=items), TUNED: span(0, correct, items)}
    finish(ctx, scores, base=base(number))
    return judge(ctx)


def in_use(root):
    return pointer.read(a_context(root).store)[0]


def forget_the_anchor(root):
    """As a release would that compares with the last promoted run."""
    store = a_context(root).store
    file, tag = pointer.read(store)
    pointer.keep(store, (file, tag), anchor_run_id=file.run_id)


def after_ten(root, *, anchored):
    for number in range(1, 12):
        retrained(root, number, 600 - STEP * (number - 1), items=MANY)
        if not anchored:
            forget_the_anchor(root)
    return int(in_use(root).run_id, 16)


def test_ten_retrains_that_each_lose_three_points_are_stopped_by_the_anchor(tmp_path):
    assert after_ten(tmp_path, anchored=True) == 2  # 3 points are within the margin, 6 are not
    assert in_use(tmp_path).anchor == run_id(1)


def test_without_the_anchor_ten_such_retrains_would_all_pass(tmp_path):
    assert after_ten(tmp_path, anchored=False) == 11  # 30 points lost


ANCHORS = [
    pytest.param(306, 2, id="a better one is the new anchor"),
    pytest.param(300, 2, id="an equal one is the new anchor"),
    pytest.param(294, 1, id="a slightly worse one leaves it"),
]


@pytest.mark.parametrize(("correct", "anchor"), ANCHORS)
def test_a_run_that_is_not_worse_keeps_the_better_of_the_two(tmp_path, correct, anchor):
    retrained(tmp_path, 1, 300)
    assert retrained(tmp_path, 2, correct).outcome.verdict == "Promote"
    assert (in_use(tmp_path).run_id, in_use(tmp_path).anchor) == (run_id(2), run_id(anchor))


def test_the_report_says_what_the_anchor_is(tmp_path):
    retrained(tmp_path, 1, 300)
    retrained(tmp_path, 2, 292)
    judged = retrained(tmp_path, 3, 284).details.evaluation
    assert any(f"run {run_id(1)}, the best promoted" in note for note in judged.notes)
    assert (judged.comparisons[-1].arm, judged.comparisons[-1].losses) == ("Promoted", 16)


def test_a_better_one_after_a_spec_change_moves_the_anchor_to_itself(tmp_path):
    retrained(tmp_path, 1, 200)
    retrained(tmp_path, 2, 194)
    assert in_use(tmp_path).anchor == run_id(1)
    result = retrained(tmp_path, 3, 300, lora={"rank": 8})
    assert result.details.evaluation.comparisons[-1].require == "Better"
    assert in_use(tmp_path).anchor == run_id(3)


def test_one_that_is_better_than_the_run_in_use_alone_leaves_the_anchor(tmp_path):
    retrained(tmp_path, 1, 300, items=MANY)
    retrained(tmp_path, 2, 300 - STEP, items=MANY)
    result = retrained(tmp_path, 3, 296, items=MANY, lora={"rank": 8})
    assert result.details.evaluation.comparisons[-1].require == "Better"
    assert (in_use(tmp_path).run_id, in_use(tmp_path).anchor) == (run_id(3), run_id(1))


def test_a_persons_pin_moves_the_anchor_to_that_run(tmp_path):
    retrained(tmp_path, 1, 300)
    assert retrained(tmp_path, 2, 260).outcome.verdict == "Reject"
    retrained(tmp_path, 2, 260, promotion={"pin": run_id(2)})
    assert in_use(tmp_path).anchor == run_id(2)
    assert retrained(tmp_path, 3, 256).outcome.verdict == "Promote"


def test_judging_a_promoted_run_again_leaves_the_anchor_where_it_is(tmp_path):
    retrained(tmp_path, 1, 300)
    first = retrained(tmp_path, 2, 294)
    again = retrained(tmp_path, 2, 294)
    assert again == first
    stricter = retrained(tmp_path, 2, 294, evaluation=ONE_ARM | {"minDelta": "0.01"})
    assert stricter.outcome.verdict == "Promote"
    assert in_use(tmp_path).anchor == run_id(1)


def test_an_anchor_whose_answers_are_gone_is_replaced_by_the_run_in_use_and_said(tmp_path):
    retrained(tmp_path, 1, 300)
    retrained(tmp_path, 2, 294)
    store = a_context(tmp_path).store
    for entry in list(store.list(f"runs/{run_id(1)}/generations/")):
        store.delete(entry.key)
    judged = retrained(tmp_path, 3, 288)
    assert judged.outcome.verdict == "Promote"
    assert any(run_id(1) in note for note in judged.details.evaluation.notes)
    assert in_use(tmp_path).anchor == run_id(2)


# Which items are asked about.


def test_an_item_that_either_run_was_trained_on_is_left_out(tmp_path):
    """The earlier run was trained on ten items, the newer one on five of the others."""
    scores = {"ZeroShot": ZERO_SHOT, TUNED: span(0, 300, ITEMS)}
    earlier = a_context(tmp_path, run_id=run_id(1), evaluation=ONE_ARM)
    finish(earlier, scores, base=base(1), trained_on=[f"test-{n}" for n in range(10)])
    judge(earlier)
    newer = a_context(tmp_path, run_id=run_id(2), evaluation=ONE_ARM)
    finish(newer, scores, base=base(2), trained_on=[f"test-{n}" for n in range(10, 15)])
    judged = judge(newer).details.evaluation
    assert any("on the 385 test items" in n and "15 more were" in n for n in judged.notes)


ROWS = [
    pytest.param("test-1", "other words", True, id="its id"),
    pytest.param("train-9", "What now?", True, id="its words under another id"),
    pytest.param("train-9", "other words", False, id="neither"),
]


@pytest.mark.parametrize(("row", "question", "expected"), ROWS)
def test_an_item_is_known_to_a_run_that_was_trained_on(row, question, expected):
    seen = TrainedRows(frozenset([row]), frozenset([(question, "wait")]))
    assert seen.has(Item("test-1", "", "What now?", "wait")) is expected


def test_where_all_common_items_were_trained_on_there_is_no_comparison(tmp_path):
    scores = {"ZeroShot": ZERO_SHOT, TUNED: span(0, 300, ITEMS)}
    earlier = a_context(tmp_path, run_id=run_id(1), evaluation=ONE_ARM)
    finish(earlier, scores, trained_on=[f"test-{n}" for n in range(ITEMS)])
    judge(earlier)
    judged = retrained(tmp_path, 2, 300).details.evaluation
    assert [one.arm for one in judged.comparisons] == ["ZeroShot"]
    assert any("trained on the rows that both have" in note for note in judged.notes)


def test_another_kind_of_base_is_said_and_stops_nothing(tmp_path):
    retrained(tmp_path, 1, 300)
    moved = a_base(base(2)).model_copy(
        update={"tokenizer_sha256": "u", "vocabulary_size": 64, "architecture": "New"}
    )
    ctx = a_context(tmp_path, run_id=run_id(2), evaluation=ONE_ARM)
    finish(ctx, {"ZeroShot": ZERO_SHOT, TUNED: span(0, 300, ITEMS)}, base=moved)
    result = judge(ctx)
    assert result.outcome.verdict == "Promote"
    (note,) = [note for note in result.details.evaluation.notes if "tokenizer" in note]
    assert "a smaller vocabulary (64 after 128 tokens), another tokenizer" in note
    assert "architecture" not in note  # the earlier run's manifest does not tell


def test_another_architecture_is_named_where_both_are_known():
    old = a_base(base(1)).model_copy(update={"architecture": "OldForCausalLM"})
    new = old.model_copy(update={"architecture": "NewForCausalLM"})
    note = base_change_note(old, new)
    assert "another architecture (NewForCausalLM after OldForCausalLM)" in note
    assert "trained on it from scratch" in note
    assert base_change_note(old, old) == ""


def test_a_base_that_needs_no_tuning_retires_the_adapter_and_leaves_it_in_use(tmp_path):
    setting = ONE_ARM | {"targetScore": "0.6", "whenNotNeeded": "Stop"}
    retrained(tmp_path, 1, 300, evaluation=setting)
    ctx = a_context(tmp_path, run_id=run_id(2), evaluation=setting)
    finish(ctx, {"ZeroShot": span(0, 380, ITEMS)}, base=base(2))
    result = judge(ctx)
    assert result.outcome.verdict == "NotNeeded"
    assert result.outcome.promoted_run_id == run_id(1)
    assert f"run {run_id(1)}, is not needed" in result.details.evaluation.notes[0]
