"""Probabilities of the test split: the seam at which every kind of variant meets.

Whatever made them, from here on a variant is an array of probabilities of label 1, (n_repeats,
n_texts) float32. `judge` says which texts it labels right.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.shared.artifacts import PREDICTIONS
from stages.shared.files import reading, whole

THRESHOLD = 0.5  # above it, label 1 is predicted


class Judged(NamedTuple):
    """The predictions of a variant for the texts of a split, and which of them are right.

    `probabilities` of label 1, float32, `classes`, the labels that follow from them, and `right`,
    bool, are (n_repeats, n_texts). `pooled`, (n_texts,) bool, says whether the label that follows
    from a text's mean probability is right.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    right: np.ndarray
    pooled: np.ndarray


def decide(probabilities: np.ndarray) -> np.ndarray:
    """Decide for label 1 or 0 by the probability of label 1; bool of the same shape."""
    return probabilities > THRESHOLD


def judge(labels: np.ndarray, probabilities: np.ndarray) -> Judged:
    """Decide the class of each text, and whether it is its label: (n_texts,) int8."""
    classes, pooled = decide(probabilities), decide(probabilities.mean(axis=0))
    return Judged(probabilities, classes, classes == labels, pooled == labels)


def write(labels: np.ndarray, probabilities: dict[str, np.ndarray]) -> None:
    """Write variant, repeat (int16), row (int32, of the split), label and probability.

    labels (n_texts,) int8; of each variant probabilities (n_repeats, n_texts) float32.
    """
    parts = []
    for variant, repeats in probabilities.items():
        n_repeats, n_texts = repeats.shape
        parts.append(
            pa.table(
                {
                    "variant": pa.array([variant] * repeats.size).dictionary_encode(),
                    "repeat": np.repeat(np.arange(n_repeats, dtype=np.int16), n_texts),
                    "row": np.tile(np.arange(n_texts, dtype=np.int32), n_repeats),
                    "label": np.tile(labels, n_repeats),
                    "probability": repeats.ravel(),
                }
            )
        )
    with whole(PREDICTIONS) as partial:
        table = pa.concat_tables(parts).unify_dictionaries()
        pq.write_table(table, partial, compression="zstd")


def read(variants: Iterable[str]) -> tuple[np.ndarray, dict[str, Judged]]:
    """Read what `write` wrote of these variants: the labels, and each one's predictions."""
    with reading(PREDICTIONS):
        table = pq.read_table(PREDICTIONS).to_pandas()
        of = dict(iter(table.groupby("variant", observed=True)))
        labels = of[next(iter(variants))].query("repeat == 0")["label"].to_numpy()
        probabilities = {
            name: of[name]["probability"].to_numpy().reshape(-1, len(labels)) for name in variants
        }
    return labels, {name: judge(labels, rows) for name, rows in probabilities.items()}
