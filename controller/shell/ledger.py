"""What this process did and the caches may not show yet.

An own write comes back by the watch a little later; an event of a child may come before it. So
the newest object, the Jobs just created and the Jobs just deleted are remembered here until the
caches show them, and a decision is always about what is known to be stored.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from controller.api.meta import ObjectMeta
from controller.core.children import Obstacle
from controller.kube.objects import KubeObject
from controller.shell.lost import LostJobs
from controller.shell.records import Job, JobObject

MEMORY_S = 60.0
"""A write that the caches did not show in this time was undone by someone: looked at live."""


def version(obj: KubeObject) -> int:
    """The resourceVersion as the number that it is; later writes have greater ones."""
    text = obj.metadata.resource_version
    return int(text) if text.isdigit() else 0


@dataclass
class _Known:
    obj: JobObject
    at_s: float


@dataclass
class _Created:
    job: Job
    at_s: float


@dataclass
class Ledger:
    """One process's own writes, by the uid of the object they are about."""

    clock: Callable[[], float]
    """Monotonic seconds."""
    lost: LostJobs = field(default_factory=LostJobs)
    """The opposite: what others did to the children."""
    _objects: dict[str, _Known] = field(default_factory=dict)
    _created: dict[str, dict[str, _Created]] = field(default_factory=dict)
    _deleted: dict[str, float] = field(default_factory=dict)
    _obstacles: dict[str, tuple[int, Obstacle]] = field(default_factory=dict)

    def remember(self, obj: JobObject) -> JobObject:
        """The object as the server has just given it, answer to a write or live read: the truth.

        A version below one that is known is the truth too: a store was put back to a backup.
        """
        self._objects[obj.metadata.uid] = _Known(obj, self.clock())
        return obj

    def newest(self, cached: JobObject) -> JobObject:
        """The cached object, or the newer one that an own write gave."""
        own = self._known(cached.metadata.uid)
        if own is None:
            return cached
        if version(own) > version(cached):
            return own
        del self._objects[cached.metadata.uid]
        return cached

    def is_own(self, obj: JobObject) -> bool:
        """Whether the object is exactly what an own write left: nobody needs to look at it."""
        own = self._known(obj.metadata.uid)
        if own is None or version(own) < version(obj):
            return False
        if version(own) == version(obj):
            del self._objects[obj.metadata.uid]  # the cache has it now
        return True

    @staticmethod
    def is_new(obj: KubeObject, now: datetime) -> bool:
        """Whether what was ever created for the object is still remembered here."""
        created = obj.metadata.creation_timestamp
        return created is not None and abs((now - created).total_seconds()) < MEMORY_S

    def _known(self, uid: str) -> JobObject | None:
        known = self._objects.get(uid)
        if known is not None and self.clock() - known.at_s > MEMORY_S:
            del self._objects[uid]
            return None
        return known.obj if known is not None else None

    def created(self, uid: str, job: Job) -> None:
        """A child of the object was created, or found there."""
        self._created.setdefault(uid, {})[job.metadata.name] = _Created(job, self.clock())

    def is_own_child(self, uid: str, job: Job) -> bool:
        """Whether the child is exactly what an own create left: nobody needs to look at it."""
        own = self._created.get(uid, {}).get(job.metadata.name)
        if own is None or (own.job.metadata.uid, version(own.job)) != (
            job.metadata.uid,
            version(job),
        ):
            return False
        self._created[uid].pop(job.metadata.name)  # the cache has it now
        return True

    def has_created(self, uid: str, job: str, job_uid: str) -> bool:
        """Whether this process created that Job, and the cache does not show it yet."""
        own = self._created.get(uid, {}).get(job)
        return own is not None and own.job.metadata.uid == job_uid

    def with_created(self, uid: str, cached: Iterable[Job]) -> list[Job]:
        """The cached children of the object and those that the cache does not show yet."""
        jobs = {job.metadata.name: job for job in cached}
        own = self._created.get(uid, {})
        limit_s = self.clock() - MEMORY_S
        for name, entry in list(own.items()):
            if name in jobs or entry.at_s < limit_s:
                del own[name]
        if not own:
            self._created.pop(uid, None)
        return [*jobs.values(), *(entry.job for entry in own.values())]

    def gone(self, uid: str, job: Job) -> None:
        """The cache has shown that the child is gone."""
        self._created.get(uid, {}).pop(job.metadata.name, None)
        self._deleted.pop(job.metadata.uid, None)

    def deleted(self, job: Job) -> None:
        """The child was told to go."""
        self._deleted[job.metadata.uid] = self.clock()

    def has_deleted(self, job: Job) -> bool:
        """Whether this process told the child to go, however long ago."""
        return job.metadata.uid in self._deleted

    def was_deleted(self, job: Job) -> bool:
        """Whether the child was told to go a moment ago."""
        at_s = self._deleted.get(job.metadata.uid)
        return at_s is not None and self.clock() - at_s < MEMORY_S

    def obstacle(self, meta: ObjectMeta) -> Obstacle | None:
        """What the server said when a child was last asked for by this generation of the spec."""
        generation, obstacle = self._obstacles.get(meta.uid, (0, None))
        return obstacle if generation == meta.generation else None

    def put_obstacle(self, meta: ObjectMeta, obstacle: Obstacle | None) -> None:
        """The newest word of the server; None: the child is there."""
        if obstacle is None:
            self._obstacles.pop(meta.uid, None)
        else:
            self._obstacles[meta.uid] = (meta.generation, obstacle)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        for table in (self._objects, self._created, self._obstacles):
            table.pop(uid, None)
        self.lost.forget(uid)
