"""``--output-status``: the jobs with their status as YAML, whole at every moment."""

from pathlib import Path

import yaml

from controller.api.finetunejob import FineTuneJob


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
        documents = [
            known.model_dump(mode="json", exclude_none=True, exclude_defaults=False)
            for known in self._jobs.values()
        ]
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True))
        temporary.replace(self._path)
