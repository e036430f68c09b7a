"""An object that was made again after a disaster finds its promoted run, whatever its base became.

Real prepare, real judge, real file store; only the training is played.
"""

import json

import pytest
from builders import finished
from builders.preparing import prepared, refusal, rows, write_jsonl
from builders.requests import ZERO

from trainer.data.prepared import open_prepared
from trainer.judge import pointer
from trainer.judge.stage import judge
from trainer.stage import DetailedStageError
from trainer.store import layout
from trainer.store.file import FileStore
from trainer.store.manifest import TUNED, AnswersManifest, ArmAnswer

KEEP = {"keepPromotedBase": True}
ONE_ARM = {"arms": [{"name": "ZeroShot"}]}
OTHER = "sha256:" + "1" * 64


@pytest.fixture
def promoted(root):
    """The outcome of the prepare of a run that was then trained, judged and promoted."""
    write_jsonl(root / "train.jsonl", rows(600))
    outcome = prepared(root, evaluation=ONE_ARM).outcome
    train(root, outcome.run_id)
    ctx = finished.a_context(root, run_id=outcome.run_id, evaluation=ONE_ARM)
    assert judge(ctx).outcome.promoted_run_id == outcome.run_id
    return outcome


def train(root, run_id):
    """What train would leave: an adapter that is always right, and a base that never is."""
    ctx = finished.a_context(root, run_id=run_id, evaluation=ONE_ARM)
    test = open_prepared(ctx.store, run_id, root / "opened").test
    ids = [row.id for row in test]
    base = open_prepared(ctx.store, run_id, root / "opened").plan.base
    finished.write_adapter(ctx, base)
    answers = [
        ArmAnswer(arm=arm, id=each, answer=f"{score}", score=score, finish="stop")
        for arm, score in (("ZeroShot", 0.0), (TUNED, 1.0))
        for each in ids
    ]
    lines = "".join(one.model_dump_json() + "\n" for one in answers).encode()
    name, digest = finished.put(ctx, "e1/answers.jsonl", lines)
    manifest = AnswersManifest(
        run_id=run_id,
        generation_hash=ZERO,
        epoch=1,
        adapter_digest=finished.ADAPTER,
        files={name: digest},
        answers=name,
    )
    key = layout.answers_manifest(run_id, ZERO)
    ctx.store.write(key, manifest.model_dump_json().encode())


def move_base(root):
    """Another configuration: other content under the same path."""
    path = root / "base" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"moved": 1}))


def test_only_the_base_moved_so_the_promoted_run_is_this_run(root, promoted):
    move_base(root)
    result = prepared(root, evaluation=ONE_ARM, request=KEEP)
    outcome = result.outcome
    assert (outcome.run_id, outcome.trained, outcome.generated) == (promoted.run_id, True, True)
    assert (outcome.base_revision, outcome.base_digest) == (
        promoted.base_revision,
        promoted.base_digest,
    )
    assert result.details.promoted.run_id == promoted.run_id
    assert result.details.data.rows == 600


def test_a_fleet_is_not_trained_again_even_where_the_base_is_gone(root, promoted):
    (root / "base" / "config.json").unlink()
    assert prepared(root, evaluation=ONE_ARM, request=KEEP).outcome.run_id == promoted.run_id


def test_its_judge_finds_everything_and_moves_nothing(root, promoted):
    move_base(root)
    before = pointer.read(FileStore((root / "output").resolve()))
    outcome = prepared(root, evaluation=ONE_ARM, request=KEEP).outcome
    assert outcome.run_id == promoted.run_id
    again = judge(finished.a_context(root, run_id=outcome.run_id, evaluation=ONE_ARM))
    assert (again.outcome.verdict, again.outcome.sequence) == ("Promote", 1)
    assert pointer.read(FileStore((root / "output").resolve())) == before


def without_pointer(root):
    FileStore((root / "output").resolve()).delete(layout.POINTER)


def other_rows(root):
    write_jsonl(root / "train.jsonl", rows(601))


def without_answers(root):
    store = FileStore((root / "output").resolve())
    for entry in list(store.list("runs/")):
        if "/generations/" in entry.key:
            store.delete(entry.key)


GOES_ON = [
    pytest.param(lambda _: None, {}, id="it was not asked to: the policy is Auto, or a pin"),
    pytest.param(without_pointer, KEEP, id="nothing was promoted"),
    pytest.param(other_rows, KEEP, id="other rows"),
    pytest.param(without_answers, KEEP, id="its answers are gone"),
    pytest.param(lambda _: None, KEEP | {"identityHash": OTHER}, id="another spec"),
    pytest.param(lambda _: None, KEEP | {"generationHash": OTHER}, id="other arms"),
    pytest.param(lambda _: None, KEEP | {"rerun": "once more"}, id="a rerun"),
]


@pytest.mark.parametrize(("change", "request_fields"), GOES_ON)
def test_where_anything_else_differs_it_goes_on_with_the_newest(
    root, promoted, change, request_fields
):
    move_base(root)
    change(root)
    outcome = prepared(root, evaluation=ONE_ARM, request=request_fields).outcome
    assert outcome.run_id != promoted.run_id
    assert outcome.base_digest != promoted.base_digest
    assert not outcome.trained


def test_prepare_tells_what_is_in_use_even_of_rows_that_it_refuses(root, promoted):
    write_jsonl(root / "train.jsonl", [{"prompt": "x"}])
    refused = refusal(root, evaluation=ONE_ARM)
    assert isinstance(refused, DetailedStageError)
    assert refused.details.promoted.run_id == promoted.run_id
