"""A real process that speaks the contract and does no work: what it does is in its environment.

``FAKE_PLAN`` is JSON: stage -> list of steps; the last step repeats for later attempts.
A step: {"do": "ok" | "fail" | "crash" | "garbage" | "wait", ...fields of the outcome}.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

DIGEST = "sha256:" + "a" * 64
RUN_ID = "0123456789abcdef"
USUAL = {
    "prepare": {
        "runId": RUN_ID,
        "baseRevision": "abc",
        "baseDigest": DIGEST,
        "datasetDigest": DIGEST,
    },
    "train": {"runId": RUN_ID, "adapterDigest": DIGEST},
    "judge": {"runId": RUN_ID, "verdict": "Promote", "evaluationId": "e1", "sequence": 1},
    "collect": {"runId": RUN_ID},
}
EXIT = {"InvalidData": 11, "NotFound": 15, "Unavailable": 18, "Interrupted": 23}
JUDGED = {
    "metric": "ExactMatch",
    "arms": [
        {"name": "ZeroShot", "score": 0.61, "ciLow": 0.52, "ciHigh": 0.69, "n": 120, "gate": True},
        {"name": "Tuned", "score": 0.86, "ciLow": 0.79, "ciHigh": 0.91, "n": 120},
    ],
    "comparisons": [
        {
            "arm": "ZeroShot", "require": "Better", "threshold": 0.0, "delta": 0.25,
            "ciLow": 0.16, "ciHigh": 0.34, "method": "Tango", "passed": True,
        }
    ],
    "verdict": "Promote",
    "reason": "The tuned model is better than every arm that it has to meet.",
    "reportURI": "file:///out/report.html",
}  # fmt: skip


def main() -> int:
    if sys.argv[1] == "report":
        return report()
    request = json.loads(os.environ["TUNEKEEPER_REQUEST"])
    stage = request.get("stage") or request["errand"]
    assert sys.argv[1] == stage
    assert Path(os.environ["TUNEKEEPER_WORK"]).is_dir()
    assert os.environ["TUNEKEEPER_FILE_ROOT"] == "/"
    plan = json.loads(os.environ.get("FAKE_PLAN", "{}")).get(stage, [{"do": "ok"}])
    step = dict(plan[min(request.get("attempt") or request["number"], len(plan)) - 1])
    sys.stdout.write(f"working on {stage}\n")
    sys.stdout.flush()
    if "errand" in request:
        return run_errand(step.pop("do"), request, step)
    return perform(step.pop("do"), request, step)


def perform(deed: str, request: dict, fields: dict) -> int:
    match deed:
        case "ok":
            serve(progress(request))
            details = {"evaluation": JUDGED} if request["stage"] == "judge" else {}
            return speak(request, {**USUAL[request["stage"]], **fields}, details)
        case "fail":
            details = fields.pop("details", {})
            return speak(request, fields, details)
        case "garbage":
            serve(b"\x00" * 20000)
            time.sleep(1.5)
            return speak(request, USUAL[request["stage"]], {})
        case "wait":
            return wait_for_sigterm(request)
        case _:
            return 1


def run_errand(deed: str, request: dict, fields: dict) -> int:
    usual = {"found": {"revision": "rev-1", "contentDigest": DIGEST}}
    if request["errand"] == "write-back":
        usual = {"commit": f"commit-of-{request['new']['revision']}", "changedFiles": 1}
    if deed == "crash":
        return 1
    if deed == "wait":
        told = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        sys.stdout.flush()
        Path(os.environ["FAKE_READY"]).touch()
        told.wait(30)
        fields = {"failure": "Interrupted", "message": "stopped"}
    told_of = {
        "errand": request["errand"],
        "uid": request["baseModel"]["uid"],
        "number": request["number"],
        **({} if deed in ("fail", "wait") else usual),
        **fields,
    }
    Path(os.environ["TUNEKEEPER_OUTCOME"]).write_text(json.dumps(told_of) + "\n{}\n")
    return EXIT.get(fields.get("failure", ""), 0)


def wait_for_sigterm(request: dict) -> int:
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    serve(progress(request))
    if os.environ.get("FAKE_READY"):
        Path(os.environ["FAKE_READY"]).touch()
    told.wait(30)
    return speak(request, {"failure": "Interrupted", "message": "stopped", "checkpointStep": 4}, {})


def progress(request: dict) -> bytes:
    activity = {"name": "reading rows", "done": 3, "total": 10, "unit": "rows", "seconds": 1.0}
    told = {
        "uid": request["job"]["uid"],
        "run": request["run"],
        "stage": request["stage"],
        "attempt": request["attempt"],
        "percent": 30.0,
        "etaSeconds": 12.0,
        "activities": [activity],
    }
    return json.dumps(told).encode()


def serve(body: bytes) -> None:
    kind, _, number = os.environ["TUNEKEEPER_LISTEN"].partition(":")
    assert kind == "fd"
    listener = socket.socket(fileno=int(number))
    threading.Thread(target=answer, args=(listener, body), daemon=True).start()


def answer(listener: socket.socket, body: bytes) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + body)


def speak(request: dict, fields: dict, details: dict) -> int:
    told = {
        "stage": request["stage"],
        "uid": request["job"]["uid"],
        "run": request["run"],
        "attempt": request["attempt"],
        **fields,
    }
    text = f"{json.dumps(told)}\n{json.dumps(details)}\n"
    Path(os.environ["TUNEKEEPER_OUTCOME"]).write_text(text)
    return EXIT.get(fields.get("failure", ""), 0)


def report() -> int:
    target = sys.argv[-1]
    if "nothing" in target:
        sys.stderr.write(f"{target}: has no report; run the job first\n")
        return 15
    told = {
        "namespace": "default",
        "name": "intents",
        "run": 1,
        "runId": RUN_ID,
        "evaluationId": "e1",
        "created": "2026-03-01T12:00:00Z",
        "firstLine": "Tuning was worth it.",
        "judgement": JUDGED,
        "data": {"format": "Chat", "rows": 100},
        "resolved": [],
        "base": {"source": "tiny", "revision": "abc"},
        "cost": {"wallSeconds": 61, "tokensPerSecond": 215.0},
        "promoted": True,
        "usage": "import peft\nmodel = load()\nmodel('hi')",
    }
    sys.stdout.write(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
