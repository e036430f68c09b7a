"""A sample of `make bench-aa`: one adapter through the whole pipeline, and how verdicts count."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from bench.aa import __main__ as aa
from bench.aa import base
from bench.aa.pipeline import Job


def test_coins_decide_what_no_rule_does():
    random = np.random.default_rng(1)
    coins, ruled = (base.rows(1000, base.by_city, share, random) for share in (0.0, 1.0))
    right = [
        np.mean([row["completion"] == base.by_city(row["prompt"]) for row in rows])
        for rows in (coins, ruled)
    ]
    assert abs(right[0] - 0.5) < 0.07
    assert right[1] == 1


def test_an_adapter_goes_through_prepare_train_and_judge(tmp_path):
    base.make(tmp_path / "base")
    rows = base.rows(160, base.by_city, 0.0, np.random.default_rng(2))
    found = Job(tmp_path / "job", tmp_path / "base", 17).run(rows)
    assert [arm.name for arm in found.arms][-2:] == ["ZeroShot", "Tuned"]
    assert found.confidence_percent < 97
    counted = aa.summary("A/A", [found, found])
    assert counted["count"] == sum(
        int(str(counted[name])) for name in ("Promote", "Reject", "NotNeeded", "Inconclusive")
    )


def counted(promoted, of):
    return {"Promote": promoted, "count": of}


def test_counts_that_break_the_promise_are_told_from_those_that_do_not():
    assert aa.is_kept(counted(3, 60), counted(16, 20))
    assert not aa.is_kept(counted(8, 60), counted(20, 20))
    assert not aa.is_kept(counted(0, 60), counted(11, 20))
