"""Which files are the base model, and which of them a run cannot do without.

The content digest covers weights, tokenizer, chat template and configs; READMEs do not count, so
an edit of a model card is no new base. Only files at the top count, as transformers reads them.
"""

from collections.abc import Collection, Iterable
from fnmatch import fnmatch
from pathlib import Path

from trainer.contract.errand import Cause
from trainer.errors import StageError
from trainer.sources.base import read_object, refused

SHARDS = ("*.safetensors",)
INDEXES = ("*.safetensors.index.json",)
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
COUNTED = (*SHARDS, *INDEXES, *TOKENIZER, *TEMPLATE, *CONFIGS)
MAX_COUNTED = 2000
"""The largest open models have a few hundred shards."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def counted(names: Iterable[str]) -> list[str]:
    """Those of the names that the content digest covers, sorted."""
    return sorted(name for name in names if "/" not in name and matches(name, COUNTED))


def is_weight(name: str) -> bool:
    """Whether the file holds tensors, which only training needs."""
    return matches(name, SHARDS)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns fits."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def check_names(place: str, names: Collection[str]) -> None:
    """Refuse, by the names alone, what no run could train on.

    Raises:
        StageError: what is missing, and how to get it.
    """
    check_counted(place, counted(names))
    if "config.json" not in names:
        raise refused(f"{place} has no config.json; give what save_pretrained() wrote")
    if "tokenizer.json" not in names:
        message = f"{place} has no tokenizer.json; save the tokenizer there with save_pretrained()"
        raise refused(message)
    if not any("/" not in name and is_weight(name) for name in names):
        raise no_weights(place, names)


def check_counted(place: str, names: Collection[str]) -> None:
    """Refuse more files than a model has, and names that would make the digest ambiguous."""
    if len(names) > MAX_COUNTED:
        message = f"{place} has {len(names)} model files, {MAX_COUNTED} are read; name one model"
        raise refused(message)
    for name in names:
        if not name.isprintable():
            raise refused(
                f"{place} has a file named {name!r}; rename it without control characters"
            )


def no_weights(place: str, names: Iterable[str]) -> StageError:
    """Why there is nothing to train, and what to do."""
    pickled = sorted(name for name in names if matches(name, PICKLES))
    if not pickled:
        return refused(f"{place} has no *.safetensors file; put the model's weights there")
    message = (
        f"{place} has its weights only as pickle ({pickled[0]}), which can run code when it is "
        f"read; load it once where you trust it and save it again with "
        f"save_pretrained(safe_serialization=True)"
    )
    return refused(message, cause=Cause.UNSAFE_WEIGHTS)


def check_contents(place: str, path: Path, names: Collection[str]) -> None:
    """Refuse an unreadable config, and weights of which a part is missing among ``names``.

    Raises:
        StageError: what is wrong, and where.
    """
    read_object(path / "config.json")
    for index in sorted(name for name in names if matches(name, INDEXES)):
        shards = read_object(path / index).get("weight_map")
        named = set(map(str, shards.values())) if isinstance(shards, dict) else set()
        missing = sorted(named - set(names))
        if missing:
            message = f"{place} lacks {missing[0]}, which {index} names; complete the download"
            raise refused(message)
