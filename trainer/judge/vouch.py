"""The manifest of one judgement: it vouches for its files and for the manifests it relied on.

Written after the verdict. Its digests are those of what the store holds then, so that of two
judges that reach the same verdict at the same moment the last one describes what both left.
"""

from collections.abc import Iterable
from hashlib import sha256

from trainer.contract.request import StageRequest
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.manifest import EvaluationManifest

CARD = "README.md"
FILES = ("verdict.json", "report.json", "report.html", CARD)


def write(store: Store, request: StageRequest, evaluation_id: str, *, created: str) -> None:
    """Vouch for what lies there."""
    run_id, generation = request.run_id, request.generation_hash
    manifests = (layout.manifest(run_id), layout.answers_manifest(run_id, generation))
    files = [layout.evaluation(run_id, evaluation_id, name) for name in FILES]
    manifest = EvaluationManifest(
        run_id=run_id,
        evaluation_id=evaluation_id,
        created=created,
        generation_hash=generation,
        files=_digests(store, run_id, files),
        read=_digests(store, run_id, manifests),
    )
    key = layout.evaluation_manifest(run_id, evaluation_id)
    store.write(key, (manifest.model_dump_json(indent=2) + "\n").encode())


def _digests(store: Store, run_id: str, keys: Iterable[str]) -> dict[str, str]:
    """By key relative to the run; what is not there is left out."""
    found: dict[str, str] = {}
    for key in keys:
        try:
            found[key.removeprefix(layout.run(run_id))] = sha256(store.read(key)).hexdigest()
        except MissingError:
            continue
    return found
