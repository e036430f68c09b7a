"""One round of the circle on a real control plane: what people do, and what is there afterwards.

Every step waits for conditions; nothing is played but the people.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.operated import Desk, operated
from builders.releases import BASE, JOB, Manifests, Publisher, a_job, git_source, training_data
from builders.watched import BaseDesk
from cluster.api import Json
from cluster.gitserver import GitServer
from cluster.plane import ControlPlane
from cluster.running import RunningKubelet
from cluster.s3server import Identity, S3Server, s3_server

DATA, OUTPUT = "tickets", "adapters"
PASSWORDS = {"models": "pass-of-the-reader", "manifests": "pass-of-the-robot"}
ROBOT = "robot"
RUN_S = 240.0
"""A run takes half a minute on a quiet machine."""


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


@dataclass
class Circle:
    """The people and their places."""

    desk: Desk
    publisher: Publisher
    manifests: Manifests
    s3: S3Server
    identities: dict[str, Identity]
    base: BaseDesk = field(init=False)
    _checks: int = 0

    def __post_init__(self) -> None:
        self.base = BaseDesk(self.desk)

    # Objects

    def base_spec(self) -> Json:
        """A base model that is looked at when somebody asks."""
        source = git_source(self.publisher.repository, "models")
        return {"source": source, "settleSeconds": 1, "pollPeriodSeconds": 300}

    def written_back(self) -> Json:
        """The same, with its revisions written to the manifests."""
        written = git_source(self.manifests.repository, "manifests")
        written["git"]["pushBranch"] = "tunekeeper/base-model"
        return {**self.base_spec(), "writeBack": written}

    def job_spec(self) -> Json:
        """Data and output in two buckets, with an identity each."""
        uri = f"s3://{DATA}/train.jsonl"
        split = {"validationPercent": 10, "testPercent": 30}
        return {
            "dataset": {"train": {"uri": uri}, "storage": self._storage(DATA), "split": split},
            "output": {"uri": f"s3://{OUTPUT}/out", "storage": self._storage(OUTPUT)},
            "compute": {"gpus": 0, "env": [{"name": "OMP_NUM_THREADS", "value": "1"}]},
        }

    def _storage(self, bucket: str) -> Json:
        reach = {"endpoint": self.s3.url, "region": "us-east-1", "pathStyle": True}
        return {"secretRef": {"name": bucket}, **reach}

    def secrets(self) -> Iterator[Json]:
        """One for each place, as a person makes them."""
        for name, identity in self.identities.items():
            keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            values = dict(zip(keys, (identity.access, identity.secret), strict=True))
            yield {"metadata": {"name": name}, "stringData": values}
        for name, password in PASSWORDS.items():
            values = {"username": ROBOT, "password": password}
            yield {"metadata": {"name": name}, "stringData": values}

    # What people do

    def apply(self) -> None:
        """What Flux does with the head of main."""
        text = self.manifests.text()
        self.desk.plane.kubectl("apply", "-n", self.desk.namespace, "-f", "-", stdin=text)

    def ask_to_look(self) -> None:
        """The annotation."""
        self._checks += 1
        self.base.check(f"look {self._checks}")

    def looked(self) -> Json:
        """Ask, and wait for that look's end; for a revision that is no news."""
        number = self.base.status()["errand"]["number"]
        self.ask_to_look()
        return self._until_base(
            lambda s: s["errand"]["number"] > number and "endTime" in s["errand"], "looked at"
        )

    def counted(self, revision: str) -> Json:
        """The base model's status, once this is its newest revision, and written where it goes."""

        def is_so(status: Json) -> bool:
            latest = status.get("latest", {}).get("revision")
            is_written = "writeBack" not in self.base.seen()["spec"] or (
                status.get("writeBack", {}).get("revision") == revision
            )
            return latest == revision and is_written

        return self._until_base(is_so, f"at {revision}")

    def behind(self) -> Json:
        """The job's word on a newer revision."""
        self._until(lambda s: reason(s, "BaseModelCurrent") == "NewRevisionAvailable", "behind")
        return self.desk.condition("BaseModelCurrent", JOB)

    def finished(self, run: int, why: str = "") -> End:
        """The job at the end of that run; ``why`` its adapter is or is not in use."""

        def is_so(status: Json) -> bool:
            is_judged = (
                status.get("run", {}).get("number") == run and truth(status, "Finished") == "True"
            )
            return is_judged and why in ("", reason(status, "Promoted"))

        status = self._until(is_so, f"at the end of run {run} {why}")
        return End(status, self.pointer())

    def pointer(self) -> Json:
        """What lies in the store."""
        client = self.s3.client(self.identities[OUTPUT])
        found = client.get_object(Bucket=OUTPUT, Key="out/promoted.json")
        return dict(json.loads(found["Body"].read()))

    def delete(self) -> None:
        """Both objects, as a person does it."""
        names = (f"finetunejob/{JOB}", f"basemodel/{BASE}")
        self.desk.plane.kubectl("delete", "-n", self.desk.namespace, *names, "--timeout=30s")

    # What is there

    def pods(self) -> list[Json]:
        """Every pod."""
        path = f"/api/v1/namespaces/{self.desk.namespace}/pods"
        return list(self.desk.plane.api.get(path)["items"])

    def job_names(self) -> set[str]:
        """Of all Jobs."""
        return {job["metadata"]["name"] for job in self.desk.jobs()}

    def said(self) -> str:
        """Everything that anybody could read: both objects, events, Jobs, pods and logs."""
        objects = [self.desk.seen(JOB), self.base.seen(), *self.desk.jobs(), *self.pods()]
        told = [*self.desk.events(), *self.base.events()]
        logs = [self.desk.log(), self.desk.kubelet.logs()]
        return "\n".join([json.dumps([*objects, *told]), *logs])

    def _until(self, is_true: Any, what: str) -> Json:
        return self._told(self.desk.path(JOB), is_true, f"{JOB} is {what}")

    def _until_base(self, is_true: Any, what: str) -> Json:
        return self._told(self.base.path, is_true, f"{BASE} is {what}")

    def _told(self, path: str, is_true: Any, what: str) -> Json:
        try:
            return self.desk.until_of(path, is_true, what, RUN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.desk.kubelet.logs()[-4000:]}") from None


def reason(status: Json, kind: str) -> str:
    """Of a condition; empty: it is absent."""
    return str(_condition(status, kind).get("reason", ""))


def truth(status: Json, kind: str) -> str:
    """The same of its status."""
    return str(_condition(status, kind).get("status", ""))


def _condition(status: Json, kind: str) -> Json:
    return next((one for one in status.get("conditions", []) if one["type"] == kind), {})


@contextmanager
def opened(plane: ControlPlane, namespace: str, folder: Path) -> Iterator[Circle]:
    """Operator, node, Git server and object store, with Secrets and data, and no objects yet."""
    node = RunningKubelet(plane.api, namespace, folder=folder / "pods")
    git = GitServer(folder / "git")
    try:
        with s3_server(folder / "s3") as s3, operated(plane, namespace, node=node) as desk:
            yield _laid_out(desk, git, s3, folder)
    finally:
        git.close()


def _laid_out(desk: Desk, git: GitServer, s3: S3Server, folder: Path) -> Circle:
    users = {name: {ROBOT: password} for name, password in PASSWORDS.items()}
    models = git.repository("models", **users["models"])
    models.readers.add(ROBOT)
    manifests = Manifests(git.repository("manifests", **users["manifests"]), desk.namespace)
    identities = {name: s3.user(f"owner-of-{name}") for name in (DATA, OUTPUT)}
    for bucket, owner in identities.items():
        s3.bucket(bucket, owner)
    s3.client().put_object(Bucket=DATA, Key="train.jsonl", Body=training_data())
    circle = Circle(desk, Publisher(folder / "model", git, models), manifests, s3, identities)
    for secret in circle.secrets():
        desk.plane.api.post(f"/api/v1/namespaces/{desk.namespace}/secrets", secret)
    return circle


def an_auto_job(circle: Circle) -> Json:
    """The same job, which follows its base model by itself."""
    follows = {"baseModel": {"name": BASE}, "retrain": {"policy": "Auto", "minPeriodSeconds": 0}}
    return a_job({**circle.job_spec(), **follows})
