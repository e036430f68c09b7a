"""Kueue played by the test: what it does to a Job, in the order and the words of its own code.

After pkg/controller/jobs/job/job_controller.go (``RunWithPodSetsInfo``, ``Stop``) and
pkg/controller/jobframework/reconciler.go of kubernetes-sigs/kueue. Its Workload is a ConfigMap
here: what counts of it is that the Job owns it, and that a finalizer holds it.
"""

import secrets
from dataclasses import dataclass, field

from cluster.api import Api, Json
from cluster.pod import now
from cluster.process import wait_until

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
STOPPING = "kueue.x-k8s.io/stopping"
FINALIZER = "kueue.x-k8s.io/resource-in-use"
PATIENCE_S = 30.0

NO_QUOTA = (
    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in"
    " flavor default-flavor, 1 more needed"
)
PREEMPTED = (
    "Preempted to accommodate a workload (UID: 6b5f, JobUID: 91aa) due to prioritization in the"
    " ClusterQueue"
)


@dataclass
class Kueue:
    """One LocalQueue of one namespace, and the ClusterQueue behind it."""

    api: Api
    namespace: str
    flavor: Json = field(default_factory=lambda: {"pool": "a100"})
    """Labels of the nodes of its ResourceFlavor."""

    def job(self, attempt: int = 1, *, job: str = "intents", timeout_s: float = PATIENCE_S) -> Json:
        """The Job of this attempt at train, once it is there and waits in a queue; with a Workload.

        Raises:
            TimeoutError: there is none in time.
        """
        wanted = {"stage": "train", "attempt": str(attempt), "job": job}
        labels = {f"tunekeeper.dev/{name}": value for name, value in wanted.items()}
        found = wait_until(lambda: self._waiting(labels), f"a queued Job {labels}", timeout_s)
        self._make_workload(found)
        return found

    def refuse(self, job: Json, message: str = NO_QUOTA) -> None:
        """There is no room for it now: told about the Workload."""
        workload = self.api.get(self._workload(job))["metadata"]
        about = {"kind": "Workload", "apiVersion": "kueue.x-k8s.io/v1beta2"}
        self._tell(about | {"name": workload["name"], "uid": workload["uid"]}, "Pending", message)

    def admit(self, job: Json) -> None:
        """It may run, on the nodes of the flavor."""
        template = {
            "metadata": {"labels": {"kueue.x-k8s.io/podset": "main"}},
            "spec": {"nodeSelector": self.flavor, "tolerations": [{"operator": "Exists"}]},
        }
        self._patch(job, {"spec": {"suspend": False, "template": template}})
        self._about_job(job, "Started", "Admitted by clusterQueue gpus")

    def preempt(self, job: Json, message: str = PREEMPTED) -> None:
        """It has to stop; Kueue marks it, resets its start, and takes back what it injected."""
        marked = {"metadata": {"annotations": {STOPPING: "true"}}, "spec": {"suspend": True}}
        self._patch(job, marked)
        self.api.patch(f"{self._path(job)}/status", {"status": {"startTime": None}})
        restored = {
            "metadata": {"labels": {"kueue.x-k8s.io/podset": None}},
            "spec": {"nodeSelector": None, "tolerations": None},
        }
        unmarked = {"metadata": {"annotations": {STOPPING: None}}, "spec": {"template": restored}}
        wait_until(lambda: self._is_idle(job), "its pods are told to end", PATIENCE_S)
        self._patch(job, unmarked)
        self._about_job(job, "Stopped", message)

    def let_go(self, job: Json) -> None:
        """Its Job is being deleted: the Workload may go."""
        self.api.patch(self._workload(job), {"metadata": {"finalizers": None}})

    def seen(self, job: Json) -> Json | None:
        """The Job as it is now; None when it is gone."""
        found = self.api.find(self._path(job))
        is_same = found and found["metadata"]["uid"] == job["metadata"]["uid"]
        return found if is_same else None

    def _waiting(self, labels: dict[str, str]) -> Json | None:
        selector = ",".join(f"{name}%3D{value}" for name, value in labels.items())
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs?labelSelector={selector}"
        found = self.api.get(path)["items"]
        live = (job for job in found if "deletionTimestamp" not in job["metadata"])
        return next((job for job in live if _is_waiting(job)), None)

    def _make_workload(self, job: Json) -> None:
        """Owned by the Job, so that a foreground deletion waits for it."""
        if self.api.find(self._workload(job)):
            return
        meta = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"]}
        references = [owner | {"controller": True, "blockOwnerDeletion": True}]
        name = _workload_name(job)
        metadata = {"name": name, "ownerReferences": references, "finalizers": [FINALIZER]}
        self.api.post(self._config_maps, {"metadata": metadata})
        self._about_job(job, "CreatedWorkload", f"Created Workload: {self.namespace}/{name}")

    def _is_idle(self, job: Json) -> bool:
        return not (self.seen(job) or {}).get("status", {}).get("active")

    def _about_job(self, job: Json, reason: str, message: str) -> None:
        meta = job["metadata"]
        about = {"kind": "Job", "apiVersion": "batch/v1", "name": meta["name"], "uid": meta["uid"]}
        self._tell(about, reason, message)

    def _tell(self, about: Json, reason: str, message: str) -> None:
        body = {
            "metadata": {"name": f"{about['name']}.{secrets.token_hex(5)}"},
            "regarding": about | {"namespace": self.namespace},
            "reason": reason,
            "note": message,
            "type": "Normal",
            "action": reason,
            "eventTime": now().replace("Z", ".000000Z"),
            "reportingController": "kueue-admission",
            "reportingInstance": "kueue-0",
        }
        self.api.post(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events", body)

    def _patch(self, job: Json, body: Json) -> None:
        self.api.patch(self._path(job), body)

    def _path(self, job: Json) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{job['metadata']['name']}"

    def _workload(self, job: Json) -> str:
        return f"{self._config_maps}/{_workload_name(job)}"

    @property
    def _config_maps(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"


def _is_waiting(job: Json) -> bool:
    is_queued = QUEUE_LABEL in job["metadata"]["labels"]
    return is_queued and bool(job["spec"].get("suspend"))


def _workload_name(job: Json) -> str:
    meta = job["metadata"]
    return f"job-{meta['name']}-{meta['uid'][:5]}"
