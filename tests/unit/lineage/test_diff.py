"""Two runs side by side."""

import json

import pytest
from builders.outputs import AnOutput, better

from trainer.contract.failures import FailureClass
from trainer.contract.lineage import Diff, FieldDifference
from trainer.errors import StageError
from trainer.lineage.diff import diff, side
from trainer.store.manifest import TUNED


@pytest.fixture
def output(tmp_path) -> AnOutput:
    return AnOutput(tmp_path)


def compared(output: AnOutput, first: str, second: str) -> Diff:
    return diff(side(output.store, first), side(output.store, second))


def fields(differences: list[FieldDifference]) -> dict[str, tuple]:
    return {each.field: (each.a, each.b) for each in differences}


def test_answers_are_compared_item_by_item(output):
    right_then_wrong = [1.0] * 30 + [0.0] * 30
    wrong_then_right = [0.0] * 5 + [1.0] * 45 + [0.0] * 10
    zero = [0.0] * 60
    a = output.run({"ZeroShot": zero, TUNED: right_then_wrong})
    b = output.run({"ZeroShot": zero, TUNED: wrong_then_right}, base="base two")
    found = compared(output, a, b)
    changes = found.changes
    assert changes is not None
    assert (changes.shared, changes.only_a, changes.only_b) == (60, 0, 0)
    assert (changes.right_to_wrong, changes.wrong_to_right) == (5, 20)
    assert [item.id for item in changes.lost] == [f"test-{number}" for number in range(5)]
    assert len(changes.gained) == 10
    first = changes.lost[0]
    assert (first.reference, first.answer_a, first.answer_b) == ("yes", "yes", "no")
    assert found.tuned is not None
    assert found.tuned.delta == pytest.approx(15 / 60)
    assert found.tuned.ci_low < 15 / 60 < found.tuned.ci_high
    assert found.tuned.p_value == pytest.approx(0.00408, abs=1e-4)  # 5 against 20, exact


def test_swapping_the_runs_turns_every_sign(output):
    a, b = output.run(better(20, 50)), output.run(better(20, 40), base="base two")
    there, back = compared(output, a, b), compared(output, b, a)
    assert there.tuned is not None
    assert back.tuned is not None
    assert there.tuned.delta == pytest.approx(-back.tuned.delta)
    assert there.tuned.ci_low == pytest.approx(-back.tuned.ci_high)


def test_a_run_is_no_different_from_itself(output):
    run_id = output.run()
    found = compared(output, run_id, run_id)
    assert (found.spec, found.data, found.base, found.notes) == ([], [], [], [])
    assert found.changes is not None
    assert found.changes.better == found.changes.worse == 0


def test_arms_stand_side_by_side_and_the_tuned_one_last(output):
    a = output.run({"ZeroShot": [0.0] * 60, TUNED: [1.0] * 60})
    b = output.run(
        {"ZeroShot": [0.0] * 60, "NearestRow": [0.0] * 60, TUNED: [1.0] * 60}, base="base two"
    )
    arms = compared(output, a, b).arms
    assert [(arm.name, arm.a is None) for arm in arms] == [
        ("ZeroShot", False),
        ("NearestRow", True),
        ("Tuned", False),
    ]


def test_what_differs_in_spec_data_and_base_is_named_with_both_values(output):
    a = output.run()
    b = output.run(base="base two", spec="spec two", lora={"rank": 8, "alpha": 16})
    found = compared(output, a, b)
    assert fields(found.spec) == {"lora.rank": (16, 8), "lora.alpha": (32, 16)}
    assert set(fields(found.base)) == {"revision", "contentDigest"}
    assert found.data == []


def test_another_test_split_is_told_and_its_answers_are_not_compared(output):
    a, b = output.run(), output.run(test="other")
    found = compared(output, a, b)
    assert {"datasetDigest", "digest of test"} <= set(fields(found.data))
    assert found.tuned is None
    assert found.changes is not None
    assert (found.changes.shared, found.changes.only_a, found.changes.only_b) == (0, 60, 60)
    assert "different rows" in found.notes[-1]


def test_scores_of_different_graders_are_told_and_not_compared(output):
    specs = {"spec one": "strict", "spec two": "kind"}
    a, b = (
        output.run(spec=spec, evaluation={"metric": "Grader", "grader": {"command": [program]}})
        for spec, program in specs.items()
    )
    found = compared(output, a, b)
    assert found.tuned is None
    assert "different graders" in found.notes[-1]


def test_an_older_releases_spec_is_said_not_to_be_recorded(output):
    a, b = output.run(recorded=False), output.run(base="base two")
    found = compared(output, a, b)
    assert found.spec == []
    assert found.notes == [f"The spec is not recorded for {a}: an older release made it."]
    assert found.tuned is not None


def test_a_run_without_a_tuned_model_is_compared_without_answers(output):
    stop = {"whenNotNeeded": "Stop", "targetScore": "0.5"}
    a = output.run({"ZeroShot": [1.0] * 60}, evaluation=stop)
    b = output.run(base="base two")
    found = compared(output, a, b)
    assert found.changes is None
    assert found.notes == [f"Run {a} has no answers of a tuned model."]
    assert [arm.name for arm in found.arms] == ["ZeroShot", "Tuned"]


def test_damaged_answers_are_a_note(output):
    a, b = output.run(), output.run(base="base two")
    output.store.write(f"runs/{a}/e1/answers.jsonl", b"{}\n")
    found = compared(output, a, b)
    assert found.changes is None
    assert "is damaged" in found.notes[0]


def test_a_run_that_broke_off_can_be_named(output):
    run_id, begun = output.run(), output.begun()
    found = compared(output, run_id, begun)
    assert found.b.run.state == "Begun"
    assert found.changes is None


def test_the_beginning_of_an_id_names_a_run_if_it_names_one(output):
    run_id = output.run()
    output.begun(run_id[:4] + "0" * 12 if run_id[4:] != "0" * 12 else run_id[:4] + "1" * 12)
    assert side(output.store, run_id[:8]).record.id == run_id
    with pytest.raises(StageError, match="beginning of several runs"):
        side(output.store, run_id[:4])


@pytest.mark.parametrize(
    ("named", "said", "failure"),
    [
        ("0000000000000000", "has no such run", FailureClass.NOT_FOUND),
        ("latest", "is no run id", FailureClass.INVALID_SPEC),
        ("", "is no run id", FailureClass.INVALID_SPEC),
        ("../0123", "is no run id", FailureClass.INVALID_SPEC),
    ],
)
def test_a_run_that_is_not_there_is_said_to_be_none(output, named, said, failure):
    output.run()
    with pytest.raises(StageError, match=said) as raised:
        side(output.store, named)
    assert raised.value.failure is failure


def test_the_document_is_json_that_reads_back(output):
    a, b = output.run(), output.run(base="base two", spec="spec two", lora={"rank": 8})
    found = compared(output, a, b)
    assert Diff.model_validate(json.loads(found.model_dump_json())) == found
