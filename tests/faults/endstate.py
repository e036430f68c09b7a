"""What is left at the end of a case, without what differs between any two runs of it. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from cluster.api import Json
from faults.objects import attempt, conditions, is_alive, is_over, is_true

TIMES = re.compile(r"Time$|^time$|^notBefore$|^(wall|active|attempt)Seconds$")
UID_HASH = re.compile(r"(intents-)[a-z0-9]{5}(-r\d)")
ATTEMPTS = frozenset({"attempt", "attempts", "failures", "waits"})


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
    """The same, however many attempts it took: of each stage only how the last one ended.

    Where the word of an attempt was lost, one more stage has looked for it.
    """
    last = {child[:-2]: child[-1] for child in state["children"] if "collect" not in child}
    children = sorted((*place, how) for place, how in last.items())
    return {**state, "status": _without(state["status"], ATTEMPTS), "children": children}


def without_runs(state: Json) -> Json:
    """The same, whatever number the run has: only the last run, and nobody's children."""
    status = dict(state["status"])
    status["run"] = _without(status.get("run", {}), frozenset({"number"}))
    last = status.get("history", [])[-1:]
    status["history"] = _without(last, frozenset({"run"}))
    return without_children({**state, "status": status})


def without_children(state: Json) -> Json:
    """The same, whatever Jobs are left."""
    return {**state, "children": []}


def without_generations(state: Json) -> Json:
    """The same, however often the spec was edited."""
    return {**state, "status": _without(state["status"], frozenset({"observedGeneration"}))}


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
