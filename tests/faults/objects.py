"""Reads what a case looks at in the documents of FineTuneJobs, Jobs and pods."""

from cluster.api import Json

LABEL = "tunekeeper.dev"
OVER = frozenset({"Succeeded", "Failed"})


def labels(obj: Json) -> dict[str, str]:
    """Ours, without their prefix."""
    found = obj["metadata"].get("labels", {})
    return {
        name.removeprefix(f"{LABEL}/"): value
        for name, value in found.items()
        if name.startswith(LABEL)
    }


def owner(obj: Json) -> str:
    """The uid of the FineTuneJob that a child is for; empty: it is nobody's."""
    return labels(obj).get("uid", "")


def attempt(obj: Json) -> tuple[int, str, int]:
    """Run, stage and attempt of a child."""
    told = labels(obj)
    return int(told.get("run", 0)), told.get("stage", ""), int(told.get("attempt", 0))


def is_going(obj: Json) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in obj["metadata"]


def conditions(obj: Json) -> dict[str, Json]:
    """By their type."""
    return {one["type"]: one for one in obj.get("status", {}).get("conditions", [])}


def is_true(obj: Json, *kinds: str) -> bool:
    """Whether one of the conditions holds."""
    known = conditions(obj)
    return any(known.get(kind, {}).get("status") == "True" for kind in kinds)


def is_over(job: Json) -> bool:
    """Whether a Job has ended, and every pod of it."""
    return is_true(job, "Complete", "Failed")


def is_decided(job: Json) -> bool:
    """Whether a Job starts no pod any more; it may still count those that have ended."""
    return is_over(job) or is_true(job, "SuccessCriteriaMet", "FailureTarget") or is_going(job)


def is_alive(pod: Json) -> bool:
    """Whether a pod may still be at work."""
    return pod.get("status", {}).get("phase") not in OVER


def is_finished(job: Json) -> bool:
    """Whether a FineTuneJob is at its end, for the spec as it is."""
    seen = job.get("status", {}).get("observedGeneration")
    return is_true(job, "Finished") and seen == job["metadata"]["generation"]


def run_of(job: Json) -> Json:
    """What the status of a FineTuneJob says of its run."""
    return dict(job.get("status", {}).get("run") or {})
