"""What is left at the end of a case, without what differs between any two runs of it. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from cluster.api import Json
from faults.objects import attempt, conditions, is_alive, is_over, is_true

TIMES = re.compile(r"Time$|^time$|^notBefore$|^wallSeconds$")
UID_HASH = re.compile(r"(intents-)[a-z0-9]{5}(-r\d)")
ATTEMPTS = frozenset({"attempt", "attempts", "failures", "waits"})
RUNS = frozenset({"number", "run"})


def end_state(job: Json, children: Iterable[Json], pods: Iterable[Json]) -> Json:
    """The status, and how every child of the object ended."""
    status = dict(_scrubbed(job.get("status", {})))
    status["conditions"] = sorted(status.get("conditions", []), key=lambda one: one["type"])
    return {
        "status": status,
        "children": sorted((*attempt(child), _ended(child)) for child in children),
        "alive": sorted(attempt(pod) for pod in pods if is_alive(pod)),
    }


def without_attempts(state: Json) -> Json:
    """The same, however many attempts it took: of each stage only how the last one ended."""
    last = {(run, stage): how for run, stage, _, how in state["children"]}
    status = _without(state["status"], ATTEMPTS)
    return {**state, "status": status, "children": sorted((*k, how) for k, how in last.items())}


def without_runs(state: Json) -> Json:
    """The same, whatever number the run has: of the children only those of the last run."""
    newest = max((child[0] for child in state["children"]), default=0)
    children = [child[1:] for child in state["children"] if child[0] == newest]
    status = _without(state["status"], RUNS)
    status["history"] = status.get("history", [])[-1:]
    return {**state, "status": status, "children": children}


def differences(wanted: Any, found: Any, place: str = "") -> list[str]:
    """Where two end states differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            said
            for key in sorted({*wanted, *found})
            for said in differences(wanted.get(key), found.get(key), f"{place}.{key}")
        ]
    return [] if wanted == found else [f"{place[1:]}: {found!r} instead of {wanted!r}"]


def _ended(child: Json) -> str:
    if not is_over(child):
        return "unfinished"
    told = conditions(child).get("Failed", {})
    return f"failed {told.get('reason', '')}" if is_true(child, "Failed") else "complete"


def _scrubbed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _scrubbed(item) for key, item in value.items() if not TIMES.search(key)}
    if isinstance(value, list):
        return [_scrubbed(item) for item in value]
    return UID_HASH.sub(r"\1*\2", value) if isinstance(value, str) else value


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(item, names) for item in value]
    return value
