"""Edits of every kind of file in a model's repository, and which of them make another model."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

Files = dict[str, bytes]
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Edit:
    """A change of a model's files; ``moves`` says whether the content digest moves with it."""

    name: str
    change: Callable[[Files], Files]
    moves: bool


def changing(name: str, content: bytes | None = None) -> Callable[[Files], Files]:
    """The file with other content; by default one byte of what it has is another."""

    def change(files: Files) -> Files:
        old = files.get(name, b"{}")
        new = content if content is not None else old[:-1] + bytes([old[-1] ^ 0x0F])
        return files | {name: new}

    return change


def without(name: str) -> Callable[[Files], Files]:
    """The files but one."""
    return lambda files: {each: files[each] for each in files if each != name}


def renamed(old: str, new: str) -> Callable[[Files], Files]:
    """The same content by another name."""
    return lambda files: {new if each == old else each: files[each] for each in files}


def spaced(files: Files) -> Files:
    """JSON that means the same, written in another way: not understood, so another model."""
    return files | {"config.json": files["config.json"] + b"\n"}


EDITS = [
    Edit("one byte of the weights", changing(WEIGHTS), moves=True),
    Edit("longer weights", lambda files: files | {WEIGHTS: files[WEIGHTS] + b"x"}, moves=True),
    Edit("a second shard", changing("model-2.safetensors", b"w" * 99), moves=True),
    Edit("weights by another name", renamed(WEIGHTS, "weights.safetensors"), moves=True),
    Edit("tokenizer.json", changing("tokenizer.json"), moves=True),
    Edit("tokenizer_config.json", changing("tokenizer_config.json", b'{"a": 1}'), moves=True),
    Edit("special_tokens_map.json", changing("special_tokens_map.json"), moves=True),
    Edit("added_tokens.json", changing("added_tokens.json"), moves=True),
    Edit("vocab.json", changing("vocab.json"), moves=True),
    Edit("merges.txt", changing("merges.txt", b"a b"), moves=True),
    Edit("a sentencepiece model", changing("spiece.model", b"\x0a\x0b"), moves=True),
    Edit("chat_template.jinja", changing("chat_template.jinja"), moves=True),
    Edit("no chat template any more", without("chat_template.jinja"), moves=True),
    Edit("chat_template.json", changing("chat_template.json"), moves=True),
    Edit("config.json in another layout", spaced, moves=True),
    Edit("generation_config.json", changing("generation_config.json"), moves=True),
    Edit("an index", changing("model.safetensors.index.json", b'{"weight_map": {}}'), moves=True),
    Edit("README.md", changing("README.md", b"# better words"), moves=False),
    Edit("no README.md any more", without("README.md"), moves=False),
    Edit("LICENSE", changing("LICENSE", b"MIT"), moves=False),
    Edit(".gitattributes", changing(".gitattributes", b"*.bin filter=lfs"), moves=False),
    Edit("an image", changing("banner.png", b"\x89PNG"), moves=False),
    Edit("weights in a folder", changing("onnx/model.safetensors", b"other"), moves=False),
    Edit("a config in a folder", changing("original/config.json", b"{}"), moves=False),
    Edit("pickles beside the weights", changing("pytorch_model.bin", b"\x80\x04"), moves=False),
    Edit("code", changing("modeling_tiny.py", b"import os"), moves=False),
    Edit("a GGUF file", changing("tiny.gguf", b"GGUF"), moves=False),
    Edit("the same files again", dict, moves=False),
]

ALL_EDITS = [pytest.param(edit, id=edit.name) for edit in EDITS]


def a_repository(files: Files) -> Files:
    """A model with what lies around it in a repository."""
    return files | {"README.md": b"# tiny", "LICENSE": b"Apache-2.0", ".gitattributes": b""}
