"""The trained models of a variant, which score texts and say which words spoke for a label.

`scorer` gives a function of sequences (n_texts, width) int32, or of an encoder's vectors (n_texts,
dim) float32. It returns the probabilities of each model, float32, of label 1 (n_texts,) or of more
than two labels (n_texts, n_labels), and where words are weighed or averaged, a function of the
labels, (n_texts,) int, to what each word adds to its text's label: (n_texts, n_ids) sparse.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from stages.shared.files import reading
from stages.shared.predictions import of_each
from stages.train.machine import AT_ONCE

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Added = Callable[[np.ndarray], "csr_array"]
Scorer = Callable[[np.ndarray], tuple[list[np.ndarray], Added | None]]


def kind(weights: Path) -> str:
    """Tell what saved weights score: words by "tf-idf", an encoder's "vectors", or a "network"."""
    with reading(weights), h5py.File(weights) as file:
        return "tf-idf" if "idf" in file else "vectors" if "coefficients" in file else "network"


def scorer(weights: list[Path], head: str) -> Scorer:
    """Make what scores with the weights of some repeats of a variant; imports what that takes."""
    if (of := kind(weights[0])) != "network":
        return partial(by_regressions if of == "tf-idf" else by_vectors, weights)
    if head == "conv":
        return partial(by_tensorflow, weights)
    from stages.predict import light

    networks = [light.load(path) for path in weights]
    if head == "flatten":
        return partial(by_positions, networks)
    return partial(by_means, networks, [light.by_word(network) for network in networks])


def mean_of(probabilities: list[np.ndarray]) -> np.ndarray:
    """Average over models: of label 1, (n,) each, or of each label -> of each, (n, n_labels)."""
    mean = np.mean(probabilities, axis=0)
    return of_each(mean, two=mean.ndim == 1)


def sides(labels: np.ndarray, n_units: int) -> np.ndarray:
    """Weigh the logits by what speaks for a text's label, and not for all alike: (n, n_units)."""
    if n_units == 1:
        return np.where(labels == 1, 1, -1).astype(np.float32)[:, None]
    return np.eye(n_units, dtype=np.float32)[labels] - np.float32(1 / n_units)


def by_regressions(weights: list[Path], sequences: np.ndarray) -> tuple[list[np.ndarray], Added]:
    """Score by logistic regressions on TF-IDF."""
    from scipy.sparse import csr_array

    from stages.train import regression

    stored = [regression.read(path) for path in weights]
    idf = stored[0][0]  # fitted to the train split, in all repeats
    table = regression.weighed(sequences, idf)

    def added(labels: np.ndarray) -> "csr_array":
        coefficients = np.mean([of[1] for of in stored], axis=0).reshape(len(idf), -1)
        of = np.repeat(sides(labels, coefficients.shape[1]), np.diff(table.indptr), axis=0)
        values = table.data * np.einsum("ij,ij->i", coefficients[table.indices], of)
        return csr_array((values, table.indices, table.indptr), table.shape)

    return [np.float32(regression.score(of[1:], table)) for of in stored], added


def by_vectors(weights: list[Path], vectors: np.ndarray) -> tuple[list[np.ndarray], None]:
    """Score by logistic regressions on a vector a text."""
    from stages.train import regression

    table = np.float64(vectors)
    return [np.float32(regression.score(regression.read(path), table)) for path in weights], None


def by_positions(networks: list, sequences: np.ndarray) -> tuple[list[np.ndarray], None]:
    """Score by networks of the head `flatten`, as many at once as are trained at once."""
    from stages.predict import light

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [*pool.map(partial(light.score_flat, sequences=sequences), networks)], None


def by_means(
    networks: list, tables: list[np.ndarray], sequences: np.ndarray
) -> tuple[list[np.ndarray], Added]:
    """Score by networks of the head `mean`."""
    from scipy.sparse import csr_array

    from stages.predict import light
    from stages.train.batches import token_shares

    shares = token_shares(sequences, len(tables[0]))
    features = [
        shares @ table + (network.hidden or network.last)[1]
        for network, table in zip(networks, tables, strict=True)
    ]

    def added(labels: np.ndarray) -> "csr_array":
        of_label = sides(labels, networks[0].last[1].size)
        values = [
            light.spoke_for(network, table, feature, shares, of_label)
            for network, table, feature in zip(networks, tables, features, strict=True)
        ]
        return csr_array((np.mean(values, axis=0), shares.indices, shares.indptr), shares.shape)

    return [light.above_first(*pair) for pair in zip(networks, features, strict=True)], added


def by_tensorflow(weights: list[Path], sequences: np.ndarray) -> tuple[list[np.ndarray], None]:
    """Score by networks of the head `conv`."""
    from stages.predict.scoring import predict  # imports TensorFlow, which takes seconds

    return [predict(path, sequences) for path in weights], None


def most_telling(added: "csr_array", n_words: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pick the words that add most to each text, and those that take most: two lists for each text.

    Each is the ids of up to n_words words, the first the most, all texts in one array, and where
    each text's begin and the last one's end, (n_texts + 1,).
    """
    n_texts = added.shape[0]
    text = np.repeat(np.arange(n_texts), np.diff(added.indptr))
    found = []
    for values in (added.data, -added.data):
        order = np.flatnonzero(values > 0)
        # Within a text by value, in one sort: as a fraction of the largest, it stays below 1.
        place = text[order] - values[order] / (2 * values.max(initial=1e-30))
        order = order[np.argsort(place, kind="stable")]
        n_of = np.bincount(text[order], minlength=n_texts)
        rank = np.arange(len(order)) - np.repeat(np.cumsum(n_of) - n_of, n_of)
        kept = order[rank < n_words]
        ends = np.cumsum(np.minimum(n_of, n_words))
        found.append((added.indices[kept], np.append(0, ends)))
    return found
