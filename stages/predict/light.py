"""Networks of the heads `flatten` and `mean`, scored without TensorFlow: its import takes seconds.

In: saved weights, and sequences (n_texts, width) int32, 0 is padding. Out: probabilities. A test
compares them with those of Keras.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np

from stages.shared.files import reading
from stages.shared.logits import of_logits

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TEXTS_AT_A_TIME = 512  # whose embedded words stay small: 10 MB of 100 words in 50 dimensions
WORDS_AT_A_TIME = 1 << 15  # each with a number for each hidden unit


class Network(NamedTuple):
    """The layers of a network, as Keras saves their weights; `hidden` may be empty."""

    embedding: np.ndarray  # (n_ids, dim) float32
    hidden: list[np.ndarray]  # kernel (n_features, n_hidden), bias (n_hidden,)
    last: list[np.ndarray]  # kernel (n_hidden or n_features, n_units), bias (n_units,)


def load(weights: Path) -> Network:
    """Read the layers from saved weights."""
    with reading(weights), h5py.File(weights) as file:
        layers = file["layers"]
        names = [name for name in ("dense", "dense_1") if name in layers]
        *hidden, last = ([layers[f"{name}/vars/{i}"][:] for i in (0, 1)] for name in names)
        return Network(layers["embedding/vars/0"][:], hidden[0] if hidden else [], last)


def above_first(network: Network, features: np.ndarray) -> np.ndarray:
    """Go on from what the first layer gives, (n, its units) float32, to the probabilities.

    Returns that of label 1, (n,) float32, or of more than two labels that of each, (n, n_labels).
    """
    if network.hidden:
        kernel, bias = network.last
        features = np.maximum(features, 0) @ kernel + bias
    return np.float32(of_logits(features[:, 0] if features.shape[1] == 1 else features))


def score_flat(network: Network, sequences: np.ndarray) -> np.ndarray:
    """Score by the head `flatten`: probabilities as `above_first` gives them."""
    kernel, bias = network.hidden or network.last
    parts = []
    for start in range(0, len(sequences), TEXTS_AT_A_TIME):
        ids = sequences[start : start + TEXTS_AT_A_TIME]
        embedded = network.embedding[ids].reshape(len(ids), -1)
        parts.append(above_first(network, embedded @ kernel + bias))
    return np.concatenate(parts)


def by_word(network: Network) -> np.ndarray:
    """Apply the first layer's kernel to each word's vector: (n_ids, its units) float32.

    The kernel times the mean of vectors is the mean of the kernel times each.
    """
    kernel, _ = network.hidden or network.last
    return network.embedding @ kernel


def spoke_for(
    network: Network,
    table: np.ndarray,
    features: np.ndarray,
    shares: "csr_array",
    sides: np.ndarray,
) -> np.ndarray:
    """Say how much each word of each text adds to what `sides` weighs, (shares.nnz,) float32.

    table as `by_word` gives it, features (n, units) of the first layer, shares (n, n_ids) of each
    word in its text, sides (n, n_units): the weight of each logit. A hidden unit counts as far as
    it is active, so that the words' sum is the logits' but for the biases: each word's input times
    its gradient (Ancona et al., "Towards better understanding of gradient-based attribution methods
    for deep neural networks", ICLR 2018).
    """
    slopes = (features > 0) * (sides @ network.last[0].T) if network.hidden else sides
    text = np.repeat(np.arange(shares.shape[0]), np.diff(shares.indptr))
    added = np.empty(shares.nnz, np.float32)
    for start in range(0, shares.nnz, WORDS_AT_A_TIME):
        at = slice(start, start + WORDS_AT_A_TIME)
        added[at] = np.einsum("ij,ij->i", table[shares.indices[at]], slopes[text[at]])
    return added * shares.data
