"""What the first rank does for all of them, once for each stage.

The ranks of a stage are processes of one pod: they share its file system, so one of them downloads
and the others read what lies there.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from trainer.data.prepared import PLAN, SPLITS, Prepared, PreparedRows, load_plan, open_prepared
from trainer.sources.base import ResolvedModel
from trainer.stage import StageContext
from trainer.store import layout
from trainer.store.checked import read_manifest
from trainer.store.fence import Claim, take_claim
from trainer.store.manifest import RunManifest
from trainer.train import publish
from trainer.train.ranks import Ranks


def manifest(ranks: Ranks, ctx: StageContext) -> RunManifest | None:
    """The run's manifest as the first rank found it; None: there is nothing trained yet."""

    def say() -> str:
        found = read_manifest(ctx.store, ctx.request.run_id)
        return "" if found is None else found.model_dump_json()

    text = ranks.told("manifest", say)
    return RunManifest.model_validate_json(text) if text else None


def claim(ranks: Ranks, ctx: StageContext) -> Claim:
    """One claim, under which all of them write."""
    run_id = ctx.request.run_id

    def say() -> str:
        taken = take_claim(ctx.store, run_id, ctx.request, pod_uid=ctx.pod_uid)
        return json.dumps([taken.epoch, taken.tag])

    epoch, tag = json.loads(ranks.told("claim", say))
    return Claim(epoch, tag, ctx.store, run_id)


def prepared(ranks: Ranks, ctx: StageContext) -> Prepared:
    """The prepared data, downloaded and checked once."""
    run_id, folder = ctx.request.run_id, ctx.work / "prepared"
    if ranks.is_first:
        opened = open_prepared(ctx.store, run_id, folder)
        ranks.meet("prepared")
        return opened
    ranks.meet("prepared")
    plan = load_plan(ctx.store.read(layout.prepared(run_id, PLAN)))
    return Prepared(plan, **{name: PreparedRows(folder / f"{name}.arrow") for name in SPLITS})


def base(ranks: Ranks, resolve: Callable[[], ResolvedModel]) -> ResolvedModel:
    """The base model's files, fetched and checked once."""

    def say() -> str:
        return json.dumps(asdict(resolve()), default=str)

    document = json.loads(ranks.told("base", say))
    return ResolvedModel(**document | {"path": Path(document["path"])})


def adapter(ranks: Ranks, ctx: StageContext, manifest: RunManifest) -> Path:
    """The directory of an adapter that an earlier attempt published."""

    def say() -> str:
        return str(publish.fetch_adapter(ctx.store, manifest, ctx.work / "adapter"))

    return Path(ranks.told("adapter", say))


def published(ranks: Ranks, publish: Callable[[], RunManifest]) -> RunManifest:
    """The manifest of the adapter that they trained, once it is in the store."""
    text = ranks.told("published", lambda: publish().model_dump_json())
    return RunManifest.model_validate_json(text)
