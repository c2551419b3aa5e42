"""What a seed decides: the initial embedding, the texts of a repeat, and their order."""

from collections.abc import Iterator

import numpy as np

INITIAL_LIMIT = 0.05  # of Keras' Embedding layer, which draws uniformly from -0.05 to 0.05


def draw_matrix(num_words: int, dim: int, seed: int) -> np.ndarray:
    """Draw an embedding matrix, (num_words, dim) float32, as Keras' Embedding layer initializes.

    Unlike in Keras, row 0 is zero: in every matrix of this project it stands for padding.
    """
    matrix = np.random.default_rng(seed).random((num_words, dim), dtype=np.float32)
    matrix = (2 * matrix - 1) * np.float32(INITIAL_LIMIT)
    matrix[0] = 0
    return matrix


def draw_rows(
    n_texts: int, samples: int, validation_samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows to train on, (samples,) int, and to validate on, (validation_samples,) int.

    The two do not overlap. With the same seed, a larger draw contains the smaller one. As long as
    validation_samples stays the same, so do the texts to validate on.
    """
    order = np.random.default_rng((seed, 0)).permutation(n_texts)
    return order[:samples], order[n_texts - validation_samples :]


def draw_orders(samples: int, epochs: int, seed: int) -> Iterator[np.ndarray]:
    """Draw the order of the samples, (samples,) int, for each epoch."""
    generator = np.random.default_rng((seed, 1))
    for _ in range(epochs):
        yield generator.permutation(samples)
