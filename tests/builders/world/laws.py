"""What may never be seen on the API server, whoever does what: checked at each write."""

from dataclasses import dataclass, field

from builders.fake_api import Json
from builders.world.api import WorldApi
from builders.world.nature import LABEL, Nature, is_finished, owner_of

from controller.kube.resources import JOBS
from controller.shell.kinds import FINETUNEJOBS

Position = tuple[int, ...]
STAGES = ("prepare", "train", "judge")


@dataclass
class Laws:
    """Of one world; a broken one is an AssertionError in the middle of the write."""

    api: WorldApi
    nature: Nature
    foreign: dict[str, Json] = field(default_factory=dict)
    """Jobs of others, as they were made."""

    def __post_init__(self) -> None:
        self.api.on_create = self.creating
        self.api.on_delete = self.deleting
        self.api.on_status = self.writing

    def creating(self, job: Json) -> None:
        labels, uid = job["metadata"]["labels"], owner_of(job)
        owner = next((o for o in self.api.all(FINETUNEJOBS) if o["metadata"]["uid"] == uid), None)
        assert owner is not None, "I5: a child of an object that is gone"
        run = owner.get("status", {}).get("run") or {}
        asked = {"run": run.get("number"), "stage": run.get("stage"), "attempt": run.get("attempt")}
        told = {name: labels[f"{LABEL}/{name}"] for name in asked}
        assert told == {k: str(v) for k, v in asked.items()}, f"write-ahead: {told}, not {asked}"
        rivals = [
            one["metadata"]["name"]
            for one in self.nature.jobs()
            if owner_of(one) == uid
            and not is_finished(one)
            and "deletionTimestamp" not in one["metadata"]
        ]
        assert rivals == [], f"I1: {job['metadata']['name']} beside the Jobs {rivals}"
        alive = [
            pod["metadata"]["name"]
            for pod in self.nature.live_pods()
            if pod["metadata"]["labels"][f"{LABEL}/uid"] == uid
        ]
        assert alive == [], f"I1: {job['metadata']['name']} beside the pods {alive}"

    def deleting(self, job: Json) -> None:
        assert owner_of(job), f"I8: {job['metadata']['name']} is somebody else's"

    def writing(self, old: Json, new: Json) -> None:
        known = old.get("status", {})
        assert position(new) >= position(known), "I3: the run goes back"
        seen = [status.get("observedGeneration", -1) for status in (known, new)]
        assert seen[0] <= seen[1] <= old["metadata"]["generation"], "I3: generations go back"
        for before, after in zip(*(sequences(s) for s in (known, new)), strict=True):
            assert after >= before, "I3: the pointer goes back"

    def at_rest(self) -> None:
        """After each step of the world."""
        for name, made in self.foreign.items():
            assert self.api.find(JOBS, name) == made, f"I8: {name} was touched"
        by_uid: dict[str, set[str]] = {}
        for pod in self.nature.live_pods():
            labels = pod["metadata"]["labels"]
            place = "-".join(labels[f"{LABEL}/{part}"] for part in ("run", "stage", "attempt"))
            by_uid.setdefault(labels[f"{LABEL}/uid"], set()).add(place)
        assert all(len(places) == 1 for places in by_uid.values()), f"I1: two alive: {by_uid}"


def position(status: Json) -> Position:
    """Of the run, and of each stage's attempts; it only grows, unless somebody wipes it."""
    run = status.get("run") or {}
    attempts = run.get("attempts", {})
    return (run.get("number", 0), *(attempts.get(stage, 0) for stage in STAGES))


def sequences(status: Json) -> tuple[int]:
    return ((status.get("promoted") or {}).get("sequence", 0),)
