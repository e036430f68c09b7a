"""What holds in every history of a job: crashes, lost words, edits, obstacles, in any order."""

from dataclasses import replace

from builders.jobs import Scene, a_job
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.api.status import RunStatus
from controller.core.children import ChildState, Obstacle
from controller.core.conditions import TABLE, State, find
from trainer.contract.failures import FailureClass
from trainer.contract.request import Stage

EDITS = (
    {"lora": {"rank": 8}},
    {"lora": {"rank": 16}},
    {"evaluation": {"fewShotExamples": 3}},
    {"evaluation": {"minDelta": "0.1"}},
    {"historyLimit": 3},
    {"promotion": {"pin": "1" * 16}},
    {"promotion": {"policy": "Manual"}},
    {"suspend": True},
    {"suspend": False},
    {"quantization": "NF4"},
    {"quantization": "None"},
    {"activeDeadlineSeconds": 4000},
    {"activeDeadlineSeconds": 90000},
    {"activeDeadlineSeconds": None},
    {"budget": {"maxGpuSeconds": 4000}, "compute": {"gpus": 1}},
)
WAITS = (Reason.IMAGE_PULL, Reason.UNSCHEDULABLE)
OBSTACLES = (*WAITS, Reason.NAME_CONFLICT, Reason.QUOTA_EXCEEDED, Reason.INVALID_SPEC)
ENOUGH = 80


class ModelCluster(RuleBasedStateMachine):
    """A cluster in which anything may happen between two decisions."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(job=a_job())
        self.before = self.scene

    @property
    def has_live(self) -> bool:
        return any(child.is_unfinished for child in self.scene.children)

    @rule()
    def the_controller_decides(self) -> None:
        self.before = self.scene
        self.scene = self.scene.stepped()
        self.nothing_went_back()
        self.work_is_recorded_before_it_starts()

    @rule(seconds=st.sampled_from([1, 20, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.scene = self.scene.passed(seconds)

    @precondition(lambda self: self.has_live)
    @rule(trained=st.booleans(), generated=st.booleans(), partial=st.booleans())
    def a_stage_succeeds(self, trained: bool, generated: bool, partial: bool) -> None:
        known = {
            Stage.PREPARE: {"trained": trained, "generated": generated},
            Stage.TRAIN: {"partial": partial},
        }
        self.scene = self.scene.succeeded(**known.get(self.scene.live.stage, {}))

    @precondition(lambda self: self.has_live)
    @rule(failure=st.sampled_from(FailureClass), step=st.integers(0, 5))
    def a_stage_fails(self, failure: FailureClass, step: int) -> None:
        self.scene = self.scene.failed(failure, checkpoint_step=step)

    @precondition(lambda self: self.has_live)
    @rule(exit_code=st.sampled_from([0, 1, 137, 143]))
    def a_message_is_lost(self, exit_code: int) -> None:
        self.scene = self.scene.crashed(exit_code)

    @rule(edit=st.sampled_from(EDITS))
    def the_spec_is_edited(self, edit: dict) -> None:
        self.scene = self.scene.edited(**edit)

    @rule(value=st.sampled_from(["a", "b"]))
    def a_rerun_is_asked_for(self, value: str) -> None:
        self.scene = self.scene.annotated(rerun=value)

    @precondition(lambda self: self.has_live)
    @rule()
    def a_child_is_deleted_by_hand(self) -> None:
        self.scene = self.scene.vanished()

    @precondition(lambda self: self.has_live)
    @rule(how=st.sampled_from(["evicted", "preempted"]), exit_code=st.sampled_from([None, 1, 137]))
    def a_pod_is_disrupted(self, how: str, exit_code: int | None) -> None:
        live = self.scene.live
        self.scene = self.scene.ended(live, disruption=how, exit_code=exit_code)

    @precondition(lambda self: self.has_live and self.scene.live.state is not ChildState.STOPPING)
    @rule(reason=st.sampled_from([None, *WAITS]))
    def a_pod_waits_or_runs(self, reason: Reason | None) -> None:
        wait = Obstacle(reason, "because") if reason else None
        state = ChildState.PENDING if reason else ChildState.RUNNING
        self.scene = self.scene.reporting(state=state, wait=wait)

    @rule(reason=st.sampled_from([None, *OBSTACLES]))
    def something_stands_in_the_way(self, reason: Reason | None) -> None:
        # The shell keeps an obstacle for one generation; an edit brings the next one.
        self.scene = self.scene.edited().hindered(reason)

    @rule(position=st.integers(0, 3))
    def the_queue_moves(self, position: int) -> None:
        self.scene = replace(self.scene, queue_position=position)

    @precondition(lambda self: not self.has_live)
    @rule()
    def finished_children_are_collected(self) -> None:
        self.scene = replace(self.scene, children=())

    @invariant()
    def at_most_one_child_is_unfinished(self) -> None:
        assert sum(child.is_unfinished for child in self.scene.children) <= 1

    @invariant()
    def the_state_conditions_are_a_row_of_the_table(self) -> None:
        phase = self.scene.job.status.phase
        if not phase:
            return
        row = TABLE[State(phase)]
        kinds = {
            ConditionType.RECONCILING: row.reconciling,
            ConditionType.STALLED: row.stalled,
            ConditionType.SUCCEEDED: row.succeeded,
            ConditionType.FINISHED: row.finished,
        }
        for kind, wanted in kinds.items():
            found = find(self.scene.job.status.conditions, kind)
            assert (found.status if found else None) == wanted

    def work_is_recorded_before_it_starts(self) -> None:
        new = [
            c for c in self.scene.children if c.name not in {o.name for o in self.before.children}
        ]
        recorded = self.before.job.status.run
        for child in new:
            assert recorded is not None
            key = (recorded.number, recorded.stage, recorded.attempt)
            assert (child.run, child.stage, child.attempt) == key
            assert not self.before.queue_position or recorded.end_time is None

    def a_quiet_object_is_left_alone(self) -> None:
        """Where nothing moves any more, deciding again writes nothing and tells nothing."""
        settled = self.scene.settled()
        again = settled.decided()
        assert (again.status, again.events) == (settled.job.status, ())

    def nothing_went_back(self) -> None:
        old, new = self.before.job.status, self.scene.job.status
        assert new.observed_generation >= old.observed_generation
        assert new.observed_generation == self.scene.job.metadata.generation
        assert position(new.run) >= position(old.run)
        if old.phase in ("Succeeded", "Failed") and new.phase != old.phase:
            is_edited = self.before.job.metadata.generation != old.observed_generation
            assert is_edited or self.before.job.metadata.annotations

    def teardown(self) -> None:
        """Every fair execution ends, and then decides nothing more."""
        self.a_quiet_object_is_left_alone()
        scene = self.scene.edited(suspend=False, quantization="None").hindered(None)
        scene = replace(scene, queue_position=0)
        for _ in range(ENOUGH):
            scene = scene.settled()
            if any(child.is_unfinished for child in scene.children):
                scene = scene.succeeded()
            elif find(scene.job.status.conditions, ConditionType.FINISHED).status == "True":
                break
            scene = scene.passed(3600)
        assert find(scene.job.status.conditions, ConditionType.FINISHED).status == "True"
        again = scene.passed(7200).decided()
        assert again.status == scene.job.status
        assert (again.actions, again.events, again.requeue_after_s) == ((), (), None)


def position(run: RunStatus | None) -> tuple[int, int, int, int]:
    """Of the run and each stage's attempts; it may only grow."""
    if run is None:
        return (0, 0, 0, 0)
    attempts = [run.attempts.get(stage.value, 0) for stage in Stage]
    return (run.number, *attempts)  # type: ignore[return-value]


TestModelCluster = ModelCluster.TestCase
TestModelCluster.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking such histories takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
