"""Probabilities of the test split: the seam at which every kind of variant meets.

Whatever made them, from here on a variant is an array of probabilities of label 1, (n_repeats,
n_texts) float32, or of more than two labels of each, (n_repeats, n_texts, n_labels). `judge` says
which texts it labels right.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.shared.artifacts import PREDICTIONS
from stages.shared.files import reading, whole


class Judged(NamedTuple):
    """The predictions of a variant for the texts of a split, and which of them are right.

    `probabilities` are as above. `classes`, the labels that follow from them, `right`, bool, `own`,
    the probability of a text's own label, and `top`, that of its class, float32, are (n_repeats,
    n_texts). `pooled`, (n_texts,) bool, says whether the class that follows from a text's mean
    probabilities is right.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    right: np.ndarray
    own: np.ndarray
    top: np.ndarray
    pooled: np.ndarray


def of_each(probabilities: np.ndarray, two: bool) -> np.ndarray:
    """Give the probability of each label, (..., n_labels); of two labels, from that of label 1."""
    return np.stack([1 - probabilities, probabilities], axis=-1) if two else probabilities


def decide(probabilities: np.ndarray) -> np.ndarray:
    """Decide for the most probable label, of equals the first: (..., n_labels) -> (...) int."""
    return probabilities.argmax(axis=-1)


def judge(labels: np.ndarray, probabilities: np.ndarray) -> Judged:
    """Decide the class of each text, and whether it is its label: (n_texts,) int."""
    two = probabilities.ndim == 2
    each = of_each(probabilities, two)
    classes = decide(each)
    pooled = decide(of_each(probabilities.mean(axis=0), two))
    own = each[:, np.arange(len(labels)), labels]
    top = each.max(axis=-1)
    return Judged(probabilities, classes, classes == labels, own, top, pooled == labels)


def write(labels: np.ndarray, probabilities: dict[str, np.ndarray]) -> None:
    """Write variant, repeat (int16), row (int32, of the split), label and probability.

    labels (n_texts,) int; of each variant probabilities as above. Those of more than two labels
    are lists.
    """
    parts = []
    for variant, repeats in probabilities.items():
        n_repeats, n_texts, *n_labels = repeats.shape
        values = pa.array(repeats.ravel())
        if n_labels:
            values = pa.FixedSizeListArray.from_arrays(values, *n_labels)
        parts.append(
            pa.table(
                {
                    "variant": pa.array([variant] * len(values)).dictionary_encode(),
                    "repeat": np.repeat(np.arange(n_repeats, dtype=np.int16), n_texts),
                    "row": np.tile(np.arange(n_texts, dtype=np.int32), n_repeats),
                    "label": np.tile(labels, n_repeats),
                    "probability": values,
                }
            )
        )
    with whole(PREDICTIONS) as partial:
        table = pa.concat_tables(parts).unify_dictionaries()
        pq.write_table(table, partial, compression="zstd")


def read(variants: Iterable[str]) -> tuple[np.ndarray, dict[str, Judged]]:
    """Read what `write` wrote of these variants: the labels, and each one's predictions."""
    labels, judged = np.empty(0, np.int8), {}
    with reading(PREDICTIONS):
        table = pq.read_table(PREDICTIONS)
        for name in variants:
            own = table.filter(pc.equal(table["variant"], name))
            n_repeats = pc.max(own["repeat"]).as_py() + 1
            labels = own["label"].to_numpy()[: len(own) // n_repeats]
            values, shape = own["probability"], [n_repeats, len(labels)]
            if pa.types.is_fixed_size_list(values.type):
                shape.append(values.type.list_size)
                values = pc.list_flatten(values)
            judged[name] = judge(labels, values.to_numpy().reshape(shape))
    return labels, judged
