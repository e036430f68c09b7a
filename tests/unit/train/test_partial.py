"""A run that its limit cut short: judged, said to be partial, never taken for whole."""

import pytest
from builders.staged import Line, actions_left

from trainer.contract.failures import FailureClass
from trainer.contract.limit import SoftLimit
from trainer.errors import StageError
from trainer.judge.ledger import Ledger
from trainer.judge.pointer import read
from trainer.lineage.history import read_history
from trainer.lineage.target import inventory
from trainer.lineage.verify import verify
from trainer.store import layout
from trainer.train.checkpoint import has_checkpoint

DEADLINE = SoftLimit(seconds=500, failure=FailureClass.DEADLINE_EXCEEDED)


@pytest.fixture(scope="module")
def line(tmp_path_factory) -> Line:
    """Prepared, and trained until its limit came."""
    line = Line(tmp_path_factory.mktemp("partial"))
    line.prepared()
    line.first = line.trained(actions_left(DEADLINE, 3))
    line.first_manifest = line.manifest
    line.first_checkpoint = has_checkpoint(line.store, line.run_id)
    line.verdict = line.judged()
    line.first_history = read_history(line.store)
    line.again = line.prepared()
    line.first_pointer = read(line.store)[0]
    line.second = line.trained()
    line.first_verification = verify(line.store, inventory(line.store), whole=True)
    line.whole_verdict = line.judged()
    return line


def test_the_outcome_says_that_it_is_partial_and_what_to_do(line):
    step = line.first_manifest.partial.step
    assert line.first.partial
    assert f"spec.activeDeadlineSeconds at step {step} of" in line.first.message
    assert "raise it to train on" in line.first.message


def test_its_manifest_says_so_and_its_checkpoint_is_kept(line):
    assert line.first_manifest.partial.limit is FailureClass.DEADLINE_EXCEEDED
    assert line.first_checkpoint


def test_its_model_card_says_so(line):
    card = layout.epoch(line.run_id, line.first_manifest.epoch, "adapter/README.md")
    assert "| Partial | training was ended by" in line.store.read(card).decode()


def test_its_verdict_is_reached_and_marked(line):
    assert line.verdict.partial
    assert line.verdict.reason.startswith("Partial, training was ended by spec.active")
    assert {arm.name for arm in line.verdict.arms} >= {"ZeroShot", "Tuned"}


def test_its_report_says_so_before_any_figure(line):
    place = line.verdict.report_uri.removeprefix(f"{line.store.uri}/")
    page = line.store.read(place).decode()
    head, _, _ = page.partition("<main>")
    assert "<strong>Partial.</strong>" in head


def test_the_history_says_so(line):
    assert [run.partial for run in line.first_history.runs] == [True]


def test_prepare_never_takes_it_for_trained(line):
    assert (line.again.run_id, line.again.trained, line.again.generated) == (
        line.first.run_id,
        False,
        False,
    )


def test_without_its_limit_training_goes_on_from_its_checkpoint(line):
    assert not line.second.partial
    assert line.second.adapter_digest != line.first.adapter_digest
    assert line.manifest.partial is None
    assert line.manifest.training.overfitting.steps == line.first_manifest.partial.max_steps
    assert not has_checkpoint(line.store, line.run_id)


def test_it_is_the_training_that_was_never_broken_off(line, tmp_path_factory):
    unbroken = Line(tmp_path_factory.mktemp("unbroken"))
    unbroken.prepared()
    unbroken.trained()
    name = "adapter/adapter_model.safetensors"
    files = [one.manifest.files[f"e{one.manifest.epoch}/{name}"] for one in (line, unbroken)]
    assert files[0] == files[1]


def test_the_partial_adapter_stays_and_is_vouched_for(line):
    (earlier,) = line.manifest.earlier
    assert earlier.adapter_digest == line.first.adapter_digest
    assert line.first_verification.ok, line.first_verification.findings


def test_the_whole_training_is_another_look_at_the_test_split(line):
    ledger = Ledger.model_validate_json(line.store.read(layout.LEDGER))
    (looks,) = ledger.splits.values()
    assert [look.look for look in looks] == [1, 2]
    assert (line.verdict.look, line.whole_verdict.look) == (1, 2)
    assert not line.whole_verdict.partial


def test_a_damaged_partial_adapter_is_found(line):
    (earlier,) = line.manifest.earlier
    name = next(name for name in earlier.files if name.endswith("adapter_config.json"))
    key = layout.run(line.run_id, name)
    whole = line.store.read(key)
    line.store.write(key, b"{}")
    found = verify(line.store, inventory(line.store), whole=True)
    line.store.write(key, whole)
    assert [finding.place for finding in found.findings] == [key]


def test_a_limit_before_the_first_step_fails_by_its_class_and_keeps_the_answers(tmp_path):
    line = Line(tmp_path)
    line.prepared()
    with pytest.raises(StageError, match="activeDeadlineSeconds") as caught:
        line.trained(actions_left(DEADLINE, 0))
    assert caught.value.failure is FailureClass.DEADLINE_EXCEEDED
    assert list(line.store.list(f"runs/{line.run_id}/e1/answers/"))
    assert not line.store.exists(layout.manifest(line.run_id))
