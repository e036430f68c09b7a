"""Whatever happens in whatever order, these hold."""

import itertools
from dataclasses import replace
from datetime import timedelta

from builders.base_models import WRITE_BACK, BaseScene, a_base_model, a_revision
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.core.children import ChildState, Ending, Obstacle
from controller.core.conditions import find
from controller.core.watching.conditions import TABLE
from controller.core.watching.source import location_hash
from trainer.contract.errand import Cause, Errand
from trainer.contract.failures import FailureClass

SETTLE_S = 600
EDITS = [
    {"source": {"huggingFace": {"repo": "acme/tiny"}}},
    {"source": {"huggingFace": {"repo": "acme/other"}}},
    {"source": {"huggingFace": {"repo": "acme/tiny", "secretRef": {"name": "hf"}}}},
    {"source": {"directory": {"path": "/m"}}},
    {"suspend": True},
    {"suspend": False},
    {"writeBack": WRITE_BACK},
    {"writeBack": {"git": {"url": "https://git.acme.dev/other"}}},
    {"writeBack": None},
    {"pollPeriodSeconds": 300},
]
OBSTACLES = [Reason.QUOTA_EXCEEDED, Reason.NAME_CONFLICT, Reason.STOPPING, Reason.INVALID_SPEC]
WAITS = [Reason.IMAGE_PULL, Reason.UNSCHEDULABLE]
ROWS = {(row.ready, row.reconciling, row.stalled) for row in TABLE.values()}


class Watching(RuleBasedStateMachine):
    """A BaseModel in a world that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = BaseScene(base=a_base_model(settleSeconds=SETTLE_S))
        self.seen_at: dict[str, object] = {}
        self.names: dict[int, str] = {}

    @property
    def has_live(self) -> bool:
        return sum(child.is_unfinished for child in self.scene.children) == 1

    @property
    def is_look(self) -> bool:
        return self.has_live and self.scene.live.errand is Errand.RESOLVE

    def moved(self, after: BaseScene) -> None:
        """Take the new scene; what must hold from one to the next is looked at."""
        before, self.scene = self.scene, after
        old, new = before.status, after.status
        self.a_revision_counts_only_when_it_may(before, old, new)
        for event in after.told[len(before.told) :]:
            if event.reason is Reason.NEW_REVISION_AVAILABLE:
                assert new.history
                assert new.latest.content_digest != new.history[0].content_digest
        for start in after.started[len(before.started) :]:
            number, name = start.request.number, start.name
            assert self.names.setdefault(number, name) == name, "a number used twice"

    def a_revision_counts_only_when_it_may(self, before, old, new) -> None:
        if old.latest is None or new.latest is None or old.latest == new.latest:
            return
        moved = old.source_hash != location_hash(before.base.spec.source)
        if old.latest.content_digest == new.latest.content_digest:
            assert moved  # another name for the same in another place
            assert old.history == new.history
            return
        assert new.history[0] == old.latest
        if not moved:
            candidate = old.candidate
            assert candidate is not None
            assert candidate.content_digest == new.latest.content_digest
            stood = before.status.errand.start_time - candidate.first_seen
            assert stood >= timedelta(seconds=SETTLE_S)

    @rule()
    def it_decides(self) -> None:
        self.moved(self.scene.stepped())

    @rule(seconds=st.sampled_from([-4000, 1, 10, 300, 600, 4000, 90000]))
    def time_jumps(self, seconds: float) -> None:
        self.scene = replace(self.scene, now=self.scene.now + timedelta(seconds=seconds))
        self.moved(self.scene.stepped())

    @precondition(lambda self: self.is_look)
    @rule(name=st.sampled_from(["a", "a2", "b", "b2", "c"]))
    def a_look_finds(self, name: str) -> None:
        word = self.scene.word(found=a_revision(name))
        self.ends(exit_code=0, **word)

    @precondition(lambda self: self.has_live and not self.is_look)
    @rule(commit=st.sampled_from(["", "c1"]))
    def a_write_back_works(self, commit: str) -> None:
        self.ends(exit_code=0, **self.scene.word(commit=commit))

    @precondition(lambda self: self.has_live)
    @rule(
        failure=st.sampled_from(FailureClass),
        cause=st.sampled_from([None, *Cause]),
        asked=st.sampled_from([None, 0, 900]),
    )
    def an_errand_fails(self, failure, cause, asked) -> None:
        told = {"failure": failure, "cause": cause, "retry_after_seconds": asked}
        self.ends(exit_code=1, **self.scene.word(**told))

    @precondition(lambda self: self.has_live)
    @rule(
        exit_code=st.sampled_from([0, 1, 15, 137, None]),
        disruption=st.sampled_from([None, Ending(Reason.EVICTED, "x")]),
    )
    def a_message_is_lost(self, exit_code, disruption) -> None:
        self.ends(exit_code=exit_code, disruption=disruption)

    def ends(self, **fields) -> None:
        child = self.scene.live
        over = replace(child, state=ChildState.FINISHED, **fields)
        children = (over if c is child else c for c in self.scene.children)
        self.moved(self.scene.with_children(children).stepped())

    @precondition(lambda self: self.has_live)
    @rule()
    def a_child_is_lost(self) -> None:
        self.moved(self.scene.vanished().stepped())

    @precondition(lambda self: self.has_live and self.scene.live.state is not ChildState.STOPPING)
    @rule(reason=st.sampled_from([None, *WAITS]))
    def a_pod_waits_or_runs(self, reason) -> None:
        wait = Obstacle(reason, "because") if reason else None
        state = ChildState.PENDING if reason else ChildState.RUNNING
        self.moved(self.scene.reporting(state=state, wait=wait).stepped())

    @rule(reason=st.sampled_from([None, *OBSTACLES]))
    def something_stands_in_the_way(self, reason) -> None:
        self.moved(self.scene.hindered(reason).stepped())

    @rule(edit=st.sampled_from(EDITS))
    def the_spec_is_edited(self, edit) -> None:
        self.moved(self.scene.edited(**edit).stepped())

    @rule(value=st.sampled_from(["x", "y"]))
    def a_check_is_asked_for(self, value) -> None:
        self.moved(self.scene.annotated(value).stepped())

    @invariant()
    def at_most_one_errand_lives(self) -> None:
        assert sum(child.is_unfinished for child in self.scene.children) <= 1

    @invariant()
    def the_conditions_are_a_row_of_the_table(self) -> None:
        known = self.scene.conditions
        if known:
            row = tuple(known.get(kind) for kind in ("Ready", "Reconciling", "Stalled"))
            said = find(self.scene.status.conditions, ConditionType.READY)
            suspended = said.reason is Reason.SUSPENDED and row[1:] == (None, None)
            assert suspended or row in ROWS

    @invariant()
    def the_history_is_bounded_and_without_repetition_in_a_row(self) -> None:
        status = self.scene.status
        known = [status.latest, *status.history] if status.latest else []
        digests = [entry.content_digest for entry in known]
        assert len(status.history) <= 10
        assert all(one != other for one, other in itertools.pairwise(digests))

    @invariant()
    def a_quiet_object_is_left_alone(self) -> None:
        settled = self.scene.settled()
        again = settled.decided()
        assert (again.status, again.events) == (settled.status, ())


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
