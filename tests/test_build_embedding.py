"""embed: row i is the vector of the word of index i, and coverage counts what has one."""

import numpy as np
import pyarrow as pa
import pytest

from stages.build_embedding import coverage, find_rows, look_up
from stages.draws import draw_matrix

WORDS = pa.array(["the", "it's", "film", "plot", "zzz"])
COUNTS = np.array([50, 20, 15, 10, 5])
VECTOR_WORDS = pa.array(["film", "the", "", "plot"])
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) + 1


@pytest.fixture
def rows():
    return find_rows(WORDS, VECTOR_WORDS)


def test_each_word_is_found_by_its_row_among_the_vectors(rows):
    assert rows.tolist() == [1, -1, 0, 3, -1]


def test_row_zero_and_words_without_a_vector_are_zero(rows):
    matrix = look_up(rows, VECTORS, num_words=5, n_ids=7)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(
        matrix, [[0] * 3, VECTORS[1], [0] * 3, VECTORS[0], VECTORS[3], [0] * 3, [0] * 3]
    )


def test_the_matrix_has_num_words_rows_even_where_the_vocabulary_is_smaller(rows):
    matrix = look_up(rows, VECTORS, num_words=10, n_ids=10)
    assert matrix.shape == (10, 3)
    assert not matrix[6:].any()


def test_coverage_counts_words_and_tokens_and_names_what_is_missing(rows):
    assert coverage(WORDS, COUNTS, rows, num_words=4) == {
        "words": 5,
        "words_with_vector": 3,
        "words_kept": 3,
        "words_kept_with_vector": 2,
        "share_of_words_kept": 0.6667,
        "tokens": 100,
        "share_of_tokens": 0.75,
        "most_frequent_without_vector": ["it's"],
    }


def test_a_drawn_matrix_is_uniform_as_keras_draws_it_and_follows_its_seed():
    matrix = draw_matrix(1000, 50, seed=3)
    assert matrix.dtype == np.float32
    assert not matrix[0].any()
    assert np.abs(matrix).max() <= 0.05
    assert np.abs(matrix.mean()) < 0.001
    assert matrix.std() == pytest.approx(0.1 / 12**0.5, rel=0.02)
    np.testing.assert_array_equal(matrix, draw_matrix(1000, 50, seed=3))
    assert not np.array_equal(matrix, draw_matrix(1000, 50, seed=4))
