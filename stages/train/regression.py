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
from scipy.special import expit

from stages.shared import tf_idf
from stages.shared.files import reading

STORED = ("idf", "coefficients", "intercept")  # in a file of weights

Weights = list[np.ndarray]


def score(weights: Weights, table: csr_array | np.ndarray) -> np.ndarray:
    """Give the probability of label 1 of each row of a table, TF-IDF or vectors, (n,) float64.

    Of more than two labels: the probability of each, (n, n_labels).
    """
    coefficients, intercept = weights
    logits = table @ np.float64(coefficients) + np.float64(intercept)
    if coefficients.ndim == 1:
        return expit(logits)
    # exp(x) is expit(x) / expit(-x); NumPy's own depends on the processor in its last bit.
    below = logits - logits.max(axis=1, keepdims=True)
    powers = expit(below) / expit(-below)
    return powers / powers.sum(axis=1, keepdims=True)


def is_linear(path: Path) -> bool:
    """Tell whether saved weights are those of a linear variant on TF-IDF."""
    with reading(path), h5py.File(path) as file:
        return STORED[0] in file


def is_of_vectors(path: Path) -> bool:
    """Tell whether they are those of a linear variant on a vector a text."""
    with reading(path), h5py.File(path) as file:
        return STORED[0] not in file and STORED[-1] in file


def predict(path: Path, sequences: np.ndarray) -> np.ndarray:
    """Score sequences (n_texts, maxlen) int32 with saved weights, as `score`, but float32."""
    idf, *weights = read(path)
    return np.float32(score(weights, weighed(sequences, idf)))


def predict_vectors(path: Path, vectors: np.ndarray) -> np.ndarray:
    """Score vectors (n_texts, dim) float32 with saved weights, likewise."""
    return np.float32(score(read(path), np.float64(vectors)))


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
