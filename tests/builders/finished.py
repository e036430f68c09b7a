"""Runs as prepare and train leave them in the output, written by hand with true digests."""

import hashlib
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from builders.requests import ZERO, a_request, a_spec

from trainer.contract.request import Stage
from trainer.contract.verdict import OverfittingResult
from trainer.data.plan import PreparedPlan
from trainer.data.prepared import SPLITS, PreparedRow, write_rows
from trainer.progress import ProgressTracker
from trainer.stage import StageContext
from trainer.store import layout
from trainer.store.checked import digest_names
from trainer.store.file import FileStore
from trainer.store.manifest import (
    TUNED,
    AnswersManifest,
    ArmAnswer,
    BaseBinding,
    ForgettingLosses,
    RunManifest,
    TrainingSummary,
)

RUN = "0123456789abcdef"
ADAPTER_FILES = {
    "adapter_config.json": b"{}",
    "adapter_model.safetensors": b"weights",
    "base.json": b"{}",
}
ADAPTER = digest_names(
    {name: hashlib.sha256(data).hexdigest() for name, data in ADAPTER_FILES.items()}
)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

Scores = dict[str, list[float]]


def a_base(digest: str = ZERO) -> BaseBinding:
    """The base model of a run."""
    return BaseBinding(
        source="base",
        revision=digest.removeprefix("sha256:")[:12],
        content_digest=digest,
        config_sha256="c",
        tokenizer_sha256="t",
        vocabulary_size=128,
    )


def a_context(root: Path, *, run_id: str = RUN, **sections: Any) -> StageContext:
    """The judge's context; sections replace those of the spec."""
    fields = {name: sections.pop(name) for name in list(sections) if name in REQUEST_FIELDS}
    spec = a_spec(root, **sections)
    request = a_request(root, Stage.JUDGE, spec=spec, runId=run_id, **fields)
    work = root / "work"
    work.mkdir(exist_ok=True)
    return StageContext(
        request=request,
        store=FileStore(root / "output"),
        work=work,
        cache=root / "cache",
        file_root=root,
        progress=ProgressTracker(request),
        stop=threading.Event(),
        now=lambda: NOON,
    )


REQUEST_FIELDS = {"generationHash", "rerun", "promotedSequence", "pinOnly"}


def finish(
    ctx: StageContext,
    scores: Scores,
    *,
    base: str | BaseBinding = ZERO,
    test: str = "test",
    trained_on: Sequence[str] = (),
) -> None:
    """Write the run of this context: prepared rows, answers and, with a tuned arm, an adapter.

    ``trained_on``: ids of further rows of the training split.
    """
    binding = a_base(base) if isinstance(base, str) else base
    run_id, count = ctx.request.run_id, len(next(iter(scores.values())))
    _write_prepared(ctx, count, binding, test, trained_on)
    trained = TUNED in scores
    if trained:
        write_adapter(ctx, binding)
    lines = "".join(
        ArmAnswer(
            arm=arm, id=f"{test}-{index}", answer=_answer(score), score=score, finish="stop"
        ).model_dump_json()
        + "\n"
        for arm, given in scores.items()
        for index, score in enumerate(given)
    )
    losses = ForgettingLosses(base=[3.0] * 10, tuned=[3.01] * 10, tokens=5000, source="test")
    files = dict(
        [
            put(ctx, "e1/answers.jsonl", lines.encode()),
            put(ctx, "e1/forgetting.json", losses.model_dump_json().encode()),
        ]
    )
    manifest = AnswersManifest(
        run_id=run_id,
        generation_hash=ctx.request.generation_hash,
        epoch=1,
        adapter_digest=ADAPTER if trained else None,
        not_needed=not trained,
        files=files,
        answers="e1/answers.jsonl",
        forgetting="e1/forgetting.json" if trained else None,
        gpu_seconds=3600,
        wall_seconds=3600,
    )
    key = layout.answers_manifest(run_id, ctx.request.generation_hash)
    ctx.store.write(key, manifest.model_dump_json().encode())


def _answer(score: float) -> str:
    return "yes" if score == 1 else "no"


def _write_prepared(
    ctx: StageContext, count: int, base: BaseBinding, test: str, trained_on: Sequence[str]
) -> None:
    files = {}
    for split in SPLITS:
        path = ctx.work / f"{split}.arrow"
        ids = [f"{test if split == 'test' else split}-{n}" for n in range(count)]
        more = trained_on if split == "train" else ()
        write_rows(path, [_row(row_id) for row_id in (*ids, *more)])
        ctx.store.upload(path, layout.prepared(ctx.request.run_id, path.name))
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    plan = _plan(count, base, test, files)
    key = layout.prepared(ctx.request.run_id, "plan.json")
    ctx.store.write(key, plan.model_dump_json().encode())


def _row(row_id: str) -> PreparedRow:
    prompt = [
        {"role": "system", "content": "Answer yes or no."},
        {"role": "user", "content": f"question {row_id}"},
    ]
    return PreparedRow(
        id=row_id,
        group=f"group {row_id}",
        prompt=prompt,
        reference="yes",
        input_ids=np.asarray([1, 2], np.int32),
        spans=[(1, 2)],
    )


def _plan(count: int, base: BaseBinding, test: str, files: dict[str, str]) -> PreparedPlan:
    return PreparedPlan(
        format="PromptCompletion",
        metric="ExactMatch",
        has_template=True,
        template_date="2026-01-01",
        labels=[],
        epochs=1,
        learning_rate=1e-3,
        batch_tokens=100,
        max_sequence_tokens=128,
        few_shot_examples=1,
        max_new_tokens=8,
        resolved=[],
        base=base,
        split_digests={
            "train": ZERO,
            "validation": ZERO,
            "test": "sha256:" + hashlib.sha256(test.encode()).hexdigest(),
        },
        dataset_digest=ZERO,
        files=files,
        data={"rows": 10 * count, "test_rows": count},
        estimate={"train_tokens": 1, "steps": 1, "answer_count": 1, "peak_memory_bytes": 1},
    )


def write_adapter(ctx: StageContext, base: BaseBinding) -> None:
    """The manifest of a trained run, with the files that it vouches for."""
    metrics = b'{"step": 1, "epoch": 0.5, "trainLoss": 2.0}\n{"step": 2, "epoch": 1.0}\n'
    training = TrainingSummary(
        overfitting=OverfittingResult(best_validation_loss=0.5, steps=2, best_step=2),
        tokens_per_second=200,
        wall_seconds=1800,
        gpu_seconds=1800,
        trained_tokens=1000,
        trainable_parameters=10,
        precision="FP32",
        peak_memory_bytes=2**30,
    )
    manifest = RunManifest(
        run_id=ctx.request.run_id,
        epoch=1,
        base=base,
        adapter_digest=ADAPTER,
        files=dict([put(ctx, "e1/metrics.jsonl", metrics), *_put_adapter(ctx)]),
        training=training,
    )
    ctx.store.write(layout.manifest(ctx.request.run_id), manifest.model_dump_json().encode())


def _put_adapter(ctx: StageContext) -> list[tuple[str, str]]:
    files = {**ADAPTER_FILES, "README.md": b"a model card"}
    return [put(ctx, f"e1/adapter/{name}", data) for name, data in files.items()]


def put(ctx: StageContext, name: str, data: bytes) -> tuple[str, str]:
    """A file of the run; its name and digest."""
    ctx.store.write(layout.run(ctx.request.run_id, name), data)
    return name, hashlib.sha256(data).hexdigest()
