"""lsa: vectors fitted to the text alone find its topics, and centring leaves nothing between."""

import numpy as np
import pytest

from stages.embed import lsa
from stages.shared.tf_idf import count_tokens

N_IDS = 21


@pytest.fixture(scope="module")
def sequences() -> np.ndarray:
    """300 reviews, every other one mostly of words 1 to 10, the rest of 11 to 20; padded."""
    generator = np.random.default_rng(0)
    topic = np.arange(300)[:, None] % 2
    strays = generator.random((300, 12)) < 0.1
    ids = generator.integers(1, 11, (300, 12)) + 10 * (topic ^ strays)
    ids[np.arange(12) < generator.integers(0, 6, (300, 1))] = 0
    return ids.astype(np.int32)


@pytest.fixture(scope="module")
def counts(sequences):
    return count_tokens(sequences, N_IDS)


def test_words_of_one_topic_get_vectors_of_one_direction(counts):
    vectors = lsa.centred(lsa.fit_vectors(counts, 3, np.random.default_rng(0)), counts)
    unit = vectors[1:] / np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[:10, :10].mean() > 0.5 > -0.5 > cosine[:10, 10:].mean()


def test_vectors_are_those_of_the_exact_decomposition(counts):
    table = counts.toarray().astype(float)
    idf = 1 + np.log((1 + len(table)) / (1 + (table > 0).sum(axis=0)))
    table = np.where(table > 0, 1 + np.log(np.maximum(table, 1)), 0) * idf
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    _, spread, components = np.linalg.svd(table)
    exact = components[:2].T * spread[:2] * idf[:, None]  # two topics: the others are all alike
    vectors = lsa.fit_vectors(counts, 3, np.random.default_rng(0))[:, :2]
    assert not vectors[0].any()
    np.testing.assert_allclose(np.abs(vectors), np.abs(exact), atol=2e-3)


def test_of_rare_words_vectors_are_those_of_presence_and_squared_idf(counts):
    present = counts.toarray() > 0
    weight = (1 + np.log((1 + len(present)) / (1 + present.sum(axis=0)))) ** 2
    table = present * weight
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    _, spread, components = np.linalg.svd(table)
    exact = components[:2].T * spread[:2] * weight[:, None]
    vectors = lsa.fit_vectors(counts, 3, np.random.default_rng(0), rare=True)[:, :2]
    assert not vectors[0].any()
    np.testing.assert_allclose(np.abs(vectors), np.abs(exact), atol=2e-3)
    plain = lsa.fit_vectors(counts, 3, np.random.default_rng(0))[:, :2]
    assert not np.allclose(np.abs(vectors), np.abs(plain), atol=0.05)


def test_more_columns_than_there_is_rank_for_are_zero(counts):
    vectors = lsa.fit_vectors(counts, N_IDS + 5, np.random.default_rng(0))
    assert vectors.shape == (N_IDS, N_IDS + 5)
    assert not vectors[:, N_IDS:].any()


def test_centring_makes_the_mean_token_zero_and_the_reviews_of_norm_one(sequences, counts):
    vectors = np.random.default_rng(1).normal(3, 2, (N_IDS, 5)).astype(np.float32)
    vectors[[0, 7]] = 0
    moved = lsa.centred(vectors, counts)
    assert not moved[[0, 7]].any()
    tokens = moved[sequences[sequences > 0]]
    np.testing.assert_allclose(tokens.mean(axis=0), 0, atol=1e-5)
    means = np.array([moved[row[row > 0]].mean(axis=0) for row in sequences])
    assert np.sqrt((means**2).sum(axis=1).mean()) == pytest.approx(1, rel=1e-5)


def test_vectors_beside_each_other_keep_their_columns():
    left, right = np.ones((3, 2), np.float32), np.ones((3, 4), np.float32)
    joined = lsa.beside(left, right)
    assert joined.dtype == np.float32
    assert joined[0].tolist() == pytest.approx([lsa.PRETRAINED_SHARE] * 2 + [1] * 4)


def test_of_a_single_token_nothing_is_left_between_the_tokens():
    vectors = np.array([[0, 0], [3, 4], [1, 0]], np.float32)
    one = count_tokens(np.array([[0, 1]], np.int32), 3)
    assert lsa.centred(vectors, one)[1].tolist() == [0, 0]
