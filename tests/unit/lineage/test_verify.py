"""Everything in an output is what its manifests say, or verify finds the place."""

import json
from pathlib import Path

import pytest
from builders.outputs import AnOutput, better

from trainer.contract.lineage import Fault, Verification, VerifyProgress
from trainer.lineage.target import inventory, one_run
from trainer.lineage.verify import verify


@pytest.fixture
def output(tmp_path) -> AnOutput:
    return AnOutput(tmp_path)


def checked(output: AnOutput) -> Verification:
    return verify(output.store, inventory(output.store), whole=True)


def faults(found: Verification) -> dict[str, Fault]:
    return {finding.place: finding.fault for finding in found.findings}


def test_an_untouched_output_is_all_good(output):
    output.run()
    output.run(base="base two")
    found = checked(output)
    assert found.findings == []
    assert found.ok
    assert [run.state for run in found.runs] == ["Judged", "Judged"]
    assert found.files > 20
    assert found.notes == []


VOUCHED = [
    "prepared/plan.json",
    "prepared/train.arrow",
    "prepared/validation.arrow",
    "prepared/test.arrow",
    "prepared/data-report.json",
    "manifest.json",
    "e1/adapter/adapter_config.json",
    "e1/adapter/adapter_model.safetensors",
    "e1/adapter/base.json",
    "e1/metrics.jsonl",
    "e1/answers.jsonl",
    "e1/forgetting.json",
    "generations/*.json",
    "evaluations/*/verdict.json",
    "evaluations/*/report.json",
    "evaluations/*/report.html",
    "evaluations/*/README.md",
]


def a_file(output: AnOutput, pattern: str) -> Path:
    [path] = (output.root / "output").glob(f"runs/*/{pattern}")
    return path


def key_of(output: AnOutput, path: Path) -> str:
    return path.relative_to(output.root / "output").as_posix()


@pytest.mark.parametrize("pattern", VOUCHED)
def test_one_changed_byte_is_found_in(output, pattern):
    output.run()
    path = a_file(output, pattern)
    data = bytearray(path.read_bytes())
    at = data.index(b"0") if b"0" in data else len(data) // 2
    data[at] ^= 1  # a digit stays a digit: what can be parsed still can
    path.write_bytes(bytes(data))
    found = checked(output)
    assert not found.ok
    assert key_of(output, path) in faults(found)


@pytest.mark.parametrize("pattern", VOUCHED)
def test_a_file_that_is_gone_is_found_missing(output, pattern):
    output.run()
    path = a_file(output, pattern)
    path.unlink()
    assert faults(checked(output)).get(key_of(output, path)) is Fault.MISSING


@pytest.mark.parametrize(
    ("pattern", "data"),
    [
        pytest.param("manifest.json", b"{", id="a run's manifest"),
        pytest.param("generations/*.json", b"[]", id="an answers' manifest"),
        pytest.param("prepared/plan.json", b"", id="a plan"),
        pytest.param("evaluations/*/manifest.json", b"\xff\xfe", id="a judgement's manifest"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_and_the_rest_is_checked(output, pattern, data):
    output.run()
    path = a_file(output, pattern)
    path.write_bytes(data)
    found = checked(output)
    assert Fault.UNREADABLE in {
        finding.fault for finding in found.findings if finding.place == key_of(output, path)
    }
    assert found.files > 0


@pytest.mark.parametrize("name", ["owner.json", "split.json", "test-ledger.json", "promoted.json"])
def test_a_damaged_document_of_the_output_is_found(output, name):
    output.run()
    output.store.write(name, b'{"cut')
    assert faults(checked(output))[name] is Fault.UNREADABLE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("adapterDigest", "sha256:" + "0" * 64),
        ("baseRevision", "elsewhere"),
        ("baseDigest", "sha256:" + "0" * 64),
    ],
)
def test_a_pointer_that_says_something_else_than_its_run_is_found(output, field, value):
    output.run()
    pointer = json.loads(output.store.read("promoted.json"))
    output.store.write("promoted.json", json.dumps(pointer | {field: value}).encode())
    found = checked(output)
    assert faults(found) == {"promoted.json": Fault.MISMATCH}
    assert field in found.findings[0].message


def test_a_pointer_at_a_run_that_is_not_there_is_found(output):
    output.run()
    pointer = json.loads(output.store.read("promoted.json"))
    output.store.write("promoted.json", json.dumps(pointer | {"runId": "f" * 16}).encode())
    assert faults(checked(output)) == {"promoted.json": Fault.MISSING}


def test_moves_that_a_later_release_keeps_in_the_pointer_are_no_fault(output):
    run_id = output.run()
    pointer = json.loads(output.store.read("promoted.json"))
    moves = [{"sequence": 1, "runId": run_id, "time": pointer["time"], "by": "Policy"}]
    output.store.write("promoted.json", json.dumps(pointer | {"moves": moves}).encode())
    assert checked(output).ok


def test_what_no_manifest_names_is_extra_in_the_winning_epoch_alone(output):
    run_id = output.run()
    planted = f"runs/{run_id}/e1/adapter/pytorch_model.bin"
    output.store.write(planted, b"x")
    for left_over in ("e1/answers/0000/ZeroShot/00000.jsonl", "e2/adapter/base.json"):
        output.store.write(f"runs/{run_id}/{left_over}", b"x")
    assert faults(checked(output)) == {planted: Fault.EXTRA}


def test_a_record_that_does_not_give_the_runs_id_is_found(output):
    run_id = output.run(judged=False)
    key = f"runs/{run_id}/manifest.json"
    manifest = json.loads(output.store.read(key))
    manifest["lineage"]["rerun"] = "another"
    output.store.write(key, json.dumps(manifest).encode())
    assert faults(checked(output)) == {key: Fault.MISMATCH}


def test_a_manifest_may_not_make_it_read_outside_the_run(output):
    run_id = output.run(judged=False)
    key = f"runs/{run_id}/manifest.json"
    manifest = json.loads(output.store.read(key))
    manifest["files"]["../../../secret"] = "0" * 64
    output.store.write(key, json.dumps(manifest).encode())
    (output.root / "secret").write_text("hush")
    assert Fault.MISSING in faults(checked(output)).values()


@pytest.mark.parametrize("judged", [True, False])
def test_an_older_releases_run_is_checked_as_far_as_it_vouches(output, judged):
    run_id = output.run(recorded=False, judged=judged)
    for left in output.store.list(f"runs/{run_id}/evaluations/"):
        if left.key.endswith("/manifest.json"):
            output.store.delete(left.key)
    found = checked(output)
    assert found.ok
    assert len(found.notes) == int(judged)


def test_a_run_that_broke_off_is_no_fault(output):
    output.run(better(20, 50))
    begun = output.begun()
    found = checked(output)
    assert found.ok
    assert {run.id: run.state for run in found.runs}[begun] == "Begun"


def test_a_run_that_needed_no_training_has_nothing_missing(output):
    output.run({"ZeroShot": [1.0] * 60}, evaluation={"whenNotNeeded": "Stop", "targetScore": "0.5"})
    assert checked(output).findings == []


def test_answers_without_the_adapter_that_gave_them_miss_its_manifest(output):
    run_id = output.run()
    output.store.delete(f"runs/{run_id}/manifest.json")
    assert faults(checked(output))[f"runs/{run_id}/manifest.json"] is Fault.MISSING


def test_one_run_is_checked_alone(output):
    first, second = output.run(), output.run(base="base two")
    output.store.write(f"runs/{second}/e1/metrics.jsonl", b"damaged")
    assert verify(output.store, one_run(output.store, first), whole=False).ok
    assert not verify(output.store, one_run(output.store, second), whole=False).ok


def test_progress_counts_every_byte(output):
    output.run()
    told: list[VerifyProgress] = []
    found = verify(output.store, inventory(output.store), whole=True, tell=told.append)
    assert (told[0].done, told[0].total) == (0, found.bytes)
    assert (told[-1].done, told[-1].total) == (found.bytes, found.bytes)
