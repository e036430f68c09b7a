"""prepare publishes what train needs, counts what the user should know, and repeats nothing."""

import sys

import pytest
from builders.preparing import (
    a_context,
    chats,
    prepared,
    preparing,
    refusal,
    rows,
    write_csv,
    write_jsonl,
    write_parquet,
)

from trainer.contract.failures import FailureClass
from trainer.data.prepared import open_prepared
from trainer.data.stage import prepare
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.file import FileStore
from trainer.store.manifest import (
    AnswersManifest,
    BaseBinding,
    RunManifest,
    TrainingSummary,
)

OTHER = "sha256:" + "1" * 64


def store_of(root):
    return FileStore((root / "output").resolve())


def opened(root, result):
    return open_prepared(store_of(root), result.outcome.run_id, root / "opened")


def all_rows(split):
    return list(split)


WRITERS = [
    pytest.param("train.jsonl", write_jsonl, id="JSONL"),
    pytest.param("train.jsonl.gz", write_jsonl, id="gzipped JSONL"),
    pytest.param("train.csv", write_csv, id="CSV"),
    pytest.param("train.csv.gz", write_csv, id="gzipped CSV"),
    pytest.param("train.parquet", write_parquet, id="Parquet"),
]


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_every_kind_of_file_gives_the_same_run(root, name, write):
    write_jsonl(root / "train.jsonl", rows(200))
    expected = prepared(root).outcome.run_id
    write(root / name, rows(200))
    result = prepared(root, dataset={"train": {"uri": f"file://{root}/{name}"}})
    assert result.outcome.run_id == expected


def test_a_directory_is_read_like_one_file(root):
    write_jsonl(root / "train.jsonl", rows(200))
    expected = prepared(root).outcome.run_id
    write_jsonl(root / "parts" / "b.jsonl.gz", rows(120))
    write_jsonl(root / "parts" / "deep" / "a.jsonl", rows(80, start=120))
    (root / "parts" / "README.md").write_text("not data")
    result = prepared(root, dataset={"train": {"uri": f"file://{root}/parts"}})
    assert result.outcome.run_id == expected


def test_a_byte_order_mark_and_quoted_line_breaks_are_no_trouble(root):
    write_csv(root / "train.csv", [*rows(200), {"prompt": "two\nlines, here", "completion": "x"}])
    (root / "train.csv").write_bytes(b"\xef\xbb\xbf" + (root / "train.csv").read_bytes())
    result = prepared(root, dataset={"train": {"uri": f"file://{root}/train.csv"}})
    assert result.details.data.rows == 201


def test_what_train_reads_is_what_was_written(root):
    write_jsonl(root / "train.jsonl", rows(200))
    result = prepared(root, dataset={"instruction": "Name the intent."})
    whole = opened(root, result)
    plan, data = whole.plan, result.details.data
    splits = [all_rows(split) for split in (whole.train, whole.validation, whole.test)]
    assert [len(split) for split in splits] == [
        data.train_rows,
        data.validation_rows,
        data.test_rows,
    ]
    assert sum(map(len, splits)) == 200
    assert plan.labels == ["ask_card", "ask_fee", "ask_transfer"]
    row = splits[0][0]
    assert row.prompt[0]["role"] == "system"
    assert row.prompt[0]["content"].startswith("Name the intent.\n\nAnswer with exactly one")
    assert row.reference in plan.labels
    assert data.tokens == sum(len(row.input_ids) for row in splits[0])
    assert len({row.id for split in splits for row in split}) == 200


def test_labels_that_the_instruction_names_are_not_listed_again(root):
    write_jsonl(root / "train.jsonl", rows(200))
    instruction = "Answer ask_card, ask_fee or ask_transfer."
    whole = opened(root, prepared(root, dataset={"instruction": instruction}))
    assert whole.train[0].prompt[0]["content"] == instruction


def test_a_systems_own_text_stays_behind_the_instruction(root):
    content = chats(200)
    content[0]["messages"].insert(0, {"role": "system", "content": "Own text."})
    write_jsonl(root / "train.jsonl", content)
    whole = opened(root, prepared(root, dataset={"instruction": "First."}))
    texts = [
        row.prompt[0]["content"]
        for split in (whole.train, whole.validation, whole.test)
        for row in all_rows(split)
    ]
    assert sum(text.startswith("First.\n\nOwn text.\n\nAnswer") for text in texts) == 1


def test_every_auto_is_written_down_with_its_rule(root):
    write_jsonl(root / "train.jsonl", rows(200))
    fields = {one.field for one in prepared(root).details.resolved}
    assert fields == {
        "dataset.format",
        "dataset.split.testPercent",
        "training.epochs",
        "training.learningRate",
        "training.batchTokens",
        "evaluation.metric",
        "evaluation.fewShotExamples",
        "evaluation.maxNewTokens",
    }


def test_what_the_user_set_is_no_auto(root):
    write_jsonl(root / "train.jsonl", rows(200))
    training = {"epochs": 1, "learningRate": "0.001", "batchTokens": 64}
    evaluation = {"metric": "TokenF1", "maxNewTokens": 9, "fewShotExamples": 2}
    result = prepared(root, training=training, evaluation=evaluation)
    plan = opened(root, result).plan
    assert (plan.epochs, plan.learning_rate, plan.batch_tokens) == (1, 0.001, 64)
    assert (plan.metric, plan.max_new_tokens, plan.few_shot_examples) == ("TokenF1", 9, 2)
    assert {one.field for one in plan.resolved} == {"dataset.format", "dataset.split.testPercent"}


def test_the_first_run_fixes_what_answers_are_scored_with(root):
    write_jsonl(root / "train.jsonl", rows(200))
    first = opened(root, prepared(root)).plan
    longer = [row | {"completion": f"{row['completion']} and much more"} for row in rows(400)]
    write_jsonl(root / "train.jsonl", longer)
    second = opened(root, prepared(root)).plan
    assert second.max_new_tokens == first.max_new_tokens
    assert "fixed by the first run" in str(second.resolved)


def test_findings_are_counted_and_placed(root):
    content = rows(200)
    content += [content[0], content[1] | {"completion": "ask_fee"}]
    write_jsonl(root / "train.jsonl", content)
    data = prepared(root).details.data
    assert (data.duplicate_rows, data.contradictory_rows) == (1, 2)
    assert "answer of an earlier one: 1, first train.jsonl:201" in str(data.warnings)
    assert "but another answer: 2, first train.jsonl:2;" in str(data.warnings)
    assert data.labels == 3


def test_rows_that_are_also_tested_on_leave_train_and_are_counted(root):
    write_jsonl(root / "train.jsonl", rows(200))
    write_jsonl(root / "test.jsonl", [*rows(4), *rows(60, start=1000)])
    result = prepared(root, dataset={"test": {"uri": f"file://{root}/test.jsonl"}})
    whole = opened(root, result)
    held = {row.prompt[-1]["content"] for row in all_rows(whole.test)}
    trained = {row.prompt[-1]["content"] for row in all_rows(whole.train)}
    assert result.details.data.test_rows == 64
    assert result.details.data.overlap_rows > 0
    assert not held & trained


def test_given_files_are_used_as_they_are(root):
    write_jsonl(root / "train.jsonl", rows(100))
    write_jsonl(root / "validation.jsonl", rows(40, start=500))
    write_jsonl(root / "test.jsonl", rows(60, start=1000))
    given = {name: {"uri": f"file://{root}/{name}.jsonl"} for name in ("validation", "test")}
    data = prepared(root, dataset=given).details.data
    assert (data.train_rows, data.validation_rows, data.test_rows) == (100, 40, 60)


def test_invalid_rows_within_the_share_are_left_out_and_said_so(root):
    write_jsonl(root / "train.jsonl", [*rows(200), {"prompt": "x"}])
    data = prepared(root, dataset={"maxInvalidPercent": 1}).details.data
    assert (data.rows, data.invalid_rows) == (201, 1)
    assert data.train_rows + data.validation_rows + data.test_rows == 200
    assert "Invalid rows left out: 1" in data.warnings


def test_long_rows_are_cut_counted_and_still_end_somewhere(root):
    long = [{"prompt": f"say {n}", "completion": f"word{n} " * 200} for n in range(200)]
    write_jsonl(root / "train.jsonl", long)
    result = prepared(root, training={"maxSequenceTokens": 64})
    assert result.details.data.truncated_rows == 200
    assert max(len(row.input_ids) for row in all_rows(opened(root, result).train)) == 64


def test_rows_keep_their_names_when_others_come(root):
    write_jsonl(root / "train.jsonl", rows(200))
    before = opened(root, prepared(root))
    write_jsonl(root / "train.jsonl", rows(260))
    after = opened(root, prepared(root))
    names = {row.prompt[-1]["content"]: row.id for row in all_rows(after.test)}
    for row in all_rows(before.test):
        assert names[row.prompt[-1]["content"]] == row.id


def test_the_same_again_reads_the_plan_and_writes_nothing(root, monkeypatch):
    write_jsonl(root / "train.jsonl", rows(200))
    first = prepared(root)
    monkeypatch.setitem(sys.modules, "trainer.data.second", None)  # importing it would fail
    again = prepared(root)
    assert again == first


CHANGES = [
    pytest.param({"identityHash": OTHER}, True, id="another spec"),
    pytest.param({"rerun": "again"}, True, id="a rerun"),
    pytest.param({"generationHash": OTHER}, False, id="other generation settings"),
    pytest.param({"attempt": 2, "run": 3}, False, id="another attempt"),
]


@pytest.mark.parametrize(("change", "is_new"), CHANGES)
def test_a_run_is_what_it_trains_on_and_how(root, change, is_new):
    write_jsonl(root / "train.jsonl", rows(200))
    first = prepared(root).outcome.run_id
    assert (prepared(root, request=change).outcome.run_id != first) is is_new


def test_the_order_of_rows_is_no_new_run(root):
    write_jsonl(root / "train.jsonl", rows(200))
    first = prepared(root).outcome.run_id
    write_jsonl(root / "train.jsonl", rows(200)[::-1])
    assert prepared(root).outcome.run_id == first


def test_other_generation_settings_get_a_plan_of_their_own(root):
    write_jsonl(root / "train.jsonl", rows(200))
    prepared(root)
    change = {"generationHash": OTHER}
    result = prepared(root, request=change, evaluation={"maxNewTokens": 3})
    assert opened(root, result).plan.max_new_tokens == 3


SPLIT_CHANGES = [
    pytest.param({"testPercent": 25}, "split.testPercent: 25", id="another test share"),
    pytest.param({"validationPercent": 20}, "split.validationPercent: 20", id="validation share"),
    pytest.param({"groupBy": "completion"}, "split.groupBy: completion", id="other groups"),
]


@pytest.mark.parametrize(("split", "message"), SPLIT_CHANGES)
def test_a_fixed_split_is_not_changed_under_later_runs(root, split, message):
    write_jsonl(root / "train.jsonl", rows(200))
    prepared(root)
    before = store_of(root).read(layout.SPLIT)
    error = refusal(root, dataset={"split": split})
    assert error.failure is FailureClass.INVALID_SPEC
    assert message in error.message
    assert store_of(root).read(layout.SPLIT) == before


def binding():
    return BaseBinding(
        source="x",
        revision="x",
        content_digest=OTHER,
        config_sha256="",
        tokenizer_sha256="",
        vocabulary_size=1,
    )


def a_manifest(run_id, files):
    summary = TrainingSummary.model_validate(
        {
            "overfitting": {},
            "tokensPerSecond": 1,
            "wallSeconds": 1,
            "gpuSeconds": 0,
            "trainedTokens": 1,
            "trainableParameters": 1,
            "precision": "FP32",
            "peakMemoryBytes": 1,
        }
    )
    return RunManifest(
        run_id=run_id, epoch=1, base=binding(), adapter_digest=OTHER, files=files, training=summary
    )


def publish_training(root, run_id, *, whole=True):
    store = store_of(root)
    if whole:
        store.write(layout.run(run_id, "e1/a"), b"1")
    manifest = a_manifest(run_id, {"e1/a": "x"})
    store.write(layout.manifest(run_id), manifest.model_dump_json().encode())


def publish_answers(root, run_id, **fields):
    store, generation = store_of(root), "sha256:" + "0" * 64
    manifest = AnswersManifest(
        run_id=run_id, generation_hash=generation, epoch=1, files={}, answers="x", **fields
    )
    key = layout.answers_manifest(run_id, generation)
    store.write(key, manifest.model_dump_json().encode())


def test_a_finished_run_is_recognised(root):
    write_jsonl(root / "train.jsonl", rows(200))
    run_id = prepared(root).outcome.run_id
    publish_training(root, run_id)
    outcome = prepared(root).outcome
    assert (outcome.trained, outcome.generated) == (True, False)
    publish_answers(root, run_id, adapter_digest=OTHER)
    outcome = prepared(root).outcome
    assert (outcome.trained, outcome.generated, outcome.adapter_digest) == (True, True, OTHER)


def test_a_run_with_a_missing_file_is_not_finished(root):
    write_jsonl(root / "train.jsonl", rows(200))
    run_id = prepared(root).outcome.run_id
    publish_training(root, run_id, whole=False)
    assert prepared(root).outcome.trained is False


@pytest.mark.parametrize(("wish", "counts"), [("Stop", True), ("Report", False)])
def test_answers_that_made_training_needless_count_only_when_that_stops(root, wish, counts):
    write_jsonl(root / "train.jsonl", rows(200))
    evaluation = {"whenNotNeeded": wish}
    run_id = prepared(root, evaluation=evaluation).outcome.run_id
    publish_answers(root, run_id, not_needed=True)
    outcome = prepared(root, evaluation=evaluation).outcome
    assert (outcome.trained, outcome.generated, outcome.not_needed) == (False, counts, counts)


def test_a_stage_that_is_told_to_stop_stops_and_publishes_nothing(root):
    write_jsonl(root / "train.jsonl", rows(200))
    context = a_context(root, preparing(root))
    context.stop.set()
    with pytest.raises(StageError) as caught:
        prepare(context)
    assert caught.value.failure is FailureClass.INTERRUPTED
    assert not (root / "output" / "runs").exists()


def test_progress_reaches_the_end(root):
    write_jsonl(root / "train.jsonl", rows(200))
    context = a_context(root, preparing(root))
    prepare(context)
    snapshot = context.progress.snapshot()
    assert [one.name for one in snapshot.activities] == [
        "hash base",
        "read data",
        "duplicates",
        "tokenise",
    ]
    assert snapshot.percent == pytest.approx(100)
