"""How many CPU threads to compute with.

As many as there are cores, unless another program has them: two threads that meet at a barrier
hundreds of times a second wait for whichever of them lost its core. On two cores with one of them
taken, two threads multiplied at 25 GFLOP/s and one thread at 50.
"""

import time
from collections.abc import Callable
from statistics import median

import torch

ROWS, WIDTH, COLUMNS = 512, 576, 1536
"""One layer of a small model with a pack of rows: about a GFLOP."""
MULTIPLICATIONS = 10
ROUNDS = 5
CORES = torch.get_num_threads()
"""What torch would use by itself: the cores, or what OMP_NUM_THREADS allows."""
CLEARLY = 1.1
"""Fewer threads have to be so much faster; a quiet machine keeps all of them."""


def pick_threads(clock: Callable[[], float] = time.perf_counter) -> int:
    """Set torch's threads to the number that multiplies fastest now; returns it."""
    candidates = sorted({CORES, max(1, CORES // 2), 1}, reverse=True)
    if len(candidates) == 1:  # nothing to choose, and a second of a core to save each time
        torch.set_num_threads(CORES)
        return CORES
    rounds = [{count: seconds(count, clock) for count in candidates} for _ in range(ROUNDS)]
    chosen = fastest({count: median(one[count] for one in rounds) for count in candidates})
    torch.set_num_threads(chosen)
    return chosen


def seconds(threads: int, clock: Callable[[], float]) -> float:
    """Time of a few multiplications with so many threads."""
    torch.set_num_threads(threads)
    rows, weight = torch.ones(ROWS, WIDTH), torch.ones(COLUMNS, WIDTH)
    torch.nn.functional.linear(rows, weight)  # threads start with the first one
    start = clock()
    for _ in range(MULTIPLICATIONS):
        torch.nn.functional.linear(rows, weight)
    return clock() - start


def fastest(times_s: dict[int, float]) -> int:
    """The largest count that no smaller one clearly beats."""
    best = max(times_s)
    for count in sorted(times_s, reverse=True):
        if times_s[count] * CLEARLY < times_s[best]:
            best = count
    return best
