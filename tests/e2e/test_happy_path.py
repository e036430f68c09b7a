"""From `kubectl apply` to an adapter: the tiny model, whole."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from cluster import dashboards
from cluster.prometheus import Prometheus
from e2e.installation import Installation
from e2e.objects import BASE, OUTPUT
from e2e.story import MONITORING, Story
from e2e.tenant import condition
from peft import PeftModel
from transformers import AutoModelForCausalLM

pytestmark = pytest.mark.e2e

VERDICTS = {"Promote", "Inconclusive", "Reject", "NotNeeded"}
STAGES = ("prepare", "train", "judge")
ROOT = Path(__file__).parents[2]
SMALL_IMAGE_BYTES = 500_000_000


def test_the_small_image_is_small(installed: Installation) -> None:
    assert installed.images["tunekeeper"].bytes <= SMALL_IMAGE_BYTES


@pytest.mark.parametrize("name", ["tunekeeper", "tunekeeper-trainer"])
def test_an_image_says_of_which_version_and_commit_it_is(
    installed: Installation, name: str
) -> None:
    prefix = "org.opencontainers.image"
    labels = installed.images[name].labels
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()  # noqa: S607
    assert labels[f"{prefix}.title"] == name
    assert labels[f"{prefix}.version"] == "0.1.0"
    assert labels[f"{prefix}.revision"].startswith(head)


def test_a_job_ends_with_a_verdict(undisturbed: Story) -> None:
    status = undisturbed.end
    assert condition(status, "Succeeded")[0] == "True", status
    assert condition(status, "Finished")[0] == "True"
    assert status["phase"] == "Succeeded"
    assert status["evaluation"]["verdict"] in VERDICTS


def test_progress_moves_while_it_trains(undisturbed: Story) -> None:
    reports = [one["progress"] for one in undisturbed.statuses if one.get("progress")]
    steps = {one["step"] for one in reports if one["stage"] == "train"}
    assert len(steps) >= 3, reports


def test_each_stage_ran_once(undisturbed: Story) -> None:
    tenant = undisturbed.sample.tenant
    jobs = {stage: len(tenant.stage_jobs(undisturbed.job, stage)) for stage in STAGES}
    assert jobs == dict.fromkeys(STAGES, 1)


def test_its_events_tell_of_the_start_and_the_verdict(undisturbed: Story) -> None:
    events = undisturbed.sample.tenant.events(undisturbed.job)
    wanted = {"RunStarted", undisturbed.end["evaluation"]["verdict"]}
    assert wanted <= {one["reason"] for one in events}, events


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft's own use
def test_the_adapter_in_the_store_loads_with_plain_peft(undisturbed: Story, tmp_path: Path) -> None:
    adapter, base = tmp_path / "adapter", tmp_path / "base"
    objects = undisturbed.sample.objects
    objects.get_tree(BASE, "tiny/", base)
    objects.get_tree(OUTPUT, adapter_prefix(undisturbed), adapter)
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    tokens = torch.tensor([[3, 4, 5]])
    with torch.no_grad(), tuned.disable_adapter():
        before = tuned(tokens).logits
    with torch.no_grad():
        assert not torch.equal(tuned(tokens).logits, before)


def adapter_prefix(story: Story) -> str:
    """Where the run's one adapter is."""
    run = f"{story.sample.output(story.job)}/runs/{story.end['run']['id']}/"
    keys = story.sample.objects.server.keys(OUTPUT, run)
    configs = [key for key in keys if key.endswith("/adapter/adapter_config.json")]
    assert len(configs) == 1, json.dumps(keys, indent=1)
    return configs[0].removesuffix("adapter_config.json")


def test_every_panel_of_the_dashboards_had_data(undisturbed: Story) -> None:
    assert undisturbed.unanswered == []


def test_the_variables_of_the_dashboards_offer_the_job(
    undisturbed: Story, prometheus: Prometheus
) -> None:
    values = {"namespace": undisturbed.sample.tenant.namespace, "finetunejob": undisturbed.job}
    for path in sorted((MONITORING / "dashboards").glob("*.json")):
        for variable in dashboards.variables(dashboards.load(path)):
            found = prometheus.series(dashboards.filled(variable.selector, values))
            offered = {one[variable.label] for one in found}
            assert offered
            assert values.get(variable.name) in {None, *offered}
