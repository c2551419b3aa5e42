"""What a seed decides: the initial embedding, the texts of a repeat, their order, their folds.

Every draw has a generator of its own, of the seed, the repeat and what is drawn. So no two draws
share random numbers: not those of two repeats, nor those of two seeds.
"""

from collections.abc import Iterator

import numpy as np

INITIAL_LIMIT = 0.05  # of Keras' Embedding layer, which draws uniformly from -0.05 to 0.05
# In this order for ever: the place of a name decides the numbers that are drawn for it.
DRAWN = ("texts", "embedding", "layers", "orders", "dropout", "folds", "shuffle", "fitted")


def generator_for(seed: int, repeat: int, what: str, *part: int) -> np.random.Generator:
    """Make the generator for what is drawn in a repeat, one of DRAWN, or in a part of it."""
    key = (DRAWN.index(what), *part)
    return np.random.default_rng(np.random.SeedSequence((seed, repeat), spawn_key=key))


def draw_matrix(num_words: int, dim: int, generator: np.random.Generator) -> np.ndarray:
    """Draw an embedding matrix, (num_words, dim) float32, as Keras' Embedding layer initializes.

    Unlike in Keras, row 0 is zero: in every matrix of this project it stands for padding.
    """
    matrix = generator.random((num_words, dim), dtype=np.float32)
    matrix = (2 * matrix - 1) * np.float32(INITIAL_LIMIT)
    matrix[0] = 0
    return matrix


def draw_rows(
    labels: np.ndarray,
    samples: int,
    validation_samples: int,
    generator: np.random.Generator,
    balanced: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows to train on, (samples,) int, and to validate on, (validation_samples,) int.

    labels are (n_texts,) int, those of the train split. Both draws have each label in its
    proportion there; `balanced`, the samples have as many of each label as there are. From as many
    samples on as there are labels, each label is among them. The two draws don't overlap. Of one
    generator, a larger draw holds the smaller one, and as long as validation_samples stays, every
    draw is validated on the same texts.
    """
    order = in_proportion(labels, generator)
    n_left = len(order) - validation_samples
    left, validation = order[:n_left], order[n_left:]
    if balanced:
        left = left[np.argsort(places(labels[left]), kind="stable")]
    return left[:samples], validation


def in_proportion(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Order rows at random, so that every beginning has each label in its proportion.

    The first rows are one of each label; then text i of the n of a label comes at (i + u) / n, with
    one random u for each label.
    """
    order = generator.permutation(len(labels))
    shuffled = labels[order]
    place = places(shuffled)
    start = generator.random(int(shuffled.max(initial=0)) + 1)
    at = (place + start[shuffled]) / np.bincount(shuffled)[shuffled]
    return order[np.lexsort((at, place > 0))]


def places(labels: np.ndarray) -> np.ndarray:
    """Number the rows of each label in their order: (n,) int, from 0 on."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(labels)) - first
    return place


def draw_orders(samples: int, epochs: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw the order of the samples, (samples,) int, for each epoch."""
    for _ in range(epochs):
        yield generator.permutation(samples)


def draw_folds(labels: np.ndarray, n_folds: int, generator: np.random.Generator) -> np.ndarray:
    """Assign each row to one of n_folds, (n,) int: of equal size, each label spread evenly."""
    order = generator.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % n_folds
    return folds
