"""One round of the circle on a real cluster: what people do, and what is there afterwards.

Every step waits for conditions; nothing is played but the people.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from builders.operated import Desk, operated
from builders.releases import (
    BASE,
    JOB,
    PUSH_BRANCH,
    Manifests,
    Publisher,
    git_source,
    training_data,
)
from cluster.api import Json
from cluster.gitserver import GitServer
from cluster.plane import ControlPlane
from cluster.process import wait_until
from cluster.running import RunningKubelet
from cluster.s3server import s3_server
from e2e.objects import DATA, OUTPUT, Objects, filled

PASSWORDS = {"models": "pass-of-the-reader", "manifests": "pass-of-the-robot"}
"""By the repository's name, which is that of its Secret too."""
ROBOT = "robot"
RUN_S = 600.0
"""A run takes half a minute on a quiet machine, minutes on one that runs other tests."""
LOOK_PERIOD_S = 0.2
CHECK, RERUN = "tunekeeper.dev/check", "tunekeeper.dev/rerun"


@dataclass(frozen=True)
class End:
    """A job that is Finished, and the pointer in its store at that moment."""

    status: Json
    pointer: Json

    @property
    def run(self) -> Json:
        """What it says of its run."""
        return dict(self.status["run"])

    @property
    def in_use(self) -> Json:
        """What it says of the pointer."""
        return dict(self.status["promoted"])


@dataclass(frozen=True)
class Circle:
    """The people and their places."""

    plane: ControlPlane
    namespace: str
    publisher: Publisher
    manifests: Manifests
    objects: Objects
    logs: Callable[[], str] = str
    """Of whoever works there."""
    desk: Desk | None = None
    """The operator, where it is a process of the test."""

    # Objects

    def base_spec(self) -> Json:
        """A base model that is looked at when somebody asks."""
        source = git_source(self.publisher.repository, "models")
        return {"source": source, "settleSeconds": 1, "pollPeriodSeconds": 300}

    def written_back(self) -> Json:
        """The same, with its revisions written to the manifests."""
        written = git_source(self.manifests.repository, "manifests")
        written["git"]["pushBranch"] = PUSH_BRANCH
        return {**self.base_spec(), "writeBack": written}

    def job_spec(self) -> Json:
        """Data and output in two buckets, with an identity each."""
        uri = self.objects.put(DATA, f"{self.namespace}/train.jsonl", training_data())
        split = {"validationPercent": 10, "testPercent": 30}
        data = {"train": {"uri": uri}, "storage": self.objects.storage(DATA), "split": split}
        place = f"s3://{OUTPUT}/{self.namespace}/out"
        output = {"uri": place, "storage": self.objects.storage(OUTPUT)}
        threads = [{"name": "OMP_NUM_THREADS", "value": "1"}]
        small = {"requests": {"cpu": "100m", "memory": "512Mi"}}
        compute = {"gpus": 0, "env": threads, "resources": small}
        return {"dataset": data, "output": output, "compute": compute}

    # What people do

    def add_secret(self, name: str, values: Json) -> None:
        """Create it."""
        secret = {"metadata": {"name": name}, "stringData": values}
        self.plane.api.post(f"/api/v1/namespaces/{self.namespace}/secrets", secret)

    def remove_secret(self, name: str) -> None:
        """Delete it."""
        self.plane.api.delete(f"/api/v1/namespaces/{self.namespace}/secrets/{name}")

    def apply(self) -> None:
        """What Flux does with the head of main."""
        self.plane.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=self.manifests.text())

    def ask_to_look(self, value: str) -> None:
        """The annotation."""
        self.plane.api.patch(self._base, {"metadata": {"annotations": {CHECK: value}}})

    def looked(self, value: str) -> Json:
        """Ask, and wait for that look's end; for a revision that is no news."""
        number = self.base()["status"]["errand"]["number"]
        self.ask_to_look(value)

        def is_so(status: Json) -> bool:
            return status["errand"]["number"] > number and "endTime" in status["errand"]

        return self._until(self._base, is_so, "looked at")

    def counted(self, revision: str) -> Json:
        """The base model's status, once this is its newest revision, and written where it goes."""

        def is_so(status: Json) -> bool:
            places = [status.get("latest", {}), status.get("writeBack", {})]
            return [place.get("revision") for place in places] == [revision, revision]

        return self._until(self._base, is_so, f"at {revision} and written back")

    def ready(self, why: str) -> Json:
        """The base model's condition, once it is that for this reason."""
        status = self._until(self._base, lambda s: reason(s, "Ready") == why, why)
        return condition(status, "Ready")

    def behind(self) -> Json:
        """The job's word on a newer revision."""
        kind, why = "BaseModelCurrent", "NewRevisionAvailable"
        status = self._until(self._job, lambda s: reason(s, kind) == why, "behind")
        return condition(status, kind)

    def finished(self, run: int, why: str = "") -> End:
        """The job at the end of that run; ``why`` its adapter is or is not in use."""

        def is_so(status: Json) -> bool:
            is_this = status.get("run", {}).get("number") == run
            is_over = condition(status, "Finished").get("status") == "True"
            return is_this and is_over and why in ("", reason(status, "Promoted"))

        status = self._until(self._job, is_so, f"at the end of run {run} {why}")
        return End(status, self.pointer())

    def begun_again(self) -> None:
        """Ask for another run, and see the first pod of it at work."""
        again = {"metadata": {"annotations": {RERUN: "again"}}}
        known = {child["metadata"]["uid"] for child in self.children()}
        self.plane.api.patch(self._job, again)

        def is_at_work() -> bool:
            new = [each for each in self.children() if each["metadata"]["uid"] not in known]
            return any(each["status"].get("phase") == "Running" for each in new)

        wait_until(is_at_work, "a pod of another run is at work", RUN_S)

    def deleted(self) -> list[Json]:
        """Delete both objects; the Jobs and pods that are left when nothing more goes."""
        names = (f"finetunejob/{JOB}", f"basemodel/{BASE}")
        self.plane.kubectl("delete", "-n", self.namespace, *names, "--timeout=30s")
        with suppress(TimeoutError):
            wait_until(lambda: not self.children(), "the garbage is collected")
        return self.children()

    # What is there

    def base(self) -> Json:
        """The base model."""
        return self.plane.api.get(self._base)

    def job(self) -> Json:
        """The job."""
        return self.plane.api.get(self._job)

    def versions(self, since: Json) -> list[Json]:
        """Every version of the base model since then."""
        version = since["metadata"]["resourceVersion"]
        query = f"watch=1&resourceVersion={version}&timeoutSeconds=1"
        _, body = self.plane.api.raw("GET", f"{self._kinds}/basemodels?{query}")
        return [json.loads(line)["object"] for line in body.splitlines()]

    def children(self) -> list[Json]:
        """Every Job and every pod."""
        pods = self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return [*self.jobs(), *pods]

    def jobs(self) -> list[Json]:
        """Every Job."""
        return list(self.plane.api.get(f"/apis/batch/v1/namespaces/{self.namespace}/jobs")["items"])

    def events(self, last: str) -> list[Json]:
        """Those about both objects, once there is one with this reason."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"

        def ours() -> list[Json]:
            found = self.plane.api.get(path)["items"]
            return [one for one in found if one["regarding"]["name"] in (BASE, JOB)]

        wait_until(lambda: last in [one["reason"] for one in ours()], f"the event {last}")
        return ours()

    def pointer(self) -> Json:
        """What lies in the store."""
        key = f"{self.namespace}/out/promoted.json"
        found = self.objects.server.client().get_object(Bucket=OUTPUT, Key=key)
        return dict(json.loads(found["Body"].read()))

    def passwords(self) -> list[str]:
        """Of every place that it uses."""
        owners = [self.objects.identities[bucket].secret for bucket in (DATA, OUTPUT)]
        return [*PASSWORDS.values(), *owners]

    @property
    def _kinds(self) -> str:
        return f"/apis/tunekeeper.dev/v1alpha1/namespaces/{self.namespace}"

    @property
    def _base(self) -> str:
        return f"{self._kinds}/basemodels/{BASE}"

    @property
    def _job(self) -> str:
        return f"{self._kinds}/finetunejobs/{JOB}"

    def _until(self, path: str, is_true: Callable[[Json], bool], what: str) -> Json:
        """The object's status, once that is so."""

        def look() -> Json | None:
            status = self.plane.api.get(path)["status"]
            return status if is_true(status) else None

        what = f"{path.rpartition('/')[2]} is {what}"
        try:
            return dict(wait_until(look, what, RUN_S, LOOK_PERIOD_S))
        except TimeoutError as error:
            status = json.dumps(self.plane.api.get(path)["status"], indent=1)
            raise AssertionError(f"{error}; {status}\n{self.logs()[-6000:]}") from None


def reason(status: Json, kind: str) -> str:
    """Of a condition; empty: it is absent."""
    return str(condition(status, kind).get("reason", ""))


def condition(status: Json, kind: str) -> Json:
    """One of its conditions; empty when it is absent."""
    return next((one for one in status.get("conditions", []) if one["type"] == kind), {})


def repositories(git: GitServer, folder: Path, namespace: str) -> tuple[Publisher, Manifests]:
    """Both repositories, with a login each; the model's may only be read."""
    models = git.repository("models", **{ROBOT: PASSWORDS["models"]})
    models.readers.add(ROBOT)
    manifests = git.repository("manifests", **{ROBOT: PASSWORDS["manifests"]})
    return Publisher(folder / "model", git, models), Manifests(manifests, namespace)


def git_secrets() -> dict[str, dict[str, str]]:
    """The Secret of each repository."""
    return {name: {"username": ROBOT, "password": word} for name, word in PASSWORDS.items()}


@contextmanager
def opened(plane: ControlPlane, namespace: str, folder: Path, **settings: str) -> Iterator[Circle]:
    """Operator, a node that runs pods, Git server and object store, with all four Secrets."""
    node = RunningKubelet(plane.api, namespace, folder=folder / "pods")
    git = GitServer(folder / "git")
    try:
        with (
            s3_server(folder / "s3") as s3,
            operated(plane, namespace, node=node, **settings) as desk,
        ):
            objects = filled(s3, "127.0.0.1")
            places = (*repositories(git, folder, namespace), objects)
            circle = Circle(plane, namespace, *places, lambda: desk.log() + node.logs(), desk)
            for name, values in {**objects.secrets(), **git_secrets()}.items():
                circle.add_secret(name, values)
            yield circle
    finally:
        git.close()
