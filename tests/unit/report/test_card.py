import pytest
import yaml
from builders.hostile import HOSTILE
from builders.report import (
    DIGEST,
    a_binding,
    a_data_report,
    a_judgement,
    a_lineage,
    a_plan,
    a_summary,
)
from builders.requests import ZERO, a_request, a_spec
from huggingface_hub import ModelCard

from trainer.contract.base import Wire
from trainer.report.card import model_card, plain

HUB = {"huggingFace": {"repo": "acme/small-1b"}}


def a_card(root, *, judgement=None, plan=None, lineage=None, **sections):
    request = a_request(root, spec=a_spec(root, **sections))
    return model_card(plan or a_plan(), request, a_summary(), judgement, lineage=lineage)


def front_matter(card):
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    return yaml.safe_load(head), body


def test_the_front_matter_is_what_a_hub_reads(tmp_path):
    fields, _ = front_matter(a_card(tmp_path, baseModel=HUB))
    assert fields == {
        "base_model": "acme/small-1b",
        "base_model_relation": "adapter",
        "base_model_revision": a_binding().revision,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "sft", "tunekeeper"],
        "tunekeeper": {
            "base_digest": DIGEST,
            "dataset_digest": DIGEST,
            "spec_hash": ZERO,
            "identity_hash": ZERO,
        },
    }


def test_a_hubs_own_library_reads_the_metadata_with_the_score(tmp_path):
    card = a_card(
        tmp_path,
        judgement=a_judgement(),
        plan=a_plan(base_license="apache-2.0"),
        lineage=a_lineage(),
        baseModel=HUB,
    )
    data = ModelCard(card).data
    assert (data.base_model, data.license, data.library_name) == (
        "acme/small-1b",
        "apache-2.0",
        "peft",
    )
    [result] = data.eval_results
    assert (result.metric_type, result.metric_value) == ("json_match", 0.533)
    assert result.metric_name.endswith("interval 44.4 to 62.0 %)")
    assert result.dataset_revision == DIGEST
    told = data.to_dict()["tunekeeper"]
    assert told["git_commit"] == a_lineage().git_commit
    assert told["versions"] == a_lineage().versions


def test_the_card_says_what_it_was_made_from(tmp_path):
    lineage = a_lineage()
    card = a_card(tmp_path, lineage=lineage)
    assert f"| Commit of the manifest | {lineage.git_commit} |" in card
    assert "| Image | registry.example/trainer@sha256:" in card
    assert "## Lineage" not in a_card(tmp_path)


def test_a_base_from_a_directory_is_not_claimed_to_be_on_a_hub(tmp_path):
    fields, body = front_matter(a_card(tmp_path))
    assert "base_model" not in fields
    assert str(tmp_path) not in body


@pytest.mark.parametrize(
    "line",
    [
        "| Rows for training | 352 rows |",
        "| Rows for the test | 120 rows, never trained on |",
        f"| Dataset digest | {DIGEST} |",
        f"| Digest of test | {DIGEST} |",
        "| Adapter | LoRA, rank 16, alpha 32 |",
        "| Learning rate | 0.0005, Cosine |",
        "| Warm-up | 3 % of the steps |",
        "| Batch | 1,024 tokens per optimizer step |",
        "| Best validation loss | 0.214 nats per token, at step 70 |",
        "| Speed | 412.0 tokens/s |",
        "| Peak memory | 3.1 GB |",
        f"| Content digest | {DIGEST} |",
        "| Vocabulary | 49,152 tokens |",
    ],
)
def test_the_card_says(tmp_path, line):
    assert line in a_card(tmp_path)


def test_the_card_holds_no_errors_warnings_or_places_of_the_data(tmp_path):
    card = a_card(tmp_path, plan=a_plan(data=a_data_report(warnings=["seen in row 7"])))
    assert "row 7" not in card
    assert "train.jsonl" not in card


def test_scores_are_in_the_card_once_there_are_any(tmp_path):
    assert "## Evaluation" not in a_card(tmp_path)
    card = a_card(tmp_path, judgement=a_judgement())
    assert "| Arm | JsonMatch score | Interval | Test items |" in card
    assert "| Tuned | 53.3 % | 44.4 to 62.0 % | 120 items |" in card


def test_an_instruction_that_belongs_to_the_prompt_is_mentioned_and_not_shown(tmp_path):
    dataset = a_spec(tmp_path)["dataset"]
    assert "dataset.instruction" not in a_card(tmp_path)
    card = a_card(tmp_path, dataset=dataset | {"instruction": "Be curt."})
    assert "dataset.instruction" in card
    assert "Be curt." not in card


@pytest.mark.parametrize("text", [*HOSTILE[1:8], "a | b", "line\n# heading", "[x](http://y)"])
def test_a_hostile_name_stays_text_in_its_cell(tmp_path, text):
    base = a_binding().model_copy(update={"source": text})
    card = a_card(tmp_path, plan=a_plan(base=base))
    assert f"| Source | {plain(text)} |\n" in card
    unescaped = card.replace(plain(text), "").replace(r"\|", "")
    assert unescaped == a_card(tmp_path).replace(plain(a_binding().source), "").replace(r"\|", "")


def test_markdown_that_means_something_is_escaped():
    assert plain("<b>*x*|`y`\n# z") == r"\<b\>\*x\*\|\`y\` \# z"


def test_a_card_can_be_made_for_every_part_that_may_be_missing(tmp_path):
    fit: Wire = a_summary().overfitting.model_copy(update={"best_validation_loss": None})
    summary = a_summary().model_copy(update={"overfitting": fit, "versions": {}})
    card = model_card(a_plan(), a_request(tmp_path), summary)
    assert "| Best validation loss | not measured |" in card
    assert "| Versions | not recorded |" in card
