"""What the stores hold of each object: the fields that decide something, and no others.

A whole Job or Pod costs 50 to 100 KB in memory; these few fields cost about 2 KB.
"""

from datetime import datetime
from sys import intern

from msgspec import Raw, Struct, field

from controller.api.meta import GROUP
from controller.kube.objects import KubeObject, Meta
from controller.shell.kinds import QUEUE_LABEL

NOTHING = Raw(b"{}")
OURS = (f"{GROUP}/", QUEUE_LABEL)
"""What labels and annotations that decide something begin with."""


def trim(meta: Meta) -> None:
    """Labels and annotations of others decide nothing here, and kubectl notes a whole document."""
    meta.labels = _ours(meta.labels)
    meta.annotations = _ours(meta.annotations)
    meta.namespace, meta.uid = intern(meta.namespace), intern(meta.uid)
    for owner in meta.owner_references:
        owner.kind, owner.name, owner.uid = map(intern, (owner.kind, owner.name, owner.uid))


def _ours(theirs: dict[str, str]) -> dict[str, str]:
    """One text for each: most are the same on every object, or on an object and its children."""
    ours = (pair for pair in theirs.items() if pair[0].startswith(OURS))
    return {intern(name): intern(value) for name, value in ours}


class JobObject(KubeObject, gc=False):
    """A FineTuneJob or a BaseModel; ``controller.api.read`` makes sense of the rest."""

    spec: Raw = NOTHING
    status: Raw = NOTHING

    def __post_init__(self) -> None:
        """Let go of the document around the two, and of what others noted: most of its bytes."""
        self.spec, self.status = self.spec.copy(), self.status.copy()
        trim(self.metadata)


class JobCondition(Struct, rename="camel", gc=False):
    """One statement of the Job controller."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class UncountedPods(Struct, rename="camel"):
    """Uids of pods that ended and that the Job's own numbers do not contain yet."""

    succeeded: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class JobStatus(Struct, rename="camel", gc=False):
    """What the Job controller says of a Job."""

    conditions: list[JobCondition] = field(default_factory=list)
    active: int = 0
    terminating: int | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None
    uncounted_terminated_pods: UncountedPods | None = None


class JobSpec(Struct, rename="camel", gc=False):
    """What others may change of a Job."""

    suspend: bool = False


class Job(KubeObject, gc=False):
    """A child."""

    spec: JobSpec = field(default_factory=JobSpec)
    status: JobStatus = field(default_factory=JobStatus)

    def __post_init__(self) -> None:
        """Keep what is ours."""
        trim(self.metadata)


class JobList(Struct):
    """The answer to a LIST of Jobs."""

    items: list[Job] = field(default_factory=list)


class Terminated(Struct, rename="camel", gc=False):
    """A container that ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Waiting(Struct, rename="camel", gc=False):
    """A container that has not started."""

    reason: str = ""
    message: str = ""


class ContainerState(Struct, rename="camel"):
    """At most one of the three; the third, running, decides nothing."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(Struct, rename="camel"):
    """A container, as the kubelet sees it."""

    name: str = ""
    state: ContainerState = field(default_factory=ContainerState)


class PodCondition(Struct, rename="camel", gc=False):
    """One statement of the scheduler, the kubelet or whoever evicts."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(Struct, rename="camel", gc=False):
    """What the kubelet says of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = field(default="", name="podIP")
    start_time: datetime | None = None
    conditions: list[PodCondition] = field(default_factory=list)
    container_statuses: list[ContainerStatus] = field(default_factory=list)


class PodSpec(Struct, rename="camel"):
    """Where a pod is."""

    node_name: str = ""


class Pod(KubeObject, gc=False):
    """A pod of a child."""

    spec: PodSpec = field(default_factory=PodSpec)
    status: PodStatus = field(default_factory=PodStatus)


class PodList(Struct):
    """The answer to a LIST of pods."""

    items: list[Pod] = field(default_factory=list)
