"""What a repeat may choose, and how: by held-out parts of its own samples.

The samples are all the labels that there are, so nothing else is looked at: a candidate is trained
on all parts but one and scored on that one, for each part in turn. Whatever has the least held-out
log loss is then trained on all samples.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from stages.shared.draws import draw_folds
from stages.shared.schema import Tune

PATIENCE = 3  # epochs without an improvement, after which a candidate is given up
LARGE = 2_000  # samples, from which on one part is held out once
LARGE_FOLDS = 5  # parts of so many samples, of which one is held out

Part = tuple[np.ndarray, np.ndarray]  # rows to train on, rows held out; both (n,) int
Measures = tuple[float, float]  # held-out log loss in nats a text, and accuracy


class Tried(NamedTuple):
    """A candidate: what of `chooses`, after how many epochs, and what it came to held out."""

    values: tuple[float, ...]
    epoch: int
    loss: float
    accuracy: float


def n_parts(samples: int, tune: Tune) -> int:
    """Say how many parts of so many samples are held out, one after the other."""
    return 1 if samples >= LARGE else tune.folds


def parts_of(labels: np.ndarray, tune: Tune, generator: np.random.Generator) -> list[Part]:
    """Cut samples into parts to hold out: labels are theirs, (samples,) int."""
    n_folds = LARGE_FOLDS if len(labels) >= LARGE else tune.folds
    folds = draw_folds(labels, n_folds, generator)
    held_out = [folds == fold for fold in range(n_parts(len(labels), tune))]
    return [((~rows).nonzero()[0], rows.nonzero()[0]) for rows in held_out]


def try_out(
    candidates: list[tuple[float, ...]],
    parts: list[Part],
    train: Callable[[tuple[float, ...], int, Part], Iterator[Measures]],
) -> Iterator[Tried]:
    """Train every candidate on every part, epoch by epoch, until it has not improved for PATIENCE.

    `train(values, i, part)` yields the held-out measures after each epoch; those of a candidate are
    means over the parts. One that diverges is given up.
    """
    for values in candidates:
        trainings = [train(values, i, part) for i, part in enumerate(parts)]
        best, best_epoch = math.inf, 0
        for epoch, measures in enumerate(zip(*trainings, strict=True), 1):
            loss, accuracy = np.mean(measures, axis=0).tolist()
            if not math.isfinite(loss):
                break
            yield Tried(values, epoch, loss, accuracy)
            if loss < best:
                best, best_epoch = loss, epoch
            elif epoch - best_epoch >= PATIENCE:
                break


def choose(tried: list[Tried]) -> Tried | None:
    """Choose what has the least held-out log loss; of equals the first; None: all diverged."""
    return min(tried, key=lambda of: of.loss, default=None)
