"""``output.merged``, asked for after training, trains nothing again."""

import pytest
import torch
from builders.staged import Line
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.lineage.target import inventory
from trainer.lineage.verify import verify
from trainer.store.checked import read_answers_manifest

WANTED, THIRD = ("sha256:" + name * 64 for name in "12")


def answers(line):
    found = read_answers_manifest(line.store, line.run_id, line.generation_hash)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A run without, then with a merged model, then with other settings of its answers."""
    line = Line(tmp_path_factory.mktemp("merged"))
    line.prepared()
    line.trained()
    line.first, line.before = answers(line), line.manifest
    line.sections["output"] = {"uri": f"file://{line.root}/output", "merged": True}
    line.generation_hash = WANTED
    line.prepared()
    line.trained()
    line.second, line.after = answers(line), line.manifest
    line.verdict = line.judged()
    line.generation_hash = THIRD
    line.prepared()
    line.trained()
    line.third = answers(line)
    return line


def test_it_is_written_when_it_is_wanted_and_nothing_is_trained_for_it(line):
    assert line.first.merged is None
    assert line.second.merged == f"e{line.second.epoch}/merged"
    assert line.after == line.before


def merged_folder(line):
    return line.root / "output" / "runs" / line.run_id / line.second.merged


def test_the_manifest_vouches_for_every_file_of_it(line):
    there = {f"{line.second.merged}/{path.name}" for path in merged_folder(line).iterdir()}
    assert there <= line.second.files.keys()
    assert f"{line.second.merged}/model.safetensors" in there
    assert not verify(line.store, inventory(line.store), whole=True).findings


def test_a_file_of_it_that_was_changed_is_found(line):
    config = merged_folder(line) / "config.json"
    before = config.read_bytes()
    config.write_text("{}")
    found = verify(line.store, inventory(line.store), whole=True).findings
    config.write_bytes(before)
    assert any("merged/config.json" in one.place for one in found)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_it_is_a_model_of_its_own_that_answers_as_the_adapter_does(line):
    merged = AutoModelForCausalLM.from_pretrained(merged_folder(line))
    base = AutoModelForCausalLM.from_pretrained(line.root / "base")
    adapter = merged_folder(line).parents[1] / f"e{line.before.epoch}" / "adapter"
    tokenizer = AutoTokenizer.from_pretrained(merged_folder(line))
    ids = tokenizer("where is my card", return_tensors="pt").input_ids
    with torch.no_grad():
        own, untuned = merged(ids).logits, base(ids).logits
        tuned = PeftModel.from_pretrained(base, adapter)(ids).logits
    assert (own - tuned).norm() <= 1e-5 * tuned.norm()
    assert (untuned - tuned).norm() > 1e-3 * tuned.norm()


def test_other_answers_of_the_same_adapter_take_it_over(line):
    assert line.third.merged == line.second.merged
    assert line.third.epoch > line.second.epoch
    own = {name for name in line.third.files if "/merged/" in name}
    assert own == {name for name in line.second.files if "/merged/" in name}


def test_the_report_says_where_it_lies(line):
    page = line.store.read(line.verdict.report_uri.removeprefix(f"{line.store.uri}/")).decode()
    assert f"{line.store.uri}/runs/{line.run_id}/{line.second.merged}" in page
