"""What a real run leaves behind, told and verified by the real command."""

import json

import pytest
import yaml
from builders.whole_run import Desk
from huggingface_hub import ModelCard


def test_the_manifest_says_what_the_run_was_made_from(first_run: Desk):
    (manifest,) = first_run.documents("runs/*/manifest.json")
    lineage = manifest["lineage"]
    assert lineage["name"] == "tiny"
    assert lineage["seeds"] == {"training": 17}
    assert lineage["spec"]["lora.rank"] == 2
    assert {"python", "torch", "transformers", "peft", "tunekeeper"} <= lineage["versions"].keys()
    assert manifest["base"]["architecture"].endswith("ForCausalLM")


def test_the_model_card_is_one_that_a_hub_reads(first_run: Desk):
    (card,) = first_run.output.glob("runs/*/e1/adapter/README.md")
    (judged,) = first_run.output.glob("runs/*/evaluations/*/README.md")
    (manifest,) = first_run.documents("runs/*/manifest.json")
    data = ModelCard.load(card).data.to_dict()
    assert data["library_name"] == "peft"
    assert data["tunekeeper"]["run"] == manifest["runId"]
    assert data["tunekeeper"]["base_digest"] == manifest["base"]["contentDigest"]
    assert ModelCard.load(judged).data.eval_results


def test_history_verify_and_diff_of_a_real_output(first_run: Desk):
    told = first_run.tunekeeper("history", "job.yaml", "--json")
    assert told.returncode == 0, told.stderr
    (run,) = json.loads(told.stdout)["runs"]
    assert (run["state"], run["promoted"], run["causes"]) == ("Judged", True, ["First"])
    verified = first_run.tunekeeper("verify", "job.yaml")
    assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout
    assert verified.stdout.startswith("OK: ")
    same = first_run.tunekeeper("diff", run["id"], run["id"][:5], "--output", "job.yaml", "--json")
    assert same.returncode == 0, same.stderr
    assert json.loads(same.stdout)["changes"]["better"] == 0


@pytest.mark.parametrize(
    "pattern", ["runs/*/e1/adapter/adapter_model.safetensors", "runs/*/prepared/plan.json"]
)
def test_verify_finds_one_changed_byte(run_again: Desk, pattern):
    (path,) = run_again.output.glob(pattern)
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(bytes(data))
    ended = run_again.tunekeeper("verify", "job.yaml")
    assert ended.returncode == 2
    assert path.relative_to(run_again.output).as_posix() in ended.stdout


def test_another_rank_is_a_run_that_history_explains_and_diff_shows(run_again: Desk):
    run_again.write_job(lora={"rank": 4, "alpha": 4})
    file = run_again.root / "job.yaml"
    document = yaml.safe_load(file.read_text())
    commit = "0123456789abcdef0123456789abcdef01234567"
    document["metadata"]["annotations"] = {"tunekeeper.dev/git-commit": commit}
    file.write_text(yaml.safe_dump(document))
    assert run_again.tunekeeper("run", "job.yaml").returncode == 0
    told = run_again.tunekeeper("history", "job.yaml", "--json", "--html", "history.html")
    first, second = json.loads(told.stdout)["runs"]
    assert (second["causes"], second["gitCommit"]) == (["SpecChanged"], commit)
    assert (run_again.root / "history.html").read_text().startswith("<!DOCTYPE html>")
    found = run_again.tunekeeper(
        "diff", first["id"], second["id"], "--output", "job.yaml", "--json"
    )
    differing = {one["field"]: (one["a"], one["b"]) for one in json.loads(found.stdout)["spec"]}
    assert differing["lora.rank"] == (2, 4)
    assert run_again.tunekeeper("verify", "job.yaml").returncode == 0
