"""What a run's manifests vouch for, and where they contradict each other. Reads manifests only."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trainer.contract.lineage import Fault, Finding
from trainer.data.plan import PreparedPlan
from trainer.data.publish import dataset_digest, run_id_from
from trainer.lineage.record import RunRecord, parsed, read_manifests
from trainer.store import layout
from trainer.store.base import Store
from trainer.store.checked import digest_names
from trainer.store.manifest import ADAPTER_FILES, BaseBinding, EvaluationManifest, Lineage
from trainer.store.pointerfile import PointerFile
from trainer.store.removed import removed_by

PLAN = "prepared/plan.json"
EVALUATION = re.compile(r"^evaluations/([^/]+)/(verdict|manifest)\.json$")
LEFT_OVER = ("answers/", "checkpoints/")
"""Work of attempts that broke off; it stays, and nothing reads it as a result."""


@dataclass(frozen=True)
class Promise:
    """A manifest's word for a file; both are keys relative to the run."""

    name: str
    sha256: str
    by: str


@dataclass
class Vouched:
    """What has to be checked of one run."""

    record: RunRecord
    promises: list[Promise] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, name: str, fault: Fault, message: str) -> None:
        """Something that is not as it should be."""
        self.findings.append(
            Finding(place=layout.run(self.record.id, name), fault=fault, message=message)
        )

    def promise(self, files: Mapping[str, str], by: str) -> None:
        """Everything that a manifest names."""
        self.promises += [Promise(name, _plain(sha256), by) for name, sha256 in files.items()]


def vouched(store: Store, run_id: str, files: Mapping[str, int]) -> Vouched:
    """Read a run's manifests.

    Raises:
        StageError: the store cannot be read.
    """
    record = read_manifests(store, run_id, files)
    found = Vouched(record)
    if record.removed is not None:
        found.notes.append(f"{layout.run(run_id)}: {removed_by(record.removed)}")
        return found
    evaluations = _evaluations(store, found)
    for problem in record.problems:
        place, _, message = problem.partition(": ")
        found.findings.append(Finding(place=place, fault=Fault.UNREADABLE, message=message))
    _trained(store, found)
    _answered(found)
    _prepared(found)
    _judged(found, evaluations)
    found.findings += _extra(found)
    return found


def _trained(store: Store, found: Vouched) -> None:
    manifest = found.record.manifest
    if manifest is None:
        return
    found.promise(manifest.files, "manifest.json")
    for earlier in manifest.earlier:
        found.promise(earlier.files, "manifest.json")
    folder = f"e{manifest.epoch}/adapter/"
    names = {f"{folder}{name}" for name in ADAPTER_FILES} & manifest.files.keys()
    adapter = {name.removeprefix(folder): manifest.files[name] for name in names}
    if digest_names(adapter) != manifest.adapter_digest:
        message = "its adapterDigest is not that of the adapter's files that it names"
        found.fault("manifest.json", Fault.MISMATCH, message)
    apart = RunRecord(found.record.id, found.record.files)  # its sha256 is told, once
    binding = parsed(store, apart, f"{folder}base.json", BaseBinding)
    if binding is not None and binding != manifest.base:
        found.fault(f"{folder}base.json", Fault.MISMATCH, "names another base than manifest.json")
    if manifest.run_id != found.record.id:
        found.fault("manifest.json", Fault.MISMATCH, "is the manifest of another run")
    if manifest.lineage is not None:
        _check_id(found, "manifest.json", manifest.lineage, manifest.base.content_digest)


def _check_id(found: Vouched, name: str, lineage: Lineage, base_digest: str) -> None:
    """A run's id is a digest of what it was made from: it vouches for this part of the record."""
    made = run_id_from(
        lineage.identity_hash,
        base_digest,
        lineage.split_digests,
        rerun=lineage.rerun,
        contract=lineage.contract_version,
    )
    if made != found.record.id:
        message = "spec, base or data that it records do not give the run's id"
        found.fault(name, Fault.MISMATCH, message)


def _answered(found: Vouched) -> None:
    trained = found.record.manifest
    for answers in found.record.answers:
        name = _name_of(answers.generation_hash)
        found.promise(answers.files, name)
        ours = (None, trained.adapter_digest if trained else answers.adapter_digest)
        if answers.adapter_digest not in ours:
            message = "holds answers of another adapter than manifest.json's"
            found.fault(name, Fault.MISMATCH, message)
        if trained is None and answers.adapter_digest is not None:
            found.fault("manifest.json", Fault.MISSING, f"{name} holds answers of its adapter")


def _name_of(generation_hash: str) -> str:
    return f"generations/{layout.short(generation_hash)}.json"


def _prepared(found: Vouched) -> None:
    plan = found.record.plan
    found.promises += [
        Promise(PLAN, lineage.plan_sha256, by)
        for by, lineage in _lineages(found.record)
        if lineage.plan_sha256 and (plan is None or lineage.generation_hash == plan.generation_hash)
    ]
    if plan is None:
        return
    found.promise({f"prepared/{name}": sha256 for name, sha256 in plan.files.items()}, PLAN)
    for message in _contradictions(plan, found.record):
        found.fault(PLAN, Fault.MISMATCH, message)


def _contradictions(plan: PreparedPlan, record: RunRecord) -> Iterator[str]:
    if dataset_digest(dict(plan.split_digests)) != plan.dataset_digest:
        yield "its datasetDigest is not that of its splits"
    lineage, manifest = record.lineage, record.manifest
    if lineage is not None and lineage.split_digests != plan.split_digests:
        yield "its splits are not those that the run's manifests record"
    if manifest is not None and manifest.base.content_digest != plan.base.content_digest:
        yield "names another base than manifest.json"


def _lineages(record: RunRecord) -> Iterator[tuple[str, Lineage]]:
    if record.manifest is not None and record.manifest.lineage is not None:
        yield "manifest.json", record.manifest.lineage
    for answers in record.answers:
        if answers.lineage is not None:
            yield _name_of(answers.generation_hash), answers.lineage


def _evaluations(store: Store, found: Vouched) -> dict[str, EvaluationManifest | None]:
    """The manifest of each judgement, by id; None: it has none that can be read."""
    ids = {match[1] for name in found.record.files if (match := EVALUATION.match(name))}
    named = {each: f"evaluations/{each}/manifest.json" for each in sorted(ids)}
    return {
        each: parsed(store, found.record, name, EvaluationManifest) for each, name in named.items()
    }


def _judged(found: Vouched, evaluations: Mapping[str, EvaluationManifest | None]) -> None:
    manifests = [each for each in evaluations.values() if each is not None]
    newest = {each.generation_hash: each for each in sorted(manifests, key=lambda one: one.created)}
    for evaluation_id, manifest in evaluations.items():
        name = f"evaluations/{evaluation_id}/manifest.json"
        if manifest is None:
            if name not in found.record.files:
                found.notes.append(_unvouched(found.record.id, evaluation_id))
            continue
        found.promise(manifest.files, name)
        # Answers that stopped before training may be completed later, under the same name.
        is_newest = newest[manifest.generation_hash] is manifest
        if is_newest and not _is_of_earlier(found.record, manifest):
            found.promise(manifest.read, name)


def _is_of_earlier(record: RunRecord, judged: EvaluationManifest) -> bool:
    """Whether a partial adapter was judged, and training has gone on since."""
    trained = record.manifest
    if trained is None or not trained.earlier or trained.lineage is None:
        return False
    return trained.lineage.created > judged.created


def _unvouched(run_id: str, evaluation_id: str) -> str:
    return (
        f"{layout.evaluation(run_id, evaluation_id)}: nothing vouches for this judgement; it broke "
        "off, or an older release made it"
    )


def _extra(found: Vouched) -> Iterator[Finding]:
    manifest = found.record.manifest
    if manifest is None:
        return
    epoch = f"e{manifest.epoch}/"
    named = {promise.name for promise in found.promises}
    for name in sorted(found.record.files):
        below = name.removeprefix(epoch)
        if below != name and name not in named and not below.startswith(LEFT_OVER):
            message = "no manifest names it; remove it unless you put it there"
            place = layout.run(found.record.id, name)
            yield Finding(place=place, fault=Fault.EXTRA, message=message)


def _plain(sha256: str) -> str:
    return sha256.removeprefix("sha256:")


def pointer_findings(pointer: PointerFile, runs: Sequence[Vouched]) -> Iterator[Finding]:
    """Where promoted.json and the run that it names do not agree."""
    record = next((each.record for each in runs if each.record.id == pointer.run_id), None)
    if record is None or record.manifest is None:
        message = f"points at run {pointer.run_id}, which has no manifest here"
        yield Finding(place=layout.POINTER, fault=Fault.MISSING, message=message)
        return
    manifest, base = record.manifest, record.manifest.base
    known = [manifest.adapter_digest, *(each.adapter_digest for each in manifest.earlier)]
    is_known = pointer.adapter_digest in known
    told = (
        ("adapterDigest", is_known, True),
        ("baseRevision", pointer.base_revision, base.revision),
        ("baseDigest", pointer.base_digest or base.content_digest, base.content_digest),
    )
    for name, there, recorded in told:
        if there != recorded:
            message = f"its {name} is not that of run {pointer.run_id}"
            yield Finding(place=layout.POINTER, fault=Fault.MISMATCH, message=message)
