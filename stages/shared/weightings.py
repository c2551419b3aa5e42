"""What fitted columns of both weightings are multiplied by: each repeat may choose."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.shared.artifacts import tuning
from stages.shared.files import reading
from stages.shared.schema import Start

KINDS = ("plain", "rare")
# One kind may be left out. Other shares, 0.25 to 4, gained nothing with a linear variant on reviews
# held out of the train split.
SHARES: list[tuple[float, ...]] = [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)]

Shares = Sequence[float]  # one for each of KINDS, or none


def to_choose(start: Start) -> tuple[tuple[str, ...], list[tuple[float, ...]]]:
    """Name the shares that a variant chooses where `train.tune` is on, and list the candidates."""
    return (KINDS, SHARES) if start.weighting == "both" else ((), [()])


def multiplied(matrix: np.ndarray, shares: Shares, fitted: int | None) -> np.ndarray:
    """Multiply the last columns of matrix (any, dim), so many `fitted` of each of KINDS."""
    if not (shares and fitted):
        return matrix
    times = np.repeat(np.array(shares, matrix.dtype), fitted)
    return np.hstack([matrix[:, : -len(times)], matrix[:, -len(times) :] * times])


def read(variant: str, repeat: int) -> Shares:
    """Read the shares that a repeat of a variant has chosen; none, if there was no choice."""
    with reading(tuning(variant)):
        table = pd.read_csv(tuning(variant))
    if not {*KINDS} <= {*table.columns}:
        return ()
    chosen = table[(table["repeat"] == repeat) & table["chosen"].astype(bool)]
    return chosen[[*KINDS]].to_numpy().ravel().tolist()
