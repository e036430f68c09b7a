"""Where a base model's files come from, and what exactly they are.

Owns the content digest: weights, tokenizer, chat template and configs count, READMEs do not, so
an edit of a model card is no new base.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.source import PinnedModel
from trainer.errors import StageError
from trainer.sources.digests import DigestCache
from trainer.store.checked import digest_names
from trainer.store.manifest import BaseBinding
from trainer.store.paths import below, storage_errors

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.model",
)
TEMPLATE = ("chat_template.jinja", "chat_template.json")
CONFIGS = ("config.json", "generation_config.json")
COUNTED = (*WEIGHTS, *TOKENIZER, *TEMPLATE, *CONFIGS)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")

LATER = {
    "hugging_face": "spec.baseModel.huggingFace",
    "git": "spec.baseModel.git",
    "s3": "spec.baseModel.s3",
}


@dataclass(frozen=True)
class ResolvedModel:
    """A base model on this machine; ``files`` maps each counted file to its sha256."""

    path: Path
    revision: str
    content_digest: str
    files: Mapping[str, str]


def resolve(
    source: PinnedModel,
    *,
    cache: Path,
    file_root: Path,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> ResolvedModel:
    """Find the model and prove what it is; ``on_bytes`` hears of the bytes that were hashed.

    Raises:
        StageError: it is not there, not complete, not safe, or not what the run has frozen.
    """
    path = directory_of(source, file_root)
    check_files(path)
    known = DigestCache(cache, on_bytes)
    with storage_errors(path):
        files = {name: known.sha256(path / name) for name in counted_names(path)}
    digest = digest_names(files)
    revision = digest.removeprefix("sha256:")[:12]
    check_frozen(source, path, revision, digest)
    return ResolvedModel(path, revision, digest, files)


def directory_of(source: PinnedModel, file_root: Path) -> Path:
    """The directory that the spec names.

    Raises:
        StageError: another kind of source, or no such directory.
    """
    if source.directory is None:
        field = LATER.get(str(source.kind), "spec.baseModel")
        message = f"{field} is not supported yet; use spec.baseModel.directory.path"
        raise StageError(FailureClass.INVALID_SPEC, message)
    field = "spec.baseModel.directory.path"
    path = below(Path(source.directory.path), file_root=file_root, field=field)
    if not path.is_dir():
        message = f"{field}: there is no directory {path}; put a model there or correct the path"
        raise StageError(FailureClass.NOT_FOUND, message)
    return path


def model_bytes(source: PinnedModel, *, file_root: Path) -> int:
    """Size of the files that count, for a progress bar."""
    path = directory_of(source, file_root)
    return sum((path / name).stat().st_size for name in counted_names(path))


def counted_names(path: Path) -> list[str]:
    """Files that the content digest covers."""
    return sorted(
        entry.name
        for entry in path.iterdir()
        if entry.is_file() and any(fnmatch(entry.name, pattern) for pattern in COUNTED)
    )


def check_files(path: Path) -> None:
    """Refuse a directory that no run could train on.

    Raises:
        StageError: what is missing, and how to get it.
    """
    check_config(path)
    if not (path / "tokenizer.json").is_file():
        message = f"{path} has no tokenizer.json; save the tokenizer there with save_pretrained()"
        raise refused(message)
    if any(path.glob("*.safetensors")):
        check_shards(path)
        return
    pickled = sorted(entry.name for pattern in PICKLES for entry in path.glob(pattern))
    if pickled:
        message = (
            f"{path} has its weights only as pickle ({pickled[0]}), which can run code when it is "
            f"read; load it once where you trust it and save it again with "
            f"save_pretrained(safe_serialization=True)"
        )
        raise refused(message)
    raise refused(f"{path} has no *.safetensors file; put the model's weights there")


def check_config(path: Path) -> None:
    """Refuse a directory without a readable config.json."""
    if not (path / "config.json").is_file():
        message = f"{path} has no config.json; name the directory that save_pretrained() wrote"
        raise refused(message)
    read_object(path / "config.json")


def check_shards(path: Path) -> None:
    """Refuse weights of which a part is missing."""
    for index in path.glob("*.safetensors.index.json"):
        shards = read_object(index).get("weight_map")
        names = set(shards.values()) if isinstance(shards, dict) else set()
        missing = sorted(str(name) for name in names if not (path / str(name)).is_file())
        if missing:
            message = f"{path} lacks {missing[0]}, which {index.name} names; complete the download"
            raise refused(message)


def check_frozen(source: PinnedModel, path: Path, revision: str, digest: str) -> None:
    """Refuse a model that is not the one the run began with."""
    if source.content_digest not in (None, digest):
        message = (
            f"{path} changed since this run began (content digest {digest[:19]}, frozen "
            f"{str(source.content_digest)[:19]}); put the old files back, or start a new run"
        )
        raise refused(message)
    if source.revision not in (None, revision):
        message = (
            f"{path} is revision {revision}, not spec.baseModel.revision {source.revision}; "
            f"remove the pin, or put that revision there"
        )
        raise refused(message)


def binding(resolved: ResolvedModel) -> BaseBinding:
    """What an adapter trained on this base has to be loaded on."""
    config = read_object(resolved.path / "config.json")
    text_config = config.get("text_config")
    size = config.get("vocab_size") or (
        text_config.get("vocab_size") if isinstance(text_config, dict) else None
    )
    return BaseBinding(
        source=str(resolved.path),
        revision=resolved.revision,
        content_digest=resolved.content_digest,
        config_sha256=resolved.files["config.json"],
        tokenizer_sha256=resolved.files["tokenizer.json"],
        template_sha256=template_sha256(resolved),
        vocabulary_size=size if isinstance(size, int) else 0,
    )


def template_sha256(resolved: ResolvedModel) -> str:
    """Digest of the chat template, wherever it is kept; empty: there is none."""
    for name in TEMPLATE:
        if name in resolved.files:
            return resolved.files[name]
    path = resolved.path / "tokenizer_config.json"
    template = read_object(path).get("chat_template") if path.is_file() else None
    if not template:
        return ""
    return sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()


def read_object(path: Path) -> dict[str, object]:
    """A JSON object.

    Raises:
        StageError: the file holds something else.
    """
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise refused(f"{path} is not a JSON object; save the model again")
    return document


def refused(message: str) -> StageError:
    """The user's mistake in the base model."""
    return StageError(FailureClass.INVALID_SPEC, f"spec.baseModel: {message}")
