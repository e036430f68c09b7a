"""Anything that may happen between and within two reconciles, in any order, as a state machine."""

from typing import Any

from builders.reconciled import once, raising
from builders.world.nature import is_over
from builders.world.process import KINDS
from builders.world.world import UNDISTURBED, World
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.kube.errors import TransportError
from controller.kube.resources import JOBS
from trainer.contract.failures import FailureClass

EDITS = (
    {"lora": {"rank": 8}},
    {"lora": {"rank": 16}},
    {"evaluation": {"fewShotExamples": 3}},
    {"evaluation": {"minDelta": "0.1"}},
    {"historyLimit": 3},
    {"suspend": True},
    {"suspend": False},
    {"quantization": "NF4"},
    {"quantization": "None"},
)
PASTS = ("a lost create", "an orphaned pod", "a late watch", "a late writer")
TROUBLES = ("crash before", "crash after", "lost before", "lost after", "error")
TAKEN = ("PreemptionByScheduler", "EvictionByEvictionAPI", "DeletionByTaintManager", "Unheard")
SECONDS = (1, 20, 90, 700)
WHO = st.sampled_from([0, 1])
WHICH = st.sampled_from(sorted(KINDS))


class Faults(RuleBasedStateMachine):
    """Two processes that both believe to lead, on caches that are as stale as they may be."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @property
    def nature(self) -> Any:
        return self.world.nature

    @initialize(
        count=st.integers(0, 25),
        past=st.sampled_from(["", *PASTS]),
    )
    def it_has_lived(self, count: int, past: str) -> None:
        """Well, for a while; or through what two leaders and a person rarely do to it by chance."""
        if past == "a lost create":
            lost = raising(TransportError("no answer"))
            self.world.api.before = once("POST jobs", lost)
            self.world.processes[0].reconcile()  # recorded, and not created
            self.world.api.before = lambda _: None
            self.world.annotate(rerun="a")
            self.all_events_come(1)
            self.a_process_looks(1)
            self.a_process_looks(0)
        elif past == "an orphaned pod":
            self.a_process_looks(0)
            self.kubernetes_works(1)
            self.a_job_is_deleted_by_hand("orphan", 0)
            self.a_process_looks_and_knows_only_the_object(1, EDITS[0])
        elif past == "a late watch":
            self.a_process_looks(0)
            self.a_process_looks_and_knows_only_the_object(1, EDITS[0])
        elif past == "a late writer":
            self.a_process_looks(0)
            self.kubernetes_works(1)
            self.all_events_come(0)
            self.all_events_come(1)
            self.world.edit(EDITS[0])
            self.a_process_looks_and_knows_only_the_object(1, None)
            self.a_stage_ends(FailureClass.INTERRUPTED, 0)
            self.kubernetes_works(1)
            self.a_process_looks_and_knows_only_the_children(0)
        for _ in range(count):
            self.world.moves()

    # The operator

    @rule(who=WHO)
    def a_process_looks(self, who: int) -> None:
        self.world.reconcile(who)

    @rule(who=WHO, edit=st.sampled_from([None, *EDITS]))
    def a_process_looks_and_knows_only_the_object(self, who: int, edit: Any) -> None:
        """The watches of Jobs and pods are late."""
        self.world.edit(edit or {})
        self.hears(who, "finetunejobs")
        self.world.reconcile(who)

    @rule(who=WHO)
    def a_process_looks_and_knows_only_the_children(self, who: int) -> None:
        self.hears(who, "jobs", "pods")
        self.world.reconcile(who)

    def hears(self, who: int, *kinds: str) -> None:
        process = self.world.processes[who]
        for kind in kinds:
            while process.behind(kind):
                process.deliver(kind)

    @rule(who=WHO, trouble=st.sampled_from(TROUBLES), at=st.integers(1, 6))
    def a_process_looks_and_something_fails(self, who: int, trouble: str, at: int) -> None:
        self.world.reconcile(who, trouble, at)

    @rule(who=WHO, at=st.integers(1, 4), edit=st.sampled_from([None, *EDITS]))
    def the_spec_is_edited_while_a_process_looks(self, who: int, at: int, edit: Any) -> None:
        self.world.reconcile(who, "before", at, lambda _: self.world.edit(edit or {}))

    @rule(who=WHO, at=st.integers(1, 4), edit=st.sampled_from([None, *EDITS]))
    def a_process_sleeps_and_the_other_works(self, who: int, at: int, edit: Any) -> None:
        """Between two of its requests; it has done the first of them."""

        def act(_: str) -> None:
            self.world.edit(edit or {})
            self.world.api.before = self.world.api.after = lambda _: None
            self.hears(1 - who, *KINDS)
            self.world.processes[1 - who].reconcile()

        self.world.reconcile(who, "after", at, act)

    @rule(who=WHO)
    def a_process_is_killed_and_started(self, who: int) -> None:
        self.world.processes[who].boot()

    @rule(seconds=st.sampled_from(SECONDS))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @rule(count=st.integers(3, 20))
    def all_goes_well_for_a_while(self, count: int) -> None:
        for _ in range(count):
            self.world.moves()

    # What it hears

    @rule(who=WHO, kind=WHICH, count=st.integers(1, 5))
    def events_come(self, who: int, kind: str, count: int) -> None:
        for _ in range(count):
            self.world.processes[who].deliver(kind)

    @rule(who=WHO)
    def all_events_come(self, who: int) -> None:
        self.hears(who, *KINDS)

    @rule(who=WHO, kind=WHICH)
    def an_event_comes_twice(self, who: int, kind: str) -> None:
        self.world.processes[who].repeat(kind)

    @rule(who=WHO, kind=WHICH)
    def a_watch_breaks_and_lists_again(self, who: int, kind: str) -> None:
        self.world.processes[who].relist(kind)

    @rule(is_away=st.booleans())
    def the_server_goes_or_comes_back(self, is_away: bool) -> None:
        self.world.api.is_away = is_away

    # Kubernetes

    @rule(count=st.integers(1, 4))
    def kubernetes_works(self, count: int) -> None:
        for _ in range(count):
            self.nature.moves()

    @precondition(lambda self: self.nature.live_pods())
    @rule(failure=st.sampled_from([None, None, *FailureClass]), step=st.integers(0, 9))
    def a_stage_ends(self, failure: FailureClass | None, step: int) -> None:
        self.nature.end(self.nature.live_pods()[0], failure, step=step)

    @precondition(lambda self: self.nature.live_pods())
    @rule(code=st.sampled_from([0, 1, 137]), taken=st.sampled_from(["", *TAKEN]))
    def a_stage_ends_without_a_word(self, code: int, taken: str) -> None:
        self.nature.exit(self.nature.live_pods()[0], code, taken=taken)

    # People

    @rule(edit=st.sampled_from(EDITS))
    def the_spec_is_edited(self, edit: dict) -> None:
        self.world.edit(edit)

    @rule(value=st.sampled_from(["a", "b"]))
    def a_rerun_is_asked_for(self, value: str) -> None:
        self.world.annotate(rerun=value)

    @rule()
    def the_status_is_wiped(self) -> None:
        self.world.wipe_status()

    @precondition(lambda self: self.nature.jobs())
    @rule(how=st.sampled_from(["background", "orphan"]), index=st.integers(0, 9))
    def a_job_is_deleted_by_hand(self, how: str, index: int) -> None:
        """One whose pod is alive, where there is one."""
        alive = [job for job in self.nature.jobs() if not all(map(is_over, self.nature.pods(job)))]
        jobs = alive or self.nature.jobs()
        job = jobs[index % len(jobs)]
        if how == "orphan":
            self.nature.orphan(job)
        else:
            self.world.api.remove(JOBS, job)

    @precondition(lambda self: self.nature.live_pods())
    @rule()
    def a_pod_is_deleted_by_hand(self) -> None:
        pod = self.nature.live_pods()[0]
        if "deletionTimestamp" not in pod["metadata"]:
            self.nature.delete_pod(pod)

    @rule(is_back=st.booleans())
    def the_object_is_deleted(self, is_back: bool) -> None:
        self.world.delete()
        if is_back:
            self.world.create({"retry": {"maxAttempts": 100}})

    @rule()
    def the_object_is_created_again(self) -> None:
        if self.world.object is None:
            self.world.create({"retry": {"maxAttempts": 100}})

    @rule(is_there=st.booleans())
    def somebody_takes_or_frees_a_name(self, is_there: bool) -> None:
        if is_there:
            self.world.occupy_next_name()
        else:
            self.world.free_names()

    # What has to be so

    @invariant()
    def nothing_is_broken(self) -> None:
        self.world.laws.at_rest()

    def teardown(self) -> None:
        """The faults are over: it comes to rest, at what was asked for, and then is quiet."""
        world = self.world
        world.heal()
        world.come_to_rest()
        if world.status["run"]["failure"]:
            assert world.status["phase"] == "Failed"
            world.annotate(rerun="the last one")
            world.come_to_rest()
        self.it_ended_as_if_undisturbed()
        self.it_is_quiet()
        self.a_name_that_is_taken_is_said_to_be()
        world.delete()
        world.come_to_rest()
        assert [*self.nature.jobs(), *self.owned_pods()] == [], "I5: something is left"

    def it_ended_as_if_undisturbed(self) -> None:
        world, found = self.world, self.world.object
        assert found is not None
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"], "I4"
        told = {kind: said for kind, said in world.said().items() if kind in UNDISTURBED}
        assert told == UNDISTURBED, f"I9: {told}"
        assert world.status["phase"] == "Succeeded", "I9"

    def it_is_quiet(self) -> None:
        world = self.world
        assert [p["metadata"]["name"] for p in self.nature.pods() if not is_over(p)] == []
        before = len(world.api.writes())
        for process in world.processes:
            process.boot()
        for _ in range(3):
            world.pass_time(7200)
            world.come_to_rest()
        assert world.api.writes()[before:] == [], "I6: writes while nothing happens"

    def a_name_that_is_taken_is_said_to_be(self) -> None:
        world = self.world
        world.occupy_next_name()
        world.annotate(rerun="under a name that is taken")
        for _ in range(60):
            if not world.moves():
                world.pass_time(1)
        assert world.said()["Finished"] == "False/NameConflict", "I8: a foreign Job was adopted"
        world.laws.at_rest()
        world.free_names()
        world.come_to_rest()
        self.it_ended_as_if_undisturbed()

    def owned_pods(self) -> list[Any]:
        return [pod for pod in self.nature.pods() if pod["metadata"]["ownerReferences"]]
