"""The API server is away for minutes: how many requests meanwhile, how soon is all well again?"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from builders.operated import Desk
from cluster.process import wait_until

from bench.scale.leaders import first_job, leads
from bench.scale.table import Line
from bench.scale.world import World, cpu_s, say

QUIET_AFTER_S = 60.0
READY_S = 60.0


@dataclass
class Refusing:
    """Sits at the server's port and closes every connection; each is a request that came."""

    address: str
    port: int
    times_s: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Until the block ends."""
        listener = socket.create_server((self.address, self.port), reuse_port=False)
        listener.settimeout(0.2)
        stopping = threading.Event()
        thread = threading.Thread(target=self._accept, args=(listener, stopping))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            listener.close()

    def _accept(self, listener: socket.socket, stopping: threading.Event) -> None:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                self.times_s.append(time.monotonic())
                connection.close()


def measure(world: World, seconds: float) -> list[Line]:
    """The operator ends when it cannot keep its Lease, and is started again, as a kubelet does."""
    plane = world.plane
    with world.operator("outage") as desk:
        wait_until(lambda: leads(desk), "it leads", READY_S)
        say(f"the API server goes away for {seconds:.0f} s")
        plane.controller_manager.kill()  # its requests are not the operator's
        plane.apiserver.kill()
        start_s, refusing = time.monotonic(), Refusing(plane.address, plane.port)
        with refusing.at_work():
            starts, used_s = _supervise(desk, start_s + seconds)
        plane.apiserver = plane.run("kube-apiserver", plane._apiserver_command())  # noqa: SLF001
        wait_until(plane._apiserver_is_ready, "the API server is ready", READY_S)  # noqa: SLF001
        back_s = time.monotonic()
        recovered_s = first_job(world, "after-outage", back_s)
    late = [at for at in refusing.times_s if at - start_s >= QUIET_AFTER_S]
    rate = len(late) / max(1.0, seconds - QUIET_AFTER_S)
    early = len(refusing.times_s) - len(late)
    note = f"{early} in the first minute; started {starts} times more, as a kubelet would"
    return [
        Line(f"outage of {seconds:.0f} s: requests after a minute", 1.0, rate, "/s", note),
        Line("outage: CPU meanwhile", None, used_s / seconds * 100, "% of a core"),
        Line("outage: recovered after it", 35, recovered_s, "s", f"load {os.getloadavg()[0]:.1f}"),
    ]


def _supervise(desk: Desk, until_s: float) -> tuple[int, float]:
    """Start it again whenever it ends; how often, and the CPU of all of them."""
    starts, used_s, last_s = 0, 0.0, cpu_s(desk.process)
    while time.monotonic() < until_s:
        time.sleep(0.5)
        if not desk.process.is_alive():
            desk.launch()
            starts, last_s = starts + 1, 0.0
        now_s = cpu_s(desk.process)
        used_s, last_s = used_s + now_s - last_s, now_s
    return starts, used_s
