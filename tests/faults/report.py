"""What people read: the story of a case that failed, and the table of all that ran."""

import json
from collections.abc import Iterator

from faults.history import JOB, Change
from faults.objects import attempt, conditions, is_going, run_of
from faults.requests import Sort
from faults.rig import Rig

LOG_LINES = 12


def timeline(rig: Rig) -> str:
    """The proxy's writes and the store's changes on one clock, and the end of each log."""
    told = sorted([*_requests(rig), *_changes(rig)])
    lines = [f"{at_s - rig.began_s:8.3f} s  {said}" for at_s, said in told]
    for replica in rig.replicas:
        tail = replica.log().splitlines()[-LOG_LINES:]
        lines += [f"-- log of replica {replica.name}, which ended {replica.codes}", *tail]
    return "\n".join(lines)


def _requests(rig: Rig) -> Iterator[tuple[float, str]]:
    for entry in rig.journal.of(Sort.WRITE, Sort.EVENT):
        yield entry.at_s, f"proxy  {entry}"
    for start_s in (start_s for replica in rig.replicas for start_s in replica.starts):
        yield start_s, "        a replica was started"


def _changes(rig: Rig) -> Iterator[tuple[float, str]]:
    for change in rig.history.changes():
        yield change.at_s, f"store  {change.revision} {change.type} {_told(change)}"


def _told(change: Change) -> str:
    name, status = change.obj["metadata"]["name"], change.obj.get("status", {})
    if change.kind == JOB:
        run, seen = run_of(change.obj), status.get("observedGeneration")
        place = (run.get("number"), run.get("stage"), run.get("attempt"))
        return f"{change.kind} {name} {status.get('phase')} {place}, generation {seen} observed"
    true = [kind for kind, one in conditions(change.obj).items() if one["status"] == "True"]
    said = status.get("phase") or json.dumps(true)
    return f"{change.kind} {attempt(change.obj)} {said}{' going' if is_going(change.obj) else ''}"
