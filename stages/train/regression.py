"""A logistic regression on TF-IDF, or on a vector a text: its weights and its scores.

Salton and Buckley, "Term-weighting approaches in automatic text retrieval", Information Processing
and Management 24 (1988), 513-523. The weights are an HDF5 file: `idf` (n_ids,), `coefficients`
(n_ids,) and `intercept` (1,), float32; of more than two labels `coefficients` (n_ids, n_labels) and
`intercept` (n_labels,). Of vectors there is no `idf`, and dim stands in place of n_ids.
"""

from pathlib import Path

import h5py
import numpy as np
from scipy.sparse import csr_array

from stages.shared import tf_idf
from stages.shared.files import reading
from stages.shared.logits import of_logits

STORED = ("idf", "coefficients", "intercept")  # in a file of weights

Weights = list[np.ndarray]


def score(weights: Weights, table: csr_array | np.ndarray) -> np.ndarray:
    """Give the probability of label 1 of each row of a table, TF-IDF or vectors, (n,) float64.

    Of more than two labels: the probability of each, (n, n_labels).
    """
    coefficients, intercept = weights
    return of_logits(table @ np.float64(coefficients) + np.float64(intercept))


def read(path: Path) -> Weights:
    """Read idf, if there is one, coefficients and intercept."""
    with reading(path), h5py.File(path) as file:
        return [file[name][:] for name in STORED if name in file]


def weighed(sequences: np.ndarray, idf: np.ndarray) -> csr_array:
    """Sequences (n_texts, maxlen) int32 in TF-IDF; idf (n_ids,) float32."""
    return tf_idf.weigh(tf_idf.count_tokens(sequences, len(idf)), np.float64(idf))


def save(weights: Weights, path: Path) -> None:
    """Write idf, if there is one, coefficients and intercept."""
    with h5py.File(path, "w") as file:
        for name, values in zip(STORED[-len(weights) :], weights, strict=True):
            file[name] = values
