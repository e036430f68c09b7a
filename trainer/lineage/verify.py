"""Hashes every file that a manifest vouches for, and says what is not as it says.

Files are read in blocks, a few at a time: memory does not grow with them, nothing is written.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from trainer.contract.lineage import CheckedRun, Fault, Finding, Verification, VerifyProgress
from trainer.lineage.pointer import read_pointer
from trainer.lineage.target import Inventory
from trainer.lineage.vouched import Promise, Vouched, pointer_findings, vouched
from trainer.store import layout
from trainer.store.base import MissingError, Store

HASHERS = 4
READERS = 8
PERIOD_S = 0.25

OnProgress = Callable[[VerifyProgress], None]


@dataclass
class Counted:
    """Bytes done, told now and then; counted from several threads."""

    total: int
    tell: OnProgress
    done: int = 0
    told_at: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        """More bytes are done."""
        with self.lock:
            self.done += count
            now = time.monotonic()
            if now - self.told_at < PERIOD_S and self.done < self.total:
                return
            self.told_at = now
            self.tell(VerifyProgress(done=self.done, total=self.total))


def silent(_progress: VerifyProgress) -> None:
    """Nobody looks on."""


def verify(
    store: Store, runs: Inventory, *, whole: bool, tell: OnProgress = silent
) -> Verification:
    """Check the runs; ``whole``: they are all runs of the output, and what stands above them too.

    Raises:
        StageError: the store cannot be read.
    """
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda each: vouched(store, *each), sorted(runs.items())))
    counted = Counted(sum(_bytes(each) for each in found), tell)
    tell(VerifyProgress(done=0, total=counted.total))
    for each in found:
        each.findings += hashed(store, each, counted)
    above = [*(_above(store) if whole else ()), *_pointer(store, found, whole=whole)]
    findings = [*above, *(finding for each in found for finding in each.findings)]
    return Verification(
        uri=store.uri,
        ok=not findings,
        files=sum(len(_names(each)) for each in found),
        bytes=counted.total,
        runs=[_checked(each) for each in found],
        findings=findings,
        notes=[note for each in found for note in each.notes],
    )


def hashed(store: Store, found: Vouched, counted: Counted) -> list[Finding]:
    """What of a run's files is not what its manifests say."""
    names = sorted(_names(found))
    with ThreadPoolExecutor(HASHERS) as pool:
        read = pool.map(lambda name: _sha256(store, found, name, counted), names)
        digests = dict(zip(names, read, strict=True))
    findings: dict[tuple[str, Fault], Finding] = {}
    for promise in found.promises:
        if digests[promise.name] != promise.sha256:
            finding = _broken(found.record.id, promise, is_there=digests[promise.name] is not None)
            findings.setdefault((finding.place, finding.fault), finding)
    return list(findings.values())


def _broken(run_id: str, promise: Promise, *, is_there: bool) -> Finding:
    return Finding(
        place=layout.run(run_id, promise.name),
        fault=Fault.MISMATCH if is_there else Fault.MISSING,
        message=f"its sha256 is not the one in {promise.by}"
        if is_there
        else f"{promise.by} vouches for it",
    )


def _sha256(store: Store, found: Vouched, name: str, counted: Counted) -> str | None:
    """Of a file's content; None: there is no such file."""
    digest = hashlib.sha256()
    if name not in found.record.files:
        return None
    try:
        for block in store.stream(layout.run(found.record.id, name)):
            digest.update(block)
            counted.add(len(block))
    except MissingError:
        return None
    return digest.hexdigest()


def _names(found: Vouched) -> set[str]:
    return {promise.name for promise in found.promises}


def _bytes(found: Vouched) -> int:
    return sum(found.record.files.get(name, 0) for name in _names(found))


def _checked(found: Vouched) -> CheckedRun:
    record = found.record
    state = record.state
    is_judged = state == "Answered" and any(name.endswith("/verdict.json") for name in record.files)
    return CheckedRun(
        id=record.id,
        state="Judged" if is_judged else state,
        files=len(_names(found)),
        bytes=_bytes(found),
        findings=len(found.findings),
    )


def _pointer(store: Store, found: Sequence[Vouched], *, whole: bool) -> Iterator[Finding]:
    pointer, problem = read_pointer(store)
    if problem and whole:
        message = problem.partition(": ")[2]
        yield Finding(place=layout.POINTER, fault=Fault.UNREADABLE, message=message)
    if pointer is not None and (whole or pointer.run_id in {each.record.id for each in found}):
        yield from pointer_findings(pointer, found)


def _above(store: Store) -> Iterator[Finding]:
    """Documents of the output that nothing vouches for: they are JSON, or damaged."""
    for key in (layout.OWNER, layout.SPLIT, layout.LEDGER):
        try:
            json.loads(store.read(key))
        except MissingError:
            continue
        except ValueError:
            message = "is not JSON; it was cut off or changed"
            yield Finding(place=key, fault=Fault.UNREADABLE, message=message)
