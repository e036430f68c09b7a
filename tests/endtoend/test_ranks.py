"""The train stage as two ranks on the CPU: whole, stopped, resumed by one or two, killed."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.ranked import Outpost
from cluster.process import wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass

LOOSE = 1e-5
"""Relative, in FP32 over 100 steps of which each amplifies the order of sums of the one before."""

TORCHRUN = (
    *("-m", "torch.distributed.run"),
    *("--standalone", "--nproc-per-node=2", "--max-restarts=0"),
    *("-m", "trainer"),
)
"""Which an operator of a cluster may use instead of ``--ranks 2``."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, tiny_base: Path) -> Outpost:
    return Outpost(tmp_path_factory.mktemp("prepared")).prepared(tiny_base)


@pytest.fixture(scope="module")
def one(prepared: Outpost, tmp_path_factory) -> Outpost:
    """Trained by one process."""
    post = prepared.copied(tmp_path_factory.mktemp("one"))
    assert post.start("train").wait(300) == 0, post.log
    return post


@pytest.fixture(scope="module")
def stopped(prepared: Outpost, tmp_path_factory) -> Outpost:
    """Two ranks, told to end once the first checkpoint was there."""
    post = prepared.copied(tmp_path_factory.mktemp("stopped"))
    launcher = training(post)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(120) == EXIT_CODES[FailureClass.INTERRUPTED], post.log
    return post


@pytest.fixture(scope="module")
def two(stopped: Outpost, tmp_path_factory) -> Outpost:
    """Two ranks went on where two were stopped."""
    return resumed(stopped, tmp_path_factory.mktemp("two"), "--ranks", "2")


def training(post: Outpost) -> "subprocess.Popen[bytes]":
    """Two ranks under way: a checkpoint is there."""
    launcher = post.start("train", "--ranks", "2")

    def is_saved() -> bool:
        assert launcher.poll() is None, post.log
        return bool(list(post.folder.glob("e*/checkpoints/*/manifest.json")))

    wait_until(is_saved, "a checkpoint", timeout_s=200)
    return launcher


def resumed(stopped: Outpost, root: Path, *options: str) -> Outpost:
    post = stopped.copied(root)
    assert post.start("train", *options).wait(300) == 0, post.log
    return post


def difference(left: Outpost, right: Outpost) -> float:
    """The largest relative difference of two adapters' tensors."""
    ours, theirs = left.adapter(), right.adapter()
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).norm() / ours[name].norm()) for name in ours)


def test_sigterm_ends_both_ranks_with_a_checkpoint_and_one_last_word(stopped: Outpost) -> None:
    said = stopped.outcome()
    assert said.failure is FailureClass.INTERRUPTED
    assert said.checkpoint_step > 0
    assert list(stopped.folder.glob(f"e1/checkpoints/step-{said.checkpoint_step:08d}/*"))
    assert not (stopped.folder / "manifest.json").exists()


def test_two_ranks_go_on_and_train_what_one_trains(one: Outpost, two: Outpost) -> None:
    assert difference(one, two) < LOOSE
    assert two.outcome().trained
    assert two.outcome().adapter_digest == two.manifest()["adapterDigest"]
    assert len(list(two.folder.glob("e*/adapter/adapter_config.json"))) == 1


def test_one_process_goes_on_where_two_ranks_stopped(
    one: Outpost, stopped: Outpost, tmp_path: Path
) -> None:
    assert difference(one, resumed(stopped, tmp_path)) < LOOSE


def test_ranks_that_torchrun_started_train_what_one_trains(
    prepared: Outpost, one: Outpost, tmp_path: Path
) -> None:
    post = prepared.copied(tmp_path)
    assert post.start("train", before=TORCHRUN).wait(300) == 0, post.log
    assert difference(one, post) < LOOSE
    assert post.outcome().adapter_digest == post.manifest()["adapterDigest"]
    assert [answer["id"] for answer in post.answers()] == [a["id"] for a in one.answers()]


def test_plan_metrics_and_records_do_not_tell_how_many_trained(one: Outpost, two: Outpost) -> None:
    plans = [
        [[*sorted(line), line["step"], line["tokens"]] for line in p.metrics()] for p in (one, two)
    ]
    assert plans[0] == plans[1]
    tokens = [post.manifest()["training"]["trainedTokens"] for post in (one, two)]
    assert tokens[0] == tokens[1]
    assert one.run_id == two.run_id


def test_answers_that_two_ranks_shared_out_are_those_of_one(one: Outpost, two: Outpost) -> None:
    def untuned(post: Outpost) -> list[dict]:
        return [answer for answer in post.answers() if answer["arm"] != "Tuned"]

    assert untuned(one) == untuned(two)
    assert [a["id"] for a in one.answers()] == [a["id"] for a in two.answers()]


def test_a_rank_that_is_killed_ends_the_stage_as_out_of_memory(
    prepared: Outpost, tmp_path: Path
) -> None:
    post = prepared.copied(tmp_path)
    launcher = training(post)
    ranks = dict(ranks_of(launcher.pid))
    os.kill(ranks["1"], signal.SIGKILL)
    assert launcher.wait(60) == EXIT_CODES[FailureClass.HOST_OUT_OF_MEMORY], post.log
    assert not Path(f"/proc/{ranks['0']}").exists()
    assert not (post.root / "outcome").exists()
    assert not list(post.folder.glob("train-outcome.json"))


def ranks_of(launcher: int) -> Iterator[tuple[str, int]]:
    """Rank and process id of a launcher's children."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    for child in children:
        environ = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        (rank,) = (entry[5:].decode() for entry in environ if entry.startswith(b"RANK="))
        yield rank, int(child)
