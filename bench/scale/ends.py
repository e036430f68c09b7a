"""Jobs end at a steady rate: how long until the objects say so?"""

import asyncio
import json
import os
import re
import time
from contextlib import aclosing
from typing import Any

from cluster.pod import Last, Place, Pod

from bench.scale.bare import Bare, bare, each
from bench.scale.bodies import UID, Bodies, Born, bodies
from bench.scale.starts import names_of
from bench.scale.table import Line
from bench.scale.world import NAMESPACES, World, say
from trainer.contract.failures import EXIT_CODES, FailureClass

MERGE = {"Content-Type": "application/merge-patch+json"}
PATIENCE_S = 120.0
FAILURE = FailureClass.INVALID_DATA
"""A user's mistake is never tried again: the object has ended."""
_NAME = re.compile(rb'"name":"(e-\d+)"')


async def measure(world: World, count: int, rate: float, width: int) -> list[Line]:
    """So many ends, so many a second."""
    told = bodies(NAMESPACES[0])
    async with bare(world.plane.api, width) as client:
        with world.operator("ends"):
            say(f"making {count} objects whose Jobs will end")
            born = await begin(client, told, names_of("e", count), width)
            seconds = sorted(await end_all(client, told, born, rate))
    p50, p99 = (seconds[int(len(seconds) * part)] * 1000 for part in (0.5, 0.99))
    note = f"p50 {p50:.0f} ms, of {count} at {rate:g}/s, load {os.getloadavg()[0]:.1f}"
    return [Line("Job end to terminal status, p99", 500, p99, "ms", note)]


async def begin(client: Bare, told: Bodies, names: list[str], width: int) -> list[Born]:
    """Objects with a Job and a pod each."""
    found: list[Born] = []

    async def one(name: str) -> None:
        made = Born.read(await client.send("POST", told.objects, told.new_of(name)))
        found.append(made)

    seen = asyncio.create_task(_jobs(client, told, len(names)))
    await asyncio.sleep(0.3)
    await each(names, one, width)
    jobs = await asyncio.wait_for(seen, PATIENCE_S)
    by_uid = {job["metadata"]["labels"]["tunekeeper.dev/uid"]: job for job in jobs}
    pods = f"/api/v1/namespaces/{told.namespace}/pods"
    await each(found, lambda b: client.send("POST", pods, pod_of(by_uid[b.uid])), width)
    return [Born(b.name, b.uid, by_uid[b.uid]["metadata"]["name"]) for b in found]


async def _jobs(client: Bare, told: Bodies, count: int) -> list[dict[str, Any]]:
    """As the operator made them."""
    found: list[dict[str, Any]] = []
    version = json.loads(await client.send("GET", f"{told.jobs}?limit=1"))["metadata"]
    path = f"{told.jobs}?watch=1&resourceVersion={version['resourceVersion']}"
    async with aclosing(client.lines(path, accept="application/json")) as events:
        async for line in events:
            event = json.loads(line)
            if event["type"] == "ADDED":
                found.append(event["object"])
            if len(found) == count:
                return found
    raise EOFError("the watch of the Jobs was closed")


def pod_of(job: dict[str, Any]) -> bytes:
    """As the Job controller makes it, and a scheduler binds it."""
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"]}
    about = {
        "name": f"{meta['name']}-abcde",
        "labels": template["metadata"]["labels"],
        "ownerReferences": [owner | {"controller": True}],
    }
    return json.dumps(
        {"metadata": about, "spec": template["spec"] | {"nodeName": "bench"}}
    ).encode()


async def end_all(client: Bare, told: Bodies, born: list[Born], rate: float) -> list[float]:
    """Seconds from the write of each Job's end to the status that tells it."""
    started: dict[str, float] = {}
    ended: dict[str, float] = {}
    watching = asyncio.create_task(_ends(client, told, ended, len(born)))
    await asyncio.sleep(0.3)
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(born):
            group.create_task(_end(client, told, one, number / rate, started))
    await asyncio.wait_for(watching, PATIENCE_S)
    return [ended[name] - started[name] for name in ended]


async def _ends(client: Bare, told: Bodies, ended: dict[str, float], count: int) -> None:
    version = json.loads(await client.send("GET", f"{told.objects}?limit=1"))["metadata"]
    path = f"{told.objects}?watch=1&resourceVersion={version['resourceVersion']}"
    async with aclosing(client.lines(path, accept="application/json")) as events:
        async for line in events:
            found = _NAME.search(line)
            if found and b'"phase":"Failed"' in line:
                ended.setdefault(found[1].decode(), time.monotonic())
            if len(ended) == count:
                return


async def _end(
    client: Bare, told: Bodies, one: Born, after_s: float, started: dict[str, float]
) -> None:
    await asyncio.sleep(after_s)
    pod = f"/api/v1/namespaces/{told.namespace}/pods/{one.version}-abcde/status"
    await _patch(client, pod, pod_end().replace(UID, one.uid))
    started[one.name] = time.monotonic()
    await _patch(client, f"{told.jobs}/{one.version}/status", job_end(told.namespace))


async def _patch(client: Bare, path: str, body: str) -> None:
    url = client.root + path
    async with client.session.patch(url, data=body.encode(), headers=MERGE) as answer:
        said = await answer.read()
        assert answer.status < 300, f"{path}: {answer.status} {said[:400]!r}"  # noqa: S101, PLR2004


def pod_end() -> str:
    """As a kubelet tells it; the last word is written by the trainer's own code."""
    labels = {"uid": UID, "run": "1", "attempt": "1", "stage": "prepare"}
    seen = {
        "metadata": {
            "name": "x",
            "uid": "x",
            "labels": {f"tunekeeper.dev/{name}": value for name, value in labels.items()},
        },
        "spec": {},
    }
    word = Pod(Place(None, "", ""), seen).word(failure=FAILURE, message="line 41 has no answer")
    state = Last(EXIT_CODES[FAILURE], word).state("2026-01-01T00:00:00Z")
    container = {
        "name": "stage",
        "image": "tunekeeper",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }
    return json.dumps({"status": {"phase": "Failed", "containerStatuses": [container]}})


def job_end(namespace: str) -> str:
    """As the Job controller tells it."""
    at = "2026-01-01T00:00:00Z"
    code = EXIT_CODES[FAILURE]
    said = {
        "status": "True",
        "reason": "PodFailurePolicy",
        "message": f"Container stage for pod {namespace}/x failed with exit code {code}"
        " matching FailJob rule at index 1",
        "lastTransitionTime": at,
        "lastProbeTime": at,
    }
    conditions = [said | {"type": kind} for kind in ("FailureTarget", "Failed")]
    status = {"conditions": conditions, "failed": 1, "startTime": at, "ready": 0, "terminating": 0}
    return json.dumps({"status": status | {"uncountedTerminatedPods": {}}})
