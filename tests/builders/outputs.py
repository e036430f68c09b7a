"""Outputs of several runs with a true record of each: digests that fit, judged by the judge."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builders.finished import Scores, a_context, finish
from builders.requests import ZERO

from trainer.contract.request import StageRequest
from trainer.data.plan import PreparedPlan
from trainer.data.publish import dataset_digest, run_id_from
from trainer.judge.stage import judge
from trainer.stage import StageContext
from trainer.store import layout
from trainer.store.checked import digest_names
from trainer.store.file import FileStore
from trainer.store.manifest import TUNED, AnswersManifest, Lineage, RunManifest
from trainer.train.lineage import lineage_of

FIRST_MOMENT = datetime(2026, 11, 20, 8, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
IMAGE = "registry.example/trainer@" + "sha256:" + "e" * 64


def digest(text: str) -> str:
    """A digest that stands for some content."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def better(base: int, tuned: int, of: int = 60) -> Scores:
    """So many right answers of both, the tuned ones among others."""
    return {"ZeroShot": _right(base, of), TUNED: _right(tuned, of)}


def _right(count: int, of: int) -> list[float]:
    return [1.0] * count + [0.0] * (of - count)


@dataclass
class AnOutput:
    """The output of one job; each run comes a day after the one before."""

    root: Path
    made: list[str] = field(default_factory=list)

    @property
    def store(self) -> FileStore:
        return FileStore(self.root / "output")

    @property
    def uri(self) -> str:
        return self.store.uri

    def run(
        self,
        scores: Scores | None = None,
        *,
        base: str = "base one",
        spec: str = "spec one",
        test: str = "test",
        rerun: str = "",
        judged: bool = True,
        recorded: bool = True,
        **sections: Any,
    ) -> str:
        """One more run; returns its id. Its answers are under one set of generation settings."""
        splits = {"train": ZERO, "validation": ZERO, "test": digest(test)}
        run_id = run_id_from(digest(spec), digest(base), splits, rerun=rerun)
        ctx = self.context(run_id, spec, rerun, sections)
        finish(ctx, scores or better(20, 50), base=digest(base), test=test)
        make_true(ctx, recorded=recorded)
        if judged:
            judge(ctx)
        self.made.append(run_id)
        return run_id

    def begun(self, run_id: str = "b" * 16) -> str:
        """A run that wrote its claim and nothing else."""
        self.store.write(layout.claim(run_id), b'{"epoch": 1, "run": 9}')
        return run_id

    def context(self, run_id: str, spec: str, rerun: str, sections: Any) -> StageContext:
        """Of the judge of such a run, a day after the newest."""
        self.root.mkdir(parents=True, exist_ok=True)
        evaluation = {"arms": [{"name": "ZeroShot"}]} | sections.pop("evaluation", {})
        ctx = a_context(self.root, run_id=run_id, rerun=rerun, evaluation=evaluation, **sections)
        moment = FIRST_MOMENT + timedelta(days=len(self.made))
        request = ctx.request.model_copy(
            update={
                "identity_hash": digest(spec),
                "spec_hash": digest(spec),
                "run": len(self.made) + 1,
                "git_commit": COMMIT,
            }
        )
        return replace(ctx, request=request, now=lambda: moment, image=IMAGE)


def make_true(ctx: StageContext, *, recorded: bool = True) -> None:
    """Give what ``finish`` wrote an adapter, digests that fit, and its record."""
    request = ctx.request
    plan = _true_plan(ctx)
    lineage = _lineage(ctx, plan) if recorded else None
    adapter = _true_manifest(ctx, request, plan, lineage)
    key = layout.answers_manifest(request.run_id, request.generation_hash)
    answers = AnswersManifest.model_validate_json(ctx.store.read(key))
    told = answers.model_copy(update={"adapter_digest": adapter, "lineage": lineage})
    ctx.store.write(key, told.model_dump_json(indent=1).encode())


def _true_plan(ctx: StageContext) -> PreparedPlan:
    key = layout.prepared(ctx.request.run_id, "plan.json")
    plan = PreparedPlan.model_validate_json(ctx.store.read(key))
    report = b'{"rows": 600}\n'
    ctx.store.write(layout.prepared(ctx.request.run_id, "data-report.json"), report)
    plan = plan.model_copy(
        update={
            "base": plan.base.model_copy(update={"architecture": "LlamaForCausalLM"}),
            "dataset_digest": dataset_digest(dict(plan.split_digests)),
            "generation_hash": ctx.request.generation_hash,
            "files": {**plan.files, "data-report.json": hashlib.sha256(report).hexdigest()},
        }
    )
    ctx.store.write(key, plan.model_dump_json().encode())
    return plan


def _lineage(ctx: StageContext, plan: PreparedPlan) -> Lineage:
    key = layout.prepared(ctx.request.run_id, "plan.json")
    return lineage_of(
        ctx.request,
        plan,
        image=ctx.image,
        created=ctx.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        plan_sha256=hashlib.sha256(ctx.store.read(key)).hexdigest(),
    )


def _true_manifest(
    ctx: StageContext, request: StageRequest, plan: PreparedPlan, lineage: Lineage | None
) -> str | None:
    """The adapter's digest; None where nothing was trained."""
    key = layout.manifest(request.run_id)
    if not ctx.store.exists(key):
        return None
    manifest = RunManifest.model_validate_json(ctx.store.read(key))
    contents = {
        "adapter_config.json": b'{"r": 16}',
        "adapter_model.safetensors": request.run_id.encode() * 1000,
        "base.json": plan.base.model_dump_json().encode(),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    for name, data in contents.items():
        ctx.store.write(layout.run(request.run_id, f"e1/adapter/{name}"), data)
    told = manifest.model_copy(
        update={
            "base": plan.base,
            "adapter_digest": digest_names(digests),
            "files": {
                **manifest.files,
                **{f"e1/adapter/{name}": sha256 for name, sha256 in digests.items()},
            },
            "lineage": lineage,
        }
    )
    ctx.store.write(key, told.model_dump_json(indent=1).encode())
    return told.adapter_digest
