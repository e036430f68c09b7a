"""Makes results durable: files first, then the manifest that vouches for them.

A reader that sees a manifest finds every file that it names; nothing else is ever trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from peft import PeftModel

from trainer.contract.base import Wire
from trainer.contract.failures import FailureClass
from trainer.contract.request import StageRequest
from trainer.data.plan import PreparedPlan
from trainer.data.prepared import PLAN
from trainer.errors import StageError
from trainer.model.adapter import FILES, adapter_digest
from trainer.model.merge import write_merged
from trainer.pulse import beat
from trainer.report.card import model_card
from trainer.store import layout
from trainer.store.base import ConditionError, MissingError, Store
from trainer.store.checked import download_checked, read_document, read_manifest, sha256_file
from trainer.store.fence import Claim
from trainer.store.manifest import (
    AnswersManifest,
    ArmAnswer,
    EarlierAdapter,
    ForgettingLosses,
    Lineage,
    RunManifest,
)
from trainer.train.checkpoint import remove_checkpoints
from trainer.train.lineage import lineage_of
from trainer.train.run import Trained


@dataclass(frozen=True)
class Merged:
    """A merged model in the store; keys are relative to the run."""

    folder: str
    files: dict[str, str]
    """Key -> sha256."""


@dataclass(frozen=True)
class Publication:
    """Where and for whom results are published."""

    store: Store
    claim: Claim
    request: StageRequest
    plan: PreparedPlan
    work: Path
    image: str = ""
    created: str = ""

    def lineage(self) -> Lineage:
        """What is recorded beside each manifest."""
        key = layout.prepared(self.request.run_id, PLAN)
        read = sha256(self.store.read(key)).hexdigest()
        return lineage_of(
            self.request, self.plan, image=self.image, created=self.created, plan_sha256=read
        )

    def upload(self, path: Path, name: str) -> tuple[str, str]:
        """Store a file of this epoch; its key relative to the run, and its sha256."""
        key = layout.epoch(self.request.run_id, self.claim.epoch, name)
        self.store.upload(path, key)
        return key.removeprefix(layout.run(self.request.run_id)), sha256_file(path)

    def vouch(self, key: str, manifest: Wire, *, replaces: str | None = None) -> None:
        """Write a manifest, if this attempt still holds the run and nobody wrote one before.

        Raises:
            FencedError: a newer attempt has taken over.
            StageError: UNAVAILABLE, an older one wrote it just before this one took the run over.
        """
        self.claim.check()
        text = manifest.model_dump_json(indent=2) + "\n"
        condition = {"if_match": replaces} if replaces else {}
        try:
            self.store.write(key, text.encode(), if_none_match=replaces is None, **condition)
        except ConditionError:
            self.claim.check()
            message = f"another attempt wrote {key} meanwhile; run again to go on from what it says"
            raise StageError(FailureClass.UNAVAILABLE, message) from None


def adapter(to: Publication, trained: Trained) -> RunManifest:
    """Publish a trained adapter with its model card and metrics; checkpoints then go."""
    run_id = to.request.run_id
    before = read_manifest(to.store, run_id)
    card, lineage = to.work / "README.md", to.lineage()
    card.write_text(
        model_card(to.plan, to.request, trained.summary, lineage=lineage), encoding="utf-8"
    )
    named = {f"adapter/{name}": trained.adapter_dir / name for name in FILES}
    named |= {"adapter/README.md": card, "metrics.jsonl": trained.metrics_path}
    manifest = RunManifest(
        run_id=run_id,
        epoch=to.claim.epoch,
        base=to.plan.base,
        adapter_digest=adapter_digest(trained.adapter_dir),
        files=dict(to.upload(path, name) for name, path in named.items()),
        training=trained.summary,
        lineage=lineage,
        earlier=outlived(before),
    )
    key = layout.manifest(run_id)
    to.vouch(key, manifest, replaces=tag_of(to.store, key) if manifest.earlier else None)
    if manifest.partial is None:  # a partial run trains on when its limit is raised
        remove_checkpoints(to.store, run_id)
    return manifest


def merged(to: Publication, model: PeftModel, base: Path) -> Merged:
    """Store the merged model; its files are vouched for with the answers, as they can be later."""
    folder = layout.epoch(to.request.run_id, to.claim.epoch, "merged")
    folder = folder.removeprefix(layout.run(to.request.run_id))
    files = {}
    for path in write_merged(model, base, to.work / "merged"):
        beat()
        key, sha = to.upload(path, f"merged/{path.name}")
        files[key] = sha
    return Merged(folder, files)


def merged_before(store: Store, run_id: str, adapter_digest: str) -> Merged | None:
    """The same model as other answers of this run vouch for it; None: they do not."""
    for entry in store.list(layout.run(run_id, "generations/")):
        found = read_document(store, entry.key, AnswersManifest)
        if found and found.merged and found.adapter_digest == adapter_digest:
            own = f"{found.merged}/"
            files = {key: sha for key, sha in found.files.items() if key.startswith(own)}
            return Merged(found.merged, files)
    return None


def outlived(before: RunManifest | None) -> list[EarlierAdapter]:
    """The partial adapters that the run had; the pointer may still name one of them."""
    if before is None or before.partial is None:
        return []
    folder = f"e{before.epoch}/adapter/"
    last = EarlierAdapter(
        epoch=before.epoch,
        adapter_digest=before.adapter_digest,
        files={name: sha256 for name, sha256 in before.files.items() if name.startswith(folder)},
        partial=before.partial,
    )
    return [*before.earlier, last]


def answers(
    to: Publication,
    arms: Mapping[str, Sequence[ArmAnswer]],
    adapter_digest: str | None,
    losses: ForgettingLosses | None,
    wall_s: float,
    *,
    merged: Merged | None = None,
) -> None:
    """Publish the answers of all arms under the request's generation settings."""
    run_id, generation = to.request.run_id, to.request.generation_hash
    folder = f"answers/{layout.short(generation)}"
    lines = "".join(f"{one.model_dump_json()}\n" for given in arms.values() for one in given)
    names = [to.upload(written(to.work / "answers.jsonl", lines), f"{folder}/answers.jsonl")]
    if losses is not None:
        path = written(to.work / "forgetting.json", losses.model_dump_json() + "\n")
        names.append(to.upload(path, f"{folder}/forgetting.json"))
    manifest = AnswersManifest(
        run_id=run_id,
        generation_hash=generation,
        epoch=to.claim.epoch,
        adapter_digest=adapter_digest,
        not_needed=adapter_digest is None,
        files=dict(names) | (merged.files if merged else {}),
        merged=merged.folder if merged else None,
        answers=names[0][0],
        forgetting=names[1][0] if losses is not None else None,
        gpu_seconds=wall_s * to.request.spec.gpus,
        wall_seconds=wall_s,
        lineage=to.lineage(),
    )
    key = layout.answers_manifest(run_id, generation)
    to.vouch(key, manifest, replaces=tag_of(to.store, key))


def tag_of(store: Store, key: str) -> str | None:
    """Tag of a manifest that is replaced by a more complete one; None: there is none."""
    try:
        return store.read_tagged(key)[1]
    except MissingError:
        return None


def written(path: Path, text: str) -> Path:
    """The path, with the text in it."""
    path.write_text(text, encoding="utf-8")
    return path


def fetch_adapter(store: Store, manifest: RunManifest, directory: Path) -> Path:
    """Download a published adapter, each file checked against its manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    prefix = f"e{manifest.epoch}/adapter/"
    for name in FILES:
        key = f"{prefix}{name}"
        sha256 = manifest.files[key]
        download_checked(store, layout.run(manifest.run_id, key), sha256, directory / name)
    return directory
