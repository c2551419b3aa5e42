"""Word vectors fitted to the texts themselves, labels unseen, by latent semantic analysis.

In: how often each text has each id. Out: matrices to start from, a row for each id.
"""

import numpy as np
from scipy.sparse import csr_array

from stages.shared import tf_idf

POWER_ITERATIONS = 4  # scikit-learn's advice where precision matters
PRETRAINED_SHARE = 0.3  # chosen on validation texts, 200 labels; 0.1 to 0.5 did as well


def fit_vectors(
    counts: csr_array, dim: int, generator: np.random.Generator, rare: bool = False
) -> np.ndarray:
    """Fit (n_ids, dim) float32 vectors to (n_texts, n_ids) counts.

    Latent semantic analysis (Deerwester et al., "Indexing by latent semantic analysis", JASIS 41,
    1990, 391-407): T = U S V' is the singular value decomposition of texts by words in TF-IDF.
    Word w gets idf(w) S V[w], so that the mean of a text's vectors has nearly the direction of its
    row of T V S = U S²; an id that occurs nowhere gets zeros. With `rare` a word counts once in a
    text, and by idf(w)².
    """
    from sklearn.utils.extmath import randomized_svd  # takes a second

    n_texts, n_ids = counts.shape
    in_texts = np.bincount(counts.indices, minlength=n_ids) > 0
    idf = tf_idf.fit([counts]).astype(np.float64)
    if rare:
        counts, idf = counts.sign(), idf * idf
    table = tf_idf.weigh(counts, idf)
    rank = min(dim, n_texts, n_ids)
    _, spread, components = randomized_svd(
        table, rank, n_iter=POWER_ITERATIONS, random_state=int(generator.integers(2**32))
    )
    vectors = np.zeros((n_ids, dim), np.float32)
    vectors[:, :rank] = components.T * spread * (idf * in_texts)[:, None]
    return vectors


def centred(vectors: np.ndarray, counts: csr_array) -> np.ndarray:
    """Subtract the mean over all tokens, and scale the texts' means to a mean square norm of 1.

    vectors (n_ids, dim) float32; rows of zeros stay: padding, and words without a vector.
    """
    known = np.any(vectors, axis=1)
    totals = counts.sum(axis=0) * known
    mean = totals @ vectors / max(totals.sum(), 1)
    moved = np.where(known[:, None], vectors - mean, 0)
    means = (counts @ moved) / np.maximum(counts.sum(axis=1), 1)[:, None]
    norm = np.sqrt((means**2).sum(axis=1).mean())
    return (moved / (norm or 1)).astype(np.float32)


def for_texts(vectors: np.ndarray, counts: csr_array, idf: np.ndarray) -> np.ndarray:
    """Turn vectors (n_ids, dim) into columns for texts in TF-IDF, (n_ids, dim) float32.

    A text's row of TF-IDF times the columns is as far as a row of TF-IDF is long: the mean square
    distance to the mean text is 1. idf (n_ids,) is a part of that row, and is taken out here.
    """
    columns = vectors / idf[:, None]
    of_texts = tf_idf.weigh(counts, idf) @ columns
    spread = np.sqrt(of_texts.var(axis=0).sum())
    return (columns / (spread or 1)).astype(np.float32)


def beside(pretrained: np.ndarray, *fitted: np.ndarray) -> np.ndarray:
    """Put centred matrices (n_ids, any) beside each other, the first scaled by PRETRAINED_SHARE."""
    return np.hstack([np.float32(PRETRAINED_SHARE) * pretrained, *fitted])
