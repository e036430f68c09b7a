"""The processes that train together, one for each GPU; alone unless the environment says more.

Owns the process group: sums over ranks, waiting for each other, what the first rank tells the
others. Knows nothing of losses or of how documents are shared out. Sums go over loopback between
CPUs (gloo) and between GPUs (NCCL); what is waited for long goes by a store of keys instead,
where no time limit of a collective applies and SIGTERM is noticed.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import FileStore, PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from trainer.contract.failures import FailureClass
from trainer.errors import PeerLostError, StageError
from trainer.launch import MEETING_ENV, Place, place_of
from trainer.pulse import beat

POLL_S = 0.05
"""Between two looks at whether the others have come."""


@dataclass(frozen=True)
class Ranks:
    """This process among ``world``; every rank must make the same calls in the same order."""

    rank: int = 0
    world: int = 1
    store: Store | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes: checkpoints, results, the last word."""
        return self.rank == 0

    def total(self, *values: float) -> list[float]:
        """Sums over all ranks, in float64, the same bits on each."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def largest(self, value: float) -> float:
        """The largest of all ranks' values."""
        return self._reduced([value], dist.ReduceOp.MAX)[0]

    def any(self, value: bool) -> bool:
        """Whether it is so on any rank: a decision that all take at the same step."""
        return self.largest(float(value)) > 0

    def summed(self, value: Tensor) -> Tensor:
        """The sum of all ranks' values, where they are: nothing waits for a device."""
        if self.world > 1:
            with _peers():
                dist.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over ranks; none there counts as zero."""
        if self.world == 1:
            return
        trained = list(parameters)
        sizes = [each.numel() for each in trained]
        flat = torch.cat([_gradient(each).flatten() for each in trained])
        with _peers():
            dist.all_reduce(flat)
        for each, part in zip(trained, torch.split(flat, sizes), strict=True):
            each.grad = part.view_as(each)

    def seed_noise(self, seed: int, step: int) -> None:
        """Let each rank draw noise of its own, a function of the step: nothing to save."""
        if self.world > 1:
            state = np.random.SeedSequence([seed, step, self.rank]).generate_state(1, np.uint64)
            torch.manual_seed(int(state[0] >> 1))

    def meet(self, place: str) -> None:
        """Wait until every rank is there, however long it takes.

        Raises:
            StageError: INTERRUPTED, when stopped while waiting.
        """
        if self.store is not None:
            self.store.set(f"{place}/{self.rank}", "here")
            self._wait([f"{place}/{rank}" for rank in range(self.world)])

    def told(self, what: str, say: Callable[[], str]) -> str:
        """What the first rank says; only there ``say`` is called. Each ``what`` is said once.

        Raises:
            StageError: INTERRUPTED, when stopped while waiting.
        """
        if self.store is None:
            return say()
        if self.is_first:
            self.store.set(what, say())
        self._wait([what])
        return self.store.get(what).decode()

    def _wait(self, keys: list[str]) -> None:
        assert self.store is not None  # noqa: S101 - a rank that is alone waits for nobody
        while not self.store.check(keys):
            beat()  # whoever is waited for has a watchdog of its own
            if self.stop.wait(POLL_S):
                message = "stopped while it waited for the other ranks; run again to go on"
                raise StageError(FailureClass.INTERRUPTED, message)

    def _reduced(self, values: Iterable[float], operation: dist.ReduceOp.RedOpType) -> list[float]:
        if self.world == 1:
            return list(values)
        reduced = torch.tensor(list(values), dtype=torch.float64)
        with _peers():
            dist.all_reduce(reduced, operation)
        return [float(value) for value in reduced]


ALONE = Ranks()
"""A process that trains by itself."""


@contextmanager
def joined(
    environ: Mapping[str, str], *, device: str, timeout_s: float, stop: threading.Event
) -> Iterator[Ranks]:
    """The ranks that the environment names, as long as the body runs.

    ``timeout_s`` is how long one rank may keep the others waiting at a sum.

    Raises:
        StageError: this machine has no GPU for this rank.
    """
    place = place_of(environ)
    if place is None:
        yield Ranks(stop=stop)
        return
    if device == "cuda":
        take_gpu(place)
    timeout = timedelta(seconds=timeout_s)
    store = _meeting(environ, place, timeout)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
        store=PrefixStore("group", store),
        rank=place.rank,
        world_size=place.world,
        timeout=timeout,
    )
    try:
        yield Ranks(place.rank, place.world, PrefixStore("ranks", store), stop)
    finally:
        dist.destroy_process_group()


def take_gpu(place: Place) -> None:
    """Compute on the GPU of this rank's number.

    Raises:
        StageError: there are fewer.
    """
    count = torch.cuda.device_count()
    if place.local >= count:
        message = (
            f"spec.compute.gpus: rank {place.rank} of {place.world} finds {count} GPUs here; ask "
            "for as many as the node gives one pod"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)
    torch.cuda.set_device(place.local)


def _meeting(environ: Mapping[str, str], place: Place, timeout: timedelta) -> Store:
    """A file of the pod, which no port leads to; else where torchrun says."""
    path = environ.get(MEETING_ENV)
    if path:
        return FileStore(path, place.world)
    store: Store
    store, _, _ = next(rendezvous("env://", place.rank, place.world, timeout=timeout))
    return store


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


@contextmanager
def _peers() -> Iterator[None]:
    """A sum that fails has lost a peer; the launcher knows which, and why."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0][:200]
        message = f"another rank ended or did not answer in time: {reason}"
        raise PeerLostError(message) from error
