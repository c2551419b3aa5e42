"""What a machine can do, measured: its matrix products and its memory."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import stages.shared.blas  # noqa: F401  before numpy

import numpy as np

SIZE = 2_048  # of the square matrices
ROUNDS, COPIES = 5, 50


def rate(work: Callable[[int], object], amount: float) -> float:
    """Do work on every core at once: the best amount in a second of all of them together."""
    n_cores = os.cpu_count() or 1
    times = []
    with ThreadPoolExecutor(n_cores) as pool:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            list(pool.map(work, range(n_cores)))
            times.append(time.perf_counter() - start)
    return n_cores * amount / min(times)


def products() -> float:
    """Operations in a second, of matrix products in float32 with AVX2, the code that all use."""
    generator = np.random.default_rng(0)
    n_cores = os.cpu_count() or 1
    left, right = (generator.random((SIZE, SIZE), np.float32) for _ in range(2))
    out = np.empty((n_cores, SIZE, SIZE), np.float32)
    return rate(lambda core: np.matmul(left, right, out=out[core]), 2.0 * SIZE**3)


def memory() -> float:
    """Bytes in a second that are read and written again, of arrays as large as an embedding."""
    n_cores = os.cpu_count() or 1
    source, target = (np.ones((n_cores, 10_000, 100), np.float32) for _ in range(2))

    def copy(core: int) -> None:
        for _ in range(COPIES):
            np.copyto(target[core], source[core])

    return rate(copy, 2.0 * COPIES * source[0].nbytes)
