"""docs/getting-started.md, step by step on a real API server; pods are played."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.docpages import blocks, command_lines
from builders.lives import in_use
from builders.operated import Desk, operated
from cluster.plane import ControlPlane

from trainer.contract.outcome import Details

PAGE = "docs/getting-started.md"
SHOWN = "ml"
"""The namespace of the page."""
NOT_HERE = ("rollout", "-w")
"""The operator is a process here, and nobody watches for ever."""


def steps(namespace: str) -> Iterator[list[str]]:
    """Every kubectl command of the page's blocks, in the namespace of the test."""
    for place, words in command_lines("kubectl"):
        is_block = place.startswith(f"{PAGE}:")
        if is_block and not any(word in words for word in NOT_HERE):
            yield [namespace if word == SHOWN else word for word in words]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where job.yaml of the page lies."""
    [job] = [b.text for b in blocks("yaml") if b.page == PAGE and b.text.startswith("# job.yaml")]
    (tmp_path / "job.yaml").write_text(job, encoding="utf-8")
    return tmp_path


def done(desk: Desk, words: list[str], folder: Path) -> str:
    """What a step says; the namespace is there already."""
    if words[:2] == ["create", "namespace"]:
        return ""
    words = [str(folder / word) if word == "job.yaml" else word for word in words]
    return desk.plane.kubectl(*words).stdout


def trained(desk: Desk) -> None:
    """The stages do their work, and the run is put in use."""
    for stage in ("prepare", "train"):
        desk.kubelet.pod(stage, job="support-intents").running().succeeded()
    judge = desk.kubelet.pod("judge", job="support-intents").running()
    judge.succeeded(Details(promoted=in_use()))


def test_the_page_leads_to_an_adapter_in_use(
    plane: ControlPlane, namespace: str, folder: Path
) -> None:
    with operated(plane, namespace) as desk:
        said = {}
        for words in steps(namespace):
            if "wait" in words:
                trained(desk)
            said[" ".join(words)] = done(desk, words, folder)
        told = {step: text for step, text in said.items() if "jsonpath" in step or "wait" in step}
        assert any("condition met" in text for text in told.values())
        assert said[f"-n {namespace} apply -f job.yaml"].endswith("support-intents created\n")
        [adapter] = [text for step, text in told.items() if "adapterURI" in step]
        assert adapter.strip() == in_use().adapter_uri
        secrets = plane.kubectl("get", "secrets", "-n", namespace, "-o", "name").stdout
        assert set(secrets.split()) == {"secret/adapters", "secret/training-data"}
