"""A pin puts a run in use, back or forward; what it cannot be followed to is said with a remedy."""

import pytest
from builders.finished import ADAPTER, a_context, finish
from builders.judge import span

from trainer.contract.failures import FailureClass
from trainer.judge import pointer
from trainer.judge.stage import judge
from trainer.store import layout
from trainer.store.manifest import TUNED

FIRST, SECOND, THIRD = "1" * 16, "2" * 16, "3" * 16
ONE_ARM = {"arms": [{"name": "ZeroShot"}]}
ZERO_SHOT = span(0, 10, 100)
GOOD, BETTER, BAD = span(5, 50, 100), span(5, 80, 100), span(0, 8, 100)


def judged(root, run_id, scores=None, **sections):
    """A run of another recipe each time, judged; its files are written when scores are given."""
    recipe = {"lora": {"rank": 4 + int(run_id[0])}}
    ctx = a_context(root, run_id=run_id, evaluation=ONE_ARM, **(recipe | sections))
    if scores is not None:
        finish(ctx, {"ZeroShot": ZERO_SHOT, TUNED: scores})
    return judge(ctx)


def pinned(root, run_id, pin, **promotion):
    """The newest run judged again because somebody wrote a pin."""
    return judged(root, run_id, promotion={"pin": pin, **promotion})


def in_use(root):
    file, _ = pointer.read(a_context(root).store)
    return file


@pytest.fixture
def root(tmp_path):
    """Two runs promoted by policy: the second is in use."""
    assert judged(tmp_path, FIRST, GOOD).outcome.verdict == "Promote"
    assert judged(tmp_path, SECOND, BETTER).outcome.verdict == "Promote"
    return tmp_path


def moves(root):
    return [(move.run_id[0], move.by, move.verdict) for move in in_use(root).history]


def test_the_moves_of_the_policy_are_kept(root):
    assert moves(root) == [("1", "Policy", "Promote"), ("2", "Policy", "Promote")]
    assert (in_use(root).anchor, in_use(root).policy_choice) == (SECOND, SECOND)


def test_a_pin_to_an_older_run_goes_back_to_it(root):
    result = pinned(root, SECOND, FIRST)
    outcome, details = result.outcome, result.details
    assert (outcome.promoted_run_id, outcome.sequence, outcome.refused) == (FIRST, 3, None)
    assert (details.promoted.by, details.promoted.back) == ("Pin", True)
    assert details.promoted.adapter_digest == ADAPTER
    assert details.promoted.adapter_uri.endswith(f"/runs/{FIRST}/e1/adapter")
    assert moves(root)[-1] == ("1", "Pin", "")
    assert (in_use(root).anchor, in_use(root).policy_choice) == (FIRST, SECOND)


def test_a_pin_that_is_followed_already_moves_nothing(root):
    first = pinned(root, SECOND, FIRST)
    again = pinned(root, SECOND, FIRST)
    assert again.outcome.sequence == first.outcome.sequence == 3
    assert len(moves(root)) == 3


def test_removing_the_pin_returns_to_what_the_policy_chose_last(root):
    judged(root, THIRD, BAD)
    pinned(root, THIRD, FIRST)
    result = judged(root, THIRD)
    assert result.outcome.verdict == "Reject"
    assert (result.outcome.promoted_run_id, result.details.promoted.by) == (SECOND, "Unpin")
    assert judged(root, THIRD).outcome.sequence == result.outcome.sequence == 4


def test_a_new_run_that_passes_once_the_pin_is_gone_is_the_policys_own(root):
    pinned(root, SECOND, FIRST)
    judged(root, THIRD, span(5, 100, 100))
    assert moves(root)[-1] == ("3", "Policy", "Promote")


def test_under_manual_a_removed_pin_leaves_the_run_in_use(root):
    manual = {"policy": "Manual"}
    pinned(root, SECOND, FIRST, **manual)
    assert judged(root, SECOND, promotion=manual).outcome.promoted_run_id == FIRST


def test_while_a_pin_stands_what_passes_is_remembered_and_not_put_in_use(root):
    best = span(5, 100, 100)
    ctx = a_context(
        root,
        run_id=THIRD,
        evaluation=ONE_ARM,
        lora={"rank": 64},
        promotion={"pin": FIRST},
    )
    finish(ctx, {"ZeroShot": ZERO_SHOT, TUNED: best})
    result = judge(ctx)
    assert (result.outcome.verdict, result.outcome.promoted_run_id) == ("Promote", FIRST)
    assert in_use(root).policy_choice == THIRD
    free = judge(a_context(root, run_id=THIRD, evaluation=ONE_ARM, lora={"rank": 64}))
    assert free.outcome.promoted_run_id == THIRD


def test_under_manual_a_pin_is_the_approval(tmp_path):
    manual = {"policy": "Manual"}
    waiting = judged(tmp_path, FIRST, GOOD, promotion=manual)
    assert (waiting.outcome.verdict, waiting.outcome.promoted_run_id) == ("Promote", "")
    approved = pinned(tmp_path, FIRST, FIRST, **manual)
    assert (approved.outcome.promoted_run_id, approved.outcome.sequence) == (FIRST, 1)
    assert approved.details.promoted.back is False
    assert moves(tmp_path) == [("1", "Pin", "Promote")]


# What is refused.


def nothing(_store):
    """There is no such run."""


def unfinished(store):
    store.write(layout.prepared(THIRD, "plan.json"), b"{}")


def another_runs_manifest(store):
    store.write(layout.manifest(THIRD), store.read(layout.manifest(FIRST)))


def no_manifest_at_all(store):
    store.write(layout.manifest(THIRD), b"[]")


def damaged(store):
    copied(store)
    store.write(layout.run(THIRD, "e1/adapter/adapter_model.safetensors"), b"other weights")


def missing_file(store):
    copied(store)
    store.delete(layout.run(THIRD, "e1/adapter/adapter_config.json"))


def other_files(store):
    copied(store)
    key = layout.manifest(THIRD)
    store.write(key, store.read(key).replace(ADAPTER.encode(), b"sha256:" + b"d" * 64))


def copied(store):
    """The first run under another id."""
    for entry in list(store.list(layout.run(FIRST))):
        data = store.read(entry.key).replace(FIRST.encode(), THIRD.encode())
        store.write(entry.key.replace(FIRST, THIRD), data)


INVALID, ABSENT = FailureClass.INVALID_SPEC, FailureClass.NOT_FOUND
REFUSED = [
    pytest.param(nothing, ABSENT, f"pin one of {FIRST}, {SECOND}", id="no such run"),
    pytest.param(unfinished, INVALID, "has not finished training", id="an incomplete one"),
    pytest.param(another_runs_manifest, INVALID, f"that of run {FIRST}", id="another run's"),
    pytest.param(no_manifest_at_all, INVALID, "not a valid RunManifest", id="no manifest"),
    pytest.param(damaged, INVALID, "not what it was; restore its files", id="damaged weights"),
    pytest.param(missing_file, INVALID, "is missing or not", id="a missing file"),
    pytest.param(other_files, INVALID, "not those of the adapter's digest", id="other files"),
]


@pytest.mark.parametrize(("damage", "failure", "why"), REFUSED)
def test_a_pin_that_cannot_be_followed_is_refused_and_moves_nothing(root, damage, failure, why):
    store = a_context(root).store
    damage(store)
    before = pointer.read(store)
    outcome = pinned(root, SECOND, THIRD).outcome
    assert (outcome.failure, outcome.refused) == (None, failure)
    assert outcome.message.startswith("spec.promotion.pin: ")
    assert why in outcome.message
    assert (outcome.promoted_run_id, outcome.verdict) == (SECOND, "Promote")
    assert pointer.read(store) == before


def test_the_copy_that_the_refusals_begin_with_could_be_pinned(root):
    copied(a_context(root).store)
    assert pinned(root, SECOND, THIRD).outcome.promoted_run_id == THIRD


def test_what_the_policy_chose_and_is_damaged_now_is_not_returned_to(root):
    judged(root, THIRD, BAD)
    pinned(root, THIRD, FIRST)
    store = a_context(root).store
    store.delete(layout.run(SECOND, "e1/adapter/base.json"))
    outcome = judged(root, THIRD).outcome
    assert (outcome.refused, outcome.promoted_run_id) == (INVALID, FIRST)


def test_of_a_run_that_failed_only_the_pin_is_seen_to(root):
    failed = a_context(
        root, run_id=THIRD, evaluation=ONE_ARM, promotion={"pin": FIRST}, pinOnly=True
    )
    result = judge(failed)
    assert (result.outcome.promoted_run_id, result.outcome.verdict) == (FIRST, "")
    assert result.details.promoted.by == "Pin"
    free = judge(a_context(root, run_id=THIRD, evaluation=ONE_ARM, pinOnly=True))
    assert (free.outcome.promoted_run_id, free.details.promoted.by) == (SECOND, "Unpin")
