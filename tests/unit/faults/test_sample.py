"""Which cases a sitting runs."""

import pytest
from faults.matrix import every_case
from faults.scenarios import EVERY_SCENARIO
from faults.suite import SAMPLE, chosen, sampled

WRITES = ("put-status-prepare-1-running", "post-jobs-prepare-1", "put-status-train-1-running")
CASES = every_case({scenario.name: WRITES for scenario in EVERY_SCENARIO})


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_fault_is_in_every_sample(seed: int) -> None:
    sample = sampled(CASES, seed)
    assert {case.kind for case in sample} == {case.kind for case in CASES}
    assert len(sample) == SAMPLE
    assert len({case.id for case in sample}) == SAMPLE


def test_the_same_seed_chooses_the_same_cases_and_another_seed_others() -> None:
    ids = [[case.id for case in sampled(CASES, seed)] for seed in (7, 7, 8)]
    assert ids[0] == ids[1] != ids[2]


def test_an_id_names_one_case_and_a_kind_all_of_it() -> None:
    one = CASES[3]
    assert chosen(CASES, seed=1, case_id=one.id, is_all=False) == [one]
    of_kind = chosen(CASES, seed=1, case_id=one.kind, is_all=False)
    assert {case.kind for case in of_kind} == {one.kind}
    with pytest.raises(LookupError, match="there is no such case"):
        chosen(CASES, seed=1, case_id="nonsense", is_all=False)


def test_no_two_cases_have_one_id() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
