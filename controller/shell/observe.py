"""Assembles what one decision about a FineTuneJob may know."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.api.read import read_base_model, read_job
from controller.api.reasons import Reason
from controller.core.children import Child
from controller.core.observed import Observed, Settings
from controller.errors import SpecError
from controller.kube.store import Store
from controller.shell.children import children_of
from controller.shell.limits import Limits
from controller.shell.looks import AnyObserver, Look, builtins_of
from controller.shell.progress import Poller
from controller.shell.records import Job, JobObject, Pod
from trainer.contract.progress import Progress


@dataclass(kw_only=True)
class Observer(AnyObserver[FineTuneJob, Child]):
    """Of FineTuneJobs."""

    limits: Limits
    poller: Poller
    settings: Settings

    @property
    def objects(self) -> Store[JobObject]:
        """The FineTuneJobs."""
        return self.caches.jobs

    def read(self, stored: JobObject) -> FineTuneJob:
        """The job, read whole."""
        return read_job(builtins_of(stored), stored.spec, stored.status)

    def children(
        self, uid: str, jobs: Sequence[Job], pods: Sequence[Pod], lost: Sequence[Job]
    ) -> tuple[Child, ...]:
        """The attempts of the job with that uid."""
        return children_of(uid, jobs, pods, self._progress(pods), lost)

    def is_recorded(self, obj: FineTuneJob, child: Child) -> bool:
        """Whether it is the attempt of the run under way."""
        run = obj.status.run
        if run is None or run.end_time is not None:
            return False
        return (child.run, child.stage, child.attempt) == (run.number, run.stage, run.attempt)

    def observe(self, look: Look[FineTuneJob, Child]) -> Observed:
        """What the decision is made about. Takes a slot when one is free for the object.

        One whose Job the server will never have has nothing to wait for: it stands in no line.
        """
        obstacle = self.ledger.obstacle(look.obj.metadata)
        is_refused = obstacle is not None and obstacle.reason is Reason.INVALID_SPEC
        observed = Observed(
            job=look.obj,
            now=self.now(),
            children=tuple(self.explained(look)),
            base_model=self._base_model(look.obj),
            settings=self.settings,
            obstacle=obstacle,
        )
        is_alive = look.family.is_alive
        return observed if is_refused else self.limits.placed(observed, is_alive=is_alive)

    def _progress(self, pods: Sequence[Pod]) -> dict[str, Progress]:
        heard = ((pod.metadata.uid, self.poller.progress_of(pod.metadata.uid)) for pod in pods)
        return {uid: progress for uid, progress in heard if progress is not None}

    def _base_model(self, job: FineTuneJob) -> BaseModelObject | None:
        name = job.spec.base_model.name
        found = self.caches.base_models.get((job.metadata.namespace, name)) if name else None
        if found is None:
            return None
        try:
            return read_base_model(builtins_of(found), found.spec, found.status)
        except SpecError:
            return None  # of a newer release: unknown to this one
