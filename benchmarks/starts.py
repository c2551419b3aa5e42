"""Time how long each variant takes to fit and to score: `python -m benchmarks.starts`.

In:  what `dvc repro` has left in the working directory, by its params.yaml.
Out: a table: seconds to fit one repeat to its samples, and to score the test split, from sequences
     or vectors in memory. Each is the median of three after one that compiles. What imports take,
     and encoding texts, is not included.
"""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial

import stages.shared.blas  # noqa: F401  before numpy

import numpy as np
from tqdm import tqdm

from stages.predict import models
from stages.predict.stage import of_test_split
from stages.report.markdown import lines_of
from stages.shared import artifacts, params
from stages.shared.errors import run
from stages.shared.files import reading
from stages.train.__main__ import read

ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    """Time work: the median of ROUNDS after a first time."""
    times = []
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    settings = params.load()
    with reading(artifacts.split("test")):
        sequences = np.load(artifacts.split("test") / "sequences.npy")
    rows = []
    for name, own in tqdm(settings.variants.items(), unit="variant"):
        weights, inputs = artifacts.weights(name, 0), sequences
        if models.kind(weights) == "vectors":
            inputs = of_test_split(own.vectors, len(sequences))
        with redirect_stdout(sys.stderr):  # a network says what it is made of
            fit = partial(read(settings, name).train, 0, lambda _: None)
        score = partial(models.scorer([weights], settings.model.head), inputs)
        rows.append([f"`{name}`", *(f"{seconds(work):.2g}" for work in (fit, score))])
    header = ["variant", f"fit to {settings.train.samples:,} texts (s)"]
    print(lines_of([*header, f"score {len(sequences):,} texts (s)"], rows))


if __name__ == "__main__":
    run(main, __doc__)
