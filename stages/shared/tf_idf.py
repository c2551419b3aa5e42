"""Texts as counts of tokens, and as TF-IDF: each token's weight in a text.

In: sequences of ids, 0 is padding. Out: sparse tables of texts by ids.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy.sparse import csr_array, vstack

TEXTS_AT_A_TIME = 2_000  # so many sequences of 1,000 tokens are counted in 50 MB


def count_tokens(sequences: np.ndarray, n_ids: int) -> csr_array:
    """(n_texts, maxlen) int32 -> (n_texts, n_ids) float32: how often a text has an id."""
    parts = []
    for start in range(0, len(sequences), TEXTS_AT_A_TIME):
        ids = np.asarray(sequences[start : start + TEXTS_AT_A_TIME])
        real = ids > 0
        bounds = np.append(0, np.cumsum(real.sum(axis=1)))
        ones = np.ones(bounds[-1], np.float32)
        parts.append(csr_array((ones, ids[real], bounds), shape=(len(ids), n_ids)))
        parts[-1].sum_duplicates()
    return vstack(parts, format="csr")


def fit(parts: Iterable[csr_array]) -> np.ndarray:
    """Fit each id's inverse document frequency, (n_ids,) float32, smoothed by one text more.

    parts are tables of counts, (any, n_ids) each. The frequency is log((1 + n_texts) / (1 +
    n_with)) + 1, as scikit-learn's TfidfTransformer has it, whose import takes longer than this.
    """
    n_texts, n_with = 0, np.zeros(1, np.int64)
    for counts in parts:
        n_texts += counts.shape[0]
        n_with = n_with + np.bincount(counts.indices, minlength=counts.shape[1])
    return (each(lambda n: math.log((1 + n_texts) / (1 + n)), n_with) + 1).astype(np.float32)


def weigh(counts: csr_array, idf: np.ndarray) -> csr_array:
    """Weigh counts, whole numbers: (1 + log(count)) idf, each text scaled to length 1, float64.

    An empty text stays zero.
    """
    values = 1 + each(math.log, counts.data.astype(np.intp))
    values *= idf[counts.indices]
    squares = csr_array((values**2, counts.indices, counts.indptr), counts.shape)
    lengths = np.sqrt(squares @ np.ones(counts.shape[1]))
    values /= np.repeat(lengths, np.diff(counts.indptr))
    return csr_array((values, counts.indices, counts.indptr), counts.shape)


def each(function: Callable[[int], float], counts: np.ndarray) -> np.ndarray:
    """Apply a function to whole numbers (n,) that recur: (n,) float64.

    Python's logarithm is the same on every processor, but slow; it is taken of each number once.
    """
    distinct = np.flatnonzero(np.bincount(counts))
    values = np.zeros(distinct.max(initial=-1) + 1)
    values[distinct] = [function(count) for count in distinct.tolist()]
    return values[counts]
