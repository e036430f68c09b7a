"""Two ranks under torchrun, on the CPU by gloo, train what one process trains."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builders.architectures import FAMILIES, folder_name, make_family
from builders.rank_cases import WINDOWS, run
from builders.tiny_weights import make_model
from safetensors.torch import load_file

from trainer.train.ranks import ALONE

TESTS = Path(__file__).parents[2]
EXACT = 1e-6
"""Relative, in float64; what is left is the order of sums."""


@dataclass(frozen=True)
class Left:
    """What one rank left behind."""

    folder: Path
    rank: int = 0

    def tensors(self, case: str) -> dict[str, Any]:
        return load_file(self.folder / f"rank-{self.rank} {case}.safetensors")

    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = json.loads((self.folder / f"rank-{self.rank}.json").read_text())
        return figures

    def micro(self, case: str) -> int:
        return int(self.figures()[case]["micro"])


def make_models(folder: Path) -> None:
    make_model(folder / "base")
    for family in FAMILIES:
        make_family(folder / "families", family)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Left:
    folder = tmp_path_factory.mktemp("alone")
    make_models(folder)
    run(folder, ALONE)
    return Left(folder)


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Left, Left]:
    folder = tmp_path_factory.mktemp("both")
    make_models(folder)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=0"]
    program = ["-m", "builders.rank_cases", str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", *torchrun, *program],
        env=environ,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return Left(folder, 0), Left(folder, 1)


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative difference of two sets of tensors."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).norm() / one[name].norm()) for name in one)


WAYS = [
    pytest.param("whole", id="batch 4, accumulation 1"),
    pytest.param("single", id="batch 1, accumulation 4"),
    pytest.param("padded", id="padded rows"),
]


@pytest.mark.parametrize("way", WAYS)
def test_two_ranks_have_the_gradients_and_the_adapter_of_one(alone, both, way):
    reference = alone.tensors("whole")
    assert {name.split()[1] for name in reference if name.startswith("gradient")} == {
        str(step) for step in range(len(WINDOWS))
    }
    assert difference(reference, alone.tensors(way)) < EXACT
    assert difference(reference, both[0].tensors(way)) < EXACT


@pytest.mark.parametrize("family", FAMILIES)
def test_two_ranks_train_every_family_as_one_does(alone, both, family):
    case = folder_name(family)
    assert difference(alone.tensors(case), both[0].tensors(case)) < EXACT
    assert both[1].figures()[case]["losses"] == pytest.approx(
        alone.figures()[case]["losses"], rel=EXACT
    )


@pytest.mark.parametrize("way", WAYS)
def test_every_rank_ends_with_the_same_bits(both, way):
    first, second = (rank.tensors(way) for rank in both)
    assert all(first[name].equal(second[name]) for name in first)


def test_losses_norms_and_evaluation_are_those_of_one(alone, both):
    one, two = alone.figures(), both[1].figures()
    assert two["whole"]["losses"] == pytest.approx(one["whole"]["losses"], rel=EXACT)
    assert two["whole"]["norms"] == pytest.approx(one["whole"]["norms"], rel=EXACT)
    assert two["evaluation"] == pytest.approx(one["evaluation"], rel=EXACT)


@pytest.mark.parametrize("case", ["short", "short backward"])
def test_when_one_rank_runs_out_of_memory_both_halve_and_the_result_stands(alone, both, case):
    micro = [rank.micro(case) for rank in both]
    assert micro[0] == micro[1] < both[0].micro("whole")
    assert difference(alone.tensors("whole"), both[0].tensors(case)) < EXACT


def test_an_evaluation_that_one_rank_does_not_hold_is_halved_by_both(alone, both):
    expected = alone.figures()["evaluation"]
    for rank in both:
        assert rank.figures()["short evaluation"] == pytest.approx(expected, rel=EXACT)


def test_a_row_that_one_rank_does_not_hold_fails_both_by_its_class(both):
    first, second = (rank.figures()["exhausted"] for rank in both)
    assert first == second
    assert (first["failure"], first["step"]) == ("GpuOutOfMemory", 0)


def test_a_loss_that_is_no_number_on_one_rank_ends_both_at_one_step(both):
    first, second = (rank.figures()["diverged"] for rank in both)
    assert first == second
    assert (first["failure"], first["step"]) == ("Diverged", 1)
    assert "at step 2 of 5: the loss is nan" in first["message"]


def test_dropout_of_two_ranks_goes_on_after_a_checkpoint_as_if_unbroken(both):
    unbroken, resumed = both[0].tensors("noise"), both[0].tensors("noise again")
    assert all(unbroken[name].equal(resumed[name]) for name in resumed)
    assert difference(both[0].tensors("whole"), unbroken) > EXACT


def test_one_rank_that_is_told_to_stop_stops_both_at_one_step_and_the_first_writes(both):
    first, second = (rank.figures()["stopped"] for rank in both)
    assert (first["failure"], first["step"]) == (second["failure"], second["step"])
    assert first["failure"] == "Interrupted"
    assert 0 < first["step"] < 12
    assert first["files"] > 0
    assert second["files"] == 0


def test_a_limit_that_is_over_on_one_rank_ends_both_at_one_step(both):
    first, second = (rank.figures()["limited"] for rank in both)
    assert first == second
    assert 0 < first["step"] < first["maxSteps"]


def test_what_the_first_rank_says_is_what_all_hear(both):
    assert {rank.figures()["said"] for rank in both} == {"by rank 0"}
