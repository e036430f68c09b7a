"""Every request that passed the proxies of one case, in the order in which they came."""

import math
import threading
import time
from dataclasses import dataclass, field

from faults.requests import Request, Sort


@dataclass
class Entry:
    """One request and what became of it."""

    number: int
    at_s: float
    replica: str
    request: Request
    write: int = 0
    """1, 2, ... among the writes of the case; 0: it is none."""
    end: str = "on its way"

    def __str__(self) -> str:
        write = f"write {self.write} " if self.write else ""
        about = self.request.about if self.request.sort is Sort.WRITE else self.request.path
        return f"{self.replica} {write}{self.request.verb} {about}: {self.end}"

    @property
    def is_done(self) -> bool:
        """Whether the server did what was asked, whoever heard of it."""
        return self.end.startswith("2")


@dataclass
class Journal:
    """Filled by the proxies' loop, read by other threads."""

    entries: list[Entry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _writes: int = 0

    def begin(self, replica: str, request: Request) -> Entry:
        """A request has come."""
        with self._lock:
            is_write = request.sort is Sort.WRITE
            self._writes += is_write
            write = self._writes if is_write else 0
            number = len(self.entries) + 1
            entry = Entry(number, time.monotonic(), replica, request, write)
            self.entries.append(entry)
            return entry

    def of(self, *sorts: Sort, since_s: float = 0.0, replica: str = "") -> list[Entry]:
        """Those of these sorts that came since then."""
        with self._lock:
            known = list(self.entries)
        return [
            entry
            for entry in known
            if entry.request.sort in sorts
            and entry.at_s >= since_s
            and replica in ("", entry.replica)
        ]

    def led_since(self, since_s: float, replica: str = "", until_s: float = math.inf) -> bool:
        """Whether a replica has written the Lease since then, and before that."""
        found = self.of(Sort.LEASE, since_s=since_s, replica=replica)
        wrote = (entry for entry in found if entry.is_done and entry.request.method != "GET")
        return any(entry.at_s <= until_s for entry in wrote)
