"""A base model is whole, safe, and the one that the run has frozen."""

import json

import pytest
from builders.tiny_model import make_tokenizer

from trainer.contract.failures import FailureClass
from trainer.contract.source import PinnedModel
from trainer.errors import StageError
from trainer.sources.binding import binding
from trainer.sources.digests import DigestCache
from trainer.sources.resolve import resolve


@pytest.fixture
def base(tmp_path):
    return make_tokenizer(tmp_path / "base")


def resolved(tmp_path, **changes):
    source = {"directory": {"path": str(tmp_path / "base")}} | changes
    return resolve(PinnedModel.model_validate(source), cache=tmp_path / "cache", file_root=tmp_path)


def test_the_binding_names_what_an_adapter_needs(tmp_path, base):
    bound = binding(resolved(tmp_path))
    config = json.loads((base / "config.json").read_text())
    assert bound.vocabulary_size == config["vocab_size"]
    assert bound.content_digest.startswith(f"sha256:{bound.revision}")
    assert bound.template_sha256


def test_a_nested_vocabulary_size_is_found(tmp_path, base):
    config = json.loads((base / "config.json").read_text())
    nested = {"model_type": "mm", "text_config": {"vocab_size": config["vocab_size"]}}
    (base / "config.json").write_text(json.dumps(nested))
    assert binding(resolved(tmp_path)).vocabulary_size == config["vocab_size"]


CHANGES = [
    pytest.param("README.md", False, id="a README is no new base"),
    pytest.param("notes.txt", False, id="a note is no new base"),
    pytest.param("chat_template.jinja", True, id="another template is a new base"),
    pytest.param("config.json", True, id="another config is a new base"),
    pytest.param("tokenizer_config.json", True, id="other tokenizer settings are a new base"),
    pytest.param("model.safetensors", True, id="other weights are a new base"),
]


@pytest.mark.parametrize(("name", "is_new"), CHANGES)
def test_only_files_that_matter_change_the_digest(tmp_path, base, name, is_new):
    before = resolved(tmp_path).content_digest
    path = base / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")
    assert (resolved(tmp_path).content_digest != before) is is_new


def no_config(base):
    (base / "config.json").unlink()


def broken_config(base):
    (base / "config.json").write_text("[")


def no_tokenizer(base):
    (base / "tokenizer.json").unlink()


def no_weights(base):
    (base / "model.safetensors").unlink()


def pickled_weights(base):
    (base / "model.safetensors").rename(base / "pytorch_model.bin")


def missing_shard(base):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))


def an_adapter(base):
    (base / "adapter_config.json").write_text("{}")


FAULTS = [
    pytest.param(an_adapter, "loaded with the model unasked", id="an adapter beside the weights"),
    pytest.param(no_config, "no config.json", id="a directory without config"),
    pytest.param(broken_config, "not a JSON object", id="a config that is no JSON"),
    pytest.param(no_tokenizer, "no tokenizer.json", id="a directory without tokenizer"),
    pytest.param(no_weights, "no \\*.safetensors", id="a directory without weights"),
    pytest.param(pickled_weights, "only as pickle", id="weights only as pickle"),
    pytest.param(missing_shard, "complete the download", id="a missing shard"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS)
def test_a_directory_that_cannot_be_trained_on_is_refused(tmp_path, base, damage, message):
    damage(base)
    with pytest.raises(StageError, match=message) as caught:
        resolved(tmp_path)
    assert caught.value.failure is FailureClass.INVALID_SPEC
    assert str(base) in caught.value.message


SOURCES = [
    pytest.param(
        {"directory": {"path": "/none/here"}}, FailureClass.ACCESS_DENIED, id="outside the root"
    ),
    pytest.param({"directory": None}, FailureClass.INVALID_SPEC, id="no source at all"),
    pytest.param({"revision": "0" * 40}, FailureClass.INVALID_SPEC, id="another revision"),
    pytest.param(
        {"contentDigest": "sha256:" + "0" * 64}, FailureClass.INVALID_SPEC, id="changed since"
    ),
]


@pytest.mark.parametrize(("change", "expected"), SOURCES)
def test_a_source_that_is_not_what_was_asked_for_is_refused(tmp_path, base, change, expected):
    assert base.is_dir()
    with pytest.raises(StageError) as caught:
        resolved(tmp_path, **change)
    assert caught.value.failure is expected


def test_a_missing_directory_is_not_found(tmp_path):
    with pytest.raises(StageError, match="there is no directory") as caught:
        resolved(tmp_path)
    assert caught.value.failure is FailureClass.NOT_FOUND


def test_a_large_file_is_hashed_once_and_again_when_it_changed(tmp_path):
    path, read = tmp_path / "weights", []
    path.write_bytes(b"a" * (9 << 20))
    first = DigestCache(tmp_path / "cache", lambda _count: None).sha256(path)
    assert DigestCache(tmp_path / "cache", read.append).sha256(path) == first
    assert read == [9 << 20]  # reported in one piece: it was not read
    path.write_bytes(b"b" * (9 << 20))
    assert DigestCache(tmp_path / "cache", read.append).sha256(path) != first


def test_a_damaged_memory_of_digests_only_costs_time(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"a" * (9 << 20))
    cache = DigestCache(tmp_path / "cache", lambda _count: None)
    first = cache.sha256(path)
    for memory in (tmp_path / "cache" / "digests").iterdir():
        memory.write_text('{"identity": [], "sha256": "no"}')
    assert cache.sha256(path) == first


def test_what_lies_on_the_cache_volume_is_read_in_full_each_time(tmp_path):
    base = make_tokenizer(tmp_path / "cache" / "base")
    (base / "model.safetensors").write_bytes(b"a" * (9 << 20))
    source = PinnedModel.model_validate({"directory": {"path": str(base)}})
    for _ in range(2):
        read = []
        resolve(source, cache=tmp_path / "cache", file_root=tmp_path, on_bytes=read.append)
        assert max(read) == 1 << 20  # in blocks: a remembered file is reported in one piece
    assert not (tmp_path / "cache" / "digests").exists()
