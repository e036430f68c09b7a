"""A run that is to be put in use by name: is it one of this output, whole, and what it was?"""

from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Promoted
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.checked import digest_names, read_manifest, sha256_file
from trainer.store.manifest import RunManifest
from trainer.store.removed import is_removed

NO_PART = "README.md"
"""The model card lies beside the adapter and is not covered by its digest."""
SHOWN = 5


class PinRefusedError(Exception):
    """The run cannot be put in use; the message says why and what to do."""

    def __init__(self, failure: FailureClass, message: str) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message


def usable_run(store: Store, run_id: str, work: Path, *, time: str) -> Promoted:
    """The run as a candidate for the pointer, each file of its adapter hashed again.

    Raises:
        PinRefusedError: it is none.
        StageError: the store cannot be read now.
    """
    manifest = _manifest(store, run_id)
    _check_files(store, manifest, work)
    adapter = layout.epoch(run_id, manifest.epoch, "adapter")
    return Promoted(
        run_id=run_id,
        adapter_uri=f"{store.uri}/{adapter}",
        adapter_digest=manifest.adapter_digest,
        base_revision=manifest.base.revision,
        base_digest=manifest.base.content_digest,
        time=time,
    )


def _manifest(store: Store, run_id: str) -> RunManifest:
    try:
        manifest = read_manifest(store, run_id)
    except StageError as error:
        if error.failure is not FailureClass.INVALID_SPEC:
            raise
        raise PinRefusedError(error.failure, error.message) from None
    if manifest is None:
        raise _absent(store, run_id)
    if manifest.run_id != run_id:
        message = (
            f"{layout.manifest(run_id)} is that of run {manifest.run_id}; pin a run of this job"
        )
        raise PinRefusedError(FailureClass.INVALID_SPEC, message)
    return manifest


def _absent(store: Store, run_id: str) -> PinRefusedError:
    names = {entry.key.removeprefix(layout.run(run_id)) for entry in store.list(layout.run(run_id))}
    if is_removed(names):
        message = (
            f"run {run_id} is there no more: spec.output.keepRuns has removed its files; train it "
            f"again by its spec, or {_others(store)}"
        )
        return PinRefusedError(FailureClass.NOT_FOUND, message)
    if names:
        message = f"run {run_id} has not finished training: it has no manifest; {_others(store)}"
        return PinRefusedError(FailureClass.INVALID_SPEC, message)
    message = f"there is no run {run_id} in the job's output; {_others(store)}"
    return PinRefusedError(FailureClass.NOT_FOUND, message)


def _others(store: Store) -> str:
    keys = (entry.key for entry in store.list("runs/"))
    whole = [key.split("/")[1] for key in keys if key == layout.manifest(key.split("/")[1])]
    if not whole:
        return "it has no trained run that could be pinned"
    more = f" and {len(whole) - SHOWN} more" if len(whole) > SHOWN else ""
    return f"pin one of {', '.join(whole[:SHOWN])}{more}"


def _check_files(store: Store, manifest: RunManifest, work: Path) -> None:
    prefix = f"e{manifest.epoch}/adapter/"
    files = {
        name.removeprefix(prefix): sha256.removeprefix("sha256:")
        for name, sha256 in manifest.files.items()
        if name.startswith(prefix)
    }
    for name, sha256 in files.items():
        key = layout.run(manifest.run_id, f"{prefix}{name}")
        if _sha256(store, key, work) != sha256:
            raise _damaged(manifest, f"{key} is missing or not what it was")
    named = {name: sha256 for name, sha256 in files.items() if name != NO_PART}
    if digest_names(named) != manifest.adapter_digest:
        raise _damaged(manifest, "its files are not those of the adapter's digest")


def _sha256(store: Store, key: str, work: Path) -> str:
    path = work / "pinned"
    try:
        store.download(key, path)
    except MissingError:
        return ""
    found = sha256_file(path)
    path.unlink()
    return found


def _damaged(manifest: RunManifest, what: str) -> PinRefusedError:
    message = f"run {manifest.run_id} is damaged: {what}; restore its files, or pin another run"
    return PinRefusedError(FailureClass.INVALID_SPEC, message)
