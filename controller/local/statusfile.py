"""``--output-status``: the jobs with their status as YAML, whole at every moment."""

from pathlib import Path

import yaml

from controller.api.finetunejob import FineTuneJob
from controller.api.wire import to_document


class StatusFile:
    """One YAML document per job, replaced at each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: dict[tuple[str, str], FineTuneJob] = {}

    def put(self, job: FineTuneJob) -> None:
        """Write the file with the job as it is now.

        Raises:
            OSError: it cannot be written.
        """
        self._jobs[job.metadata.namespace, job.metadata.name] = job
        documents = [to_document(known) for known in self._jobs.values()]
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True))
        temporary.replace(self._path)
