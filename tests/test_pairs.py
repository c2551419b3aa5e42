"""pairs: which pairs of adjacent words are kept, and where a sequence has them."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.shared import artifacts
from stages.tokenize import pairs
from tests.conftest import edit_params

NUM_WORDS = 10
SEQUENCES = np.array([[0, 1, 2, 3], [0, 0, 1, 2], [3, 2, 1, 2], [0, 0, 0, 4]], np.int32)


def test_the_most_frequent_pairs_are_kept_and_of_equal_ones_the_smaller():
    kept = pairs.most_frequent([SEQUENCES], NUM_WORDS, 3).to_pylist()
    assert kept == [1 * NUM_WORDS + 2, 2 * NUM_WORDS + 1, 2 * NUM_WORDS + 3]


def test_fewer_pairs_than_asked_for_are_all_kept():
    assert len(pairs.most_frequent([SEQUENCES], NUM_WORDS, 100)) == 4


def test_counts_do_not_depend_on_how_rows_are_cut(monkeypatch):
    generator = np.random.default_rng(0)
    sequences = generator.integers(0, NUM_WORDS, (500, 6), np.int32)
    whole = pairs.most_frequent([sequences], NUM_WORDS, 30)
    monkeypatch.setattr(pairs, "MOST_NEW", 7)
    blocks = np.split(sequences, [7, 20, 200, 201, 450])
    assert pairs.most_frequent(blocks, NUM_WORDS, 30).equals(whole)


def test_a_sequence_has_the_pair_where_it_begins_and_padding_is_in_none():
    kept = pairs.most_frequent([SEQUENCES], NUM_WORDS, 2)
    ids = pairs.ids(SEQUENCES, NUM_WORDS, kept)
    assert ids.dtype == np.int32
    assert ids.tolist() == [[0, 10, 0], [0, 0, 10], [0, 11, 10], [0, 0, 0]]


@pytest.fixture(scope="module")
def with_bigrams(reproduced, make_project, run, tmp_path_factory):
    """A small project whose mean reads pairs too, from vectors fitted to the text."""
    root = make_project(tmp_path_factory.mktemp("bigrams") / "project")
    edit_params(
        root,
        tokenize__num_bigrams=300,
        model__head="mean",
        embed={
            "random": {"dim": 8}, "glove": {"vectors": "glove"}, "domain": {"fitted": 4},
            "adapted": {"vectors": "glove", "fitted": 4}, "tfidf": {"texts": "tf-idf"},
        },
        variants__pretrained__vectors="adapted",
        variants__finetuned__vectors="domain",
        train__validation_samples=0,
        train__word_dropout=0.5,
        train__schedule="linear",
    )  # fmt: skip
    run(root, "dvc", "init", "--no-scm", "--force")
    run(root, "dvc", "repro")
    return root


@pytest.mark.slow
def test_the_pipeline_reads_pairs_fits_vectors_and_trains_without_validation(with_bigrams):
    sequences = np.load(with_bigrams / artifacts.split("test") / "sequences.npy")
    assert sequences.shape[1] == 20 + 19
    assert sequences[:, :20].max() < 500 <= sequences[:, 20:].max() < 800
    table = pq.read_table(with_bigrams / artifacts.BIGRAMS)
    assert table.num_rows == 300
    assert table.slice(0, 1).to_pylist() == [{"first": "br", "second": "br"}]
    for name, dim in (("random", 8), ("glove", 8), ("domain", 4), ("adapted", 12)):
        matrix = np.load(with_bigrams / artifacts.embedding(name))
        assert matrix.shape == (800, dim)
        assert not matrix[0].any()
    assert (with_bigrams / artifacts.EVALUATION).exists()
    history = pd.read_csv(with_bigrams / artifacts.training("learned"))
    assert len(history) == 2 * 2
    assert history[["val_loss", "val_accuracy"]].isna().all(axis=None)
    assert history[["loss", "accuracy"]].notna().all(axis=None)
