"""The judge stage on runs in a real store: one verdict, one report, one pointer."""

import json

import pytest
from builders.finished import ADAPTER, RUN, a_context, finish
from builders.judge import span
from builders.requests import ZERO

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Promoted
from trainer.contract.verdict import Judgement
from trainer.errors import StageError
from trainer.judge import pointer
from trainer.judge.stage import judge
from trainer.report.model import Report
from trainer.store import layout
from trainer.store.manifest import TUNED

OTHER_RUN = "fedcba9876543210"
OTHER = "sha256:" + "b" * 64
ONE_ARM = {"arms": [{"name": "ZeroShot"}]}
GOOD = {"ZeroShot": span(0, 10, 60), "NearestRow": span(0, 5, 60), TUNED: span(5, 45, 60)}
BAD = {"ZeroShot": span(0, 40, 60), TUNED: span(0, 5, 60)}
LEVEL = {"ZeroShot": span(0, 30, 60), TUNED: span(1, 32, 60)}


def judged(root, scores, **fields):
    sections = {"evaluation": ONE_ARM} | fields
    ctx = a_context(root, **sections)
    finish(ctx, scores)
    return ctx, judge(ctx)


def evaluations(ctx, name):
    return [entry.key for entry in ctx.store.list("runs/") if entry.key.endswith(name)]


def test_a_clear_gain_is_promoted_and_told(tmp_path):
    ctx, result = judged(tmp_path, GOOD, budget={"pricePerGpuHour": "2.50"})
    outcome, details = result.outcome, result.details
    assert (outcome.verdict, outcome.sequence, outcome.adapter_digest) == ("Promote", 1, ADAPTER)
    assert details.promoted.adapter_uri == f"{ctx.store.uri}/runs/{RUN}/e1/adapter"
    assert (details.cost.gpu_seconds, details.cost.amount) == (3600, "2.50")
    key = layout.evaluation(RUN, outcome.evaluation_id, "verdict.json")
    assert Judgement.model_validate_json(ctx.store.read(key)) == details.evaluation
    assert details.evaluation.report_uri.endswith("report.html")


def test_the_report_shows_losses_changes_and_how_to_use_the_adapter(tmp_path):
    ctx, result = judged(tmp_path, GOOD)
    key = layout.evaluation(RUN, result.outcome.evaluation_id, "report.json")
    report = Report.model_validate_json(ctx.store.read(key))
    assert [point.train_loss for point in report.losses] == [2.0, None]
    assert report.promoted is True
    assert report.usage.count("\n") == 2
    assert f'{tmp_path}/output/runs/{RUN}/e1/adapter"' in report.usage
    page = ctx.store.read(layout.evaluation(RUN, report.evaluation_id, "report.html"))
    assert b"<html" in page


def test_the_most_changed_answers_show_losses_beside_gains(tmp_path):
    ctx, result = judged(tmp_path, GOOD)
    key = layout.evaluation(RUN, result.outcome.evaluation_id, "report.json")
    changed = Report.model_validate_json(ctx.store.read(key)).changed
    assert len(changed) == 10
    assert sum(one.tuned_score < one.base_score for one in changed) == 5
    assert changed[0].prompt.startswith("question test-")


def test_judging_again_changes_nothing(tmp_path):
    ctx, first = judged(tmp_path, GOOD)
    before = {entry.key: ctx.store.read(entry.key) for entry in ctx.store.list("")}
    assert judge(a_context(tmp_path, evaluation=ONE_ARM)) == first
    assert {entry.key: ctx.store.read(entry.key) for entry in ctx.store.list("")} == before


def test_another_threshold_is_another_evaluation_at_the_same_look(tmp_path):
    ctx, first = judged(tmp_path, GOOD)
    stricter = a_context(tmp_path, evaluation=ONE_ARM | {"minDelta": "0.6"})
    second = judge(stricter)
    assert second.outcome.evaluation_id != first.outcome.evaluation_id
    assert second.outcome.verdict == "Inconclusive"
    assert second.details.evaluation.look == first.details.evaluation.look == 1
    assert len(evaluations(ctx, "verdict.json")) == 2


POINTERS = [
    pytest.param(GOOD, {}, 1, id="a promotion"),
    pytest.param(GOOD, {"promotion": {"policy": "Manual"}}, 0, id="a promotion by hand"),
    pytest.param(BAD, {}, 0, id="a rejection"),
    pytest.param(LEVEL, {}, 0, id="nothing decided"),
    pytest.param(LEVEL, {"promotion": {"pin": RUN}}, 1, id="pinned by a person"),
    pytest.param(GOOD, {"promotion": {"pin": OTHER_RUN}}, 0, id="another run is pinned"),
]


@pytest.mark.parametrize(("scores", "fields", "sequence"), POINTERS)
def test_the_pointer_moves_only_for_a_promotion_that_policy_allows(
    tmp_path, scores, fields, sequence
):
    ctx, result = judged(tmp_path, scores, **fields)
    assert result.outcome.sequence == sequence
    assert ctx.store.exists(layout.POINTER) is (sequence > 0)


def test_approval_moves_the_pointer_without_another_look(tmp_path):
    judged(tmp_path, GOOD, promotion={"policy": "Manual"})
    result = judge(a_context(tmp_path, evaluation=ONE_ARM))
    assert (result.outcome.sequence, result.details.evaluation.look) == (1, 1)


def test_a_run_that_stopped_before_training_is_not_needed(tmp_path):
    setting = ONE_ARM | {"targetScore": "0.6", "whenNotNeeded": "Stop"}
    ctx, result = judged(tmp_path, {"ZeroShot": span(0, 55, 60)}, evaluation=setting)
    assert (result.outcome.verdict, result.outcome.trained) == ("NotNeeded", False)
    assert result.outcome.not_needed
    assert not ctx.store.exists(layout.LEDGER)
    assert not ctx.store.exists(layout.POINTER)
    key = layout.evaluation(RUN, result.outcome.evaluation_id, "report.json")
    assert json.loads(ctx.store.read(key))["adapterURI"] == ""


def promoted_before(root, scores, **fields):
    """Another run that is in use."""
    sections = {"evaluation": ONE_ARM, "lora": {"rank": 8}} | fields
    base, test = sections.pop("base", ZERO), sections.pop("test", "test")
    earlier = a_context(root, run_id=OTHER_RUN, **sections)
    finish(earlier, scores, base=base, test=test)
    assert judge(earlier).outcome.verdict == "Promote"


def test_after_a_spec_change_it_must_be_better_than_the_promoted_adapter(tmp_path):
    promoted_before(tmp_path, GOOD)
    ctx, result = judged(tmp_path, GOOD)
    last = result.details.evaluation.comparisons[-1]
    assert (last.arm, last.require, last.passed) == ("Promoted", "Better", False)
    assert result.outcome.verdict == "Inconclusive"
    assert result.details.evaluation.look == 2
    assert pointer.read(ctx.store)[0].run_id == OTHER_RUN


def test_after_a_base_change_it_must_not_be_worse(tmp_path):
    promoted_before(tmp_path, GOOD, base=OTHER, lora={})
    _, result = judged(tmp_path, GOOD, evaluation=ONE_ARM)
    found = result.details.evaluation
    assert (found.comparisons[-1].require, found.comparisons[-1].threshold) == ("NotWorse", -0.05)
    assert found.look == 1


def test_off_compares_with_no_promoted_adapter(tmp_path):
    promoted_before(tmp_path, GOOD)
    _, result = judged(tmp_path, GOOD, evaluation=ONE_ARM | {"againstPromoted": "Off"})
    assert result.outcome.verdict == "Promote"
    assert result.outcome.sequence == 2


INCOMPARABLE = [
    pytest.param({"generationHash": OTHER}, "same generation settings", id="other settings"),
    pytest.param({"test": "fresh"}, "tested on other rows", id="other test rows"),
]


@pytest.mark.parametrize(("fields", "why"), INCOMPARABLE)
def test_where_they_can_not_be_compared_a_note_says_so(tmp_path, fields, why):
    promoted_before(tmp_path, GOOD, **fields)
    _, result = judged(tmp_path, GOOD)
    assert result.outcome.verdict == "Promote"
    assert any(why in note for note in result.details.evaluation.notes)


def test_once_promoted_it_stays_measured_against_the_one_it_replaced(tmp_path):
    promoted_before(tmp_path, {"ZeroShot": span(0, 1, 60), TUNED: span(0, 15, 60)})
    _, first = judged(tmp_path, GOOD | {TUNED: span(5, 60, 60)})
    assert first.outcome.sequence == 2
    assert judge(a_context(tmp_path, evaluation=ONE_ARM)) == first
    again = judge(a_context(tmp_path, evaluation=ONE_ARM | {"minDelta": "0.01"}))
    assert again.details.evaluation.comparisons[-1].arm == "Promoted"


def test_a_lost_pointer_is_numbered_after_the_status(tmp_path):
    ctx = a_context(tmp_path, evaluation=ONE_ARM, promotedSequence=4)
    finish(ctx, GOOD)
    assert judge(ctx).outcome.sequence == 5


def without_answers(ctx):
    ctx.store.delete(layout.answers_manifest(RUN, ZERO))


def without_manifest(ctx):
    ctx.store.delete(layout.manifest(RUN))


def damaged_answers(ctx):
    key = layout.run(RUN, "e1/answers.jsonl")
    ctx.store.write(key, ctx.store.read(key)[:-20])


def foreign_adapter(ctx):
    key = layout.manifest(RUN)
    ctx.store.write(key, ctx.store.read(key).replace(ADAPTER.encode(), b"sha256:" + b"c" * 64))


BROKEN = [
    pytest.param(without_answers, FailureClass.NOT_FOUND, "run train", id="no answers"),
    pytest.param(without_manifest, FailureClass.NOT_FOUND, "manifest.json", id="no manifest"),
    pytest.param(damaged_answers, FailureClass.UNAVAILABLE, "sha256", id="damaged answers"),
    pytest.param(foreign_adapter, FailureClass.NOT_FOUND, "another adapter", id="other adapter"),
]


@pytest.mark.parametrize(("damage", "failure", "text"), BROKEN)
def test_nothing_is_judged_that_the_manifests_do_not_vouch_for(tmp_path, damage, failure, text):
    ctx = a_context(tmp_path, evaluation=ONE_ARM)
    finish(ctx, GOOD)
    damage(ctx)
    with pytest.raises(StageError) as caught:
        judge(ctx)
    assert caught.value.failure is failure
    assert text in caught.value.message
    assert not ctx.store.exists(layout.LEDGER)
    assert not evaluations(ctx, "verdict.json")


def test_an_arm_that_is_listed_but_was_not_asked_stops_the_judge(tmp_path):
    ctx = a_context(tmp_path)
    finish(ctx, GOOD)
    with pytest.raises(StageError, match="no answers of FewShot, RetrievedFewShot"):
        judge(ctx)


def test_the_outcome_names_run_base_and_data(tmp_path):
    _, result = judged(tmp_path, LEVEL)
    outcome = result.outcome
    assert (outcome.run_id, outcome.base_digest, outcome.dataset_digest) == (RUN, ZERO, ZERO)
    assert (outcome.trained, outcome.generated, outcome.failure) == (True, True, None)
    assert len(outcome.model_dump_json(exclude_defaults=True)) <= 1024


def test_a_promoted_adapter_whose_files_are_gone_blocks_nothing(tmp_path):
    ctx = a_context(tmp_path, evaluation=ONE_ARM)
    gone = Promoted(
        run_id=OTHER_RUN,
        adapter_uri="file:///gone",
        adapter_digest=ADAPTER,
        base_revision="0",
        time="2026-01-01T00:00:00Z",
        sequence=3,
    )
    ctx.store.write(layout.POINTER, gone.model_dump_json().encode())
    finish(ctx, GOOD)
    result = judge(ctx)
    assert (result.outcome.verdict, result.outcome.sequence) == ("Promote", 4)
