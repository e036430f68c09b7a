"""What is recorded of a run beside its result."""

import json

import pytest
from builders.report import DIGEST, a_binding, a_lineage, a_plan, a_summary
from builders.requests import a_request, a_spec

from trainer.store.manifest import BaseBinding, Lineage, RunManifest
from trainer.train.lineage import asked, lineage_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def recorded(root, *, image="", **fields) -> Lineage:
    request = a_request(root, runId="0123456789abcdef", **fields)
    return lineage_of(
        request, a_plan(), image=image, created="2026-11-24T12:00:00Z", plan_sha256=""
    )


def test_the_record_holds_what_the_run_was_made_from(tmp_path):
    told = recorded(tmp_path, gitCommit=COMMIT, rerun="again", image=f"r.example/t:1@{DIGEST}")
    assert told.git_commit == COMMIT
    assert (told.image, told.image_digest) == (f"r.example/t:1@{DIGEST}", DIGEST)
    assert (told.rerun, told.seeds, told.contract_version) == ("again", {"training": 17}, 1)
    assert told.dataset_digest == DIGEST
    assert {"python", "torch", "transformers", "peft"} <= told.versions.keys()


def test_an_image_by_tag_has_a_name_and_no_digest(tmp_path):
    told = recorded(tmp_path, image="r.example:5000/t:1")
    assert (told.image, told.image_digest) == ("r.example:5000/t:1", "")


def test_the_spec_is_recorded_field_by_field_without_ways_and_thresholds(tmp_path):
    storage = {"endpoint": "https://s3.example", "secretRef": {"name": "keys"}}
    dataset = {**a_spec(tmp_path)["dataset"], "storage": storage, "instruction": "Be curt."}
    fields = asked(a_request(tmp_path, spec=a_spec(tmp_path, dataset=dataset)).spec)
    assert fields["lora.rank"] == 16
    assert fields["dataset.instruction"] == "Be curt."
    assert fields["evaluation.arms"] == ["ZeroShot", "FewShot", "RetrievedFewShot"]
    assert "evaluation.minDelta" not in fields
    assert not [path for path in fields if "secret" in path.lower() or "storage" in path]
    assert "keys" not in json.dumps(fields)


def test_a_login_in_a_url_is_not_recorded(tmp_path):
    source = {"git": {"url": "https://ada:hush@git.example/base.git"}}
    fields = asked(a_request(tmp_path, spec=a_spec(tmp_path, baseModel=source)).spec)
    assert fields["baseModel.git.url"] == "https://git.example/base.git"


@pytest.mark.parametrize("lineage", [None, a_lineage()], ids=["an older release's", "ours"])
def test_a_manifest_reads_as_it_was_written(lineage):
    manifest = RunManifest(
        run_id="0123456789abcdef",
        epoch=1,
        base=a_binding(),
        adapter_digest=DIGEST,
        files={},
        training=a_summary(),
        lineage=lineage,
    )
    text = manifest.model_dump_json(exclude_none=True)
    assert ("lineage" in text) is (lineage is not None)
    assert RunManifest.model_validate_json(text) == manifest


def test_a_binding_of_an_older_release_still_reads():
    old = a_binding().model_dump(mode="json", by_alias=True, exclude={"architecture"})
    assert BaseBinding.model_validate(old) == a_binding()
