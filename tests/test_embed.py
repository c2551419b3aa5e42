"""embed: row i is the vector of the word of index i, and coverage counts what has one."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.download import land_vectors, vectors
from stages.embed.__main__ import main
from stages.embed.coverage import coverage, warnings
from stages.embed.matching import find
from stages.embed.matrices import Builder, look_up, read_vectors
from stages.shared import artifacts
from stages.shared.draws import draw_matrix
from stages.shared.errors import InputError
from stages.shared.schema import Start
from tests.conftest import CODE, PROJECT, edit_params

WORDS = pa.array(["the", "it's", "film", "plot", "zzz"])
COUNTS = np.array([50, 20, 15, 10, 5])
VECTOR_WORDS = pa.array(["film", "the", "", "plot"])
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) + 1


@pytest.fixture
def rows():
    return find(WORDS, VECTOR_WORDS, "exact")


def test_each_word_is_found_by_its_row_among_the_vectors(rows):
    assert rows.tolist() == [[1, 1], [-1, -1], [0, 0], [3, 3], [-1, -1]]


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
    assert coverage(WORDS, COUNTS, rows[:, 0], 4) == {
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
    def draw(seed: int) -> np.ndarray:
        return draw_matrix(1000, 50, np.random.default_rng(seed))

    matrix = draw(3)
    assert matrix.dtype == np.float32
    assert not matrix[0].any()
    assert np.abs(matrix).max() <= 0.05
    assert np.abs(matrix.mean()) < 0.001
    assert matrix.std() == pytest.approx(0.1 / 12**0.5, rel=0.02)
    np.testing.assert_array_equal(matrix, draw(3))
    assert not np.array_equal(matrix, draw(4))


@pytest.mark.parametrize(
    ("share", "words", "said"),
    [
        (0.8, ["Film", "The"], []),
        (
            0.62,
            ["film", "the"],
            ["only 62.0 % of the train split's words have a pretrained vector"],
        ),
        (0.1, ["film"], ["only 10.0 % of the train split's words", "under 20 %, no verdict"]),
        (0.7, ["Film", "Ärger", "the"], ["only 70.0 %", "begin with a capital letter"]),
        (0.7, ["new_york", "film_NOUN", "the"], ["only 70.0 %", "hold an underscore"]),
        (0.7, ["_", "the_", "The", "a"], ["only 70.0 %"]),
        (0.7, ["Film", "the"], ["only 70.0 %"]),  # no more than half of them
    ],
)
def test_low_coverage_is_said_with_what_shows_why(share, words, said):
    found = warnings(share, pa.array(words), "exact")
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert part in sentence
        assert len(sentence) <= 200


def test_folded_vectors_with_capital_letters_are_no_reason_for_what_is_missing():
    assert len(warnings(0.7, pa.array(["Film", "The"]), "folded")) == 1


def test_folded_words_are_found_by_their_letters_whatever_their_form():
    words = ["the", "Film", "ｆｉｌｍ", "ﬁlm", "FILM", "l’été", "L'E\u0301TE\u0301", "sun", "x"]
    vector_words = ["Sun", "The", "the", "FILM", "Film", "l'été", "SUN"]
    rows = find(pa.array(words), pa.array(vector_words), "folded")
    assert rows[:, 0].tolist() == [2, 4, 3, 3, 3, 5, 5, 0, -1]  # exact first, then the first
    np.testing.assert_array_equal(rows[:, 0], rows[:, 1])


def test_a_contraction_has_the_mean_of_its_parts_if_both_have_a_vector():
    words = [
        "don't", "can’t", "it's", "film's", "i'm", "'s", "rock'n'roll", "won't", "they're", "we’re"
    ]  # fmt: skip
    vector_words = pa.array(
        ["do", "n't", "ca", "it", "'s", "i", "won't", "THEY", "'re", "we", "we're"]
    )
    rows = find(pa.array(words), vector_words, "folded")
    assert rows.tolist() == [
        [0, 1], [2, 1], [3, 4], [-1, -1], [-1, -1], [4, 4], [-1, -1], [6, 6], [7, 8], [10, 10],
    ]  # fmt: skip
    assert (find(pa.array(words), vector_words, "exact")[[0, 1, 2, 8]] == -1).all()
    vectors = np.arange(22, dtype=np.float32).reshape(11, 2)
    matrix = look_up(rows, vectors, num_words=10, n_ids=11)
    assert matrix.tolist() == [
        [0, 0], [1, 2], [3, 4], [7, 8], [0, 0], [0, 0], [8, 9], [0, 0], [12, 13], [15, 16], [0, 0]
    ]  # fmt: skip


@pytest.fixture
def embed(tmp_path, monkeypatch, capsys):
    """Runs the stage on a text's words and on vectors; returns coverage, the matrix, the output."""
    for name in CODE:
        if name != "stages":
            shutil.copy(PROJECT / name, tmp_path)
    monkeypatch.chdir(tmp_path)

    def embed(tokens: dict[str, int], words: list[str], matrix: np.ndarray):
        artifacts.split("train").mkdir(parents=True, exist_ok=True)
        table = pa.table({"word": list(tokens), "count": list(tokens.values())})
        pq.write_table(table, artifacts.VOCABULARY)
        np.save(artifacts.split("train") / "sequences.npy", np.ones((3, 4), np.int32))
        blocks = iter([vectors.Block(words, matrix)])
        folder = artifacts.vectors("glove")
        folder.mkdir(parents=True, exist_ok=True)
        land_vectors.write_vectors(blocks, folder / "words.txt", folder / "matrix.npy")
        main()
        covered = json.loads(artifacts.COVERAGE.read_text())["glove"]
        return covered, np.load(artifacts.embedding("glove")), capsys.readouterr().out

    return embed


def test_vectors_that_match_no_word_are_no_crash_but_a_warning(embed, tmp_path):
    edit_params(tmp_path, embed__adapted={"vectors": "glove", "fitted": 2})
    covered, matrix, out = embed({"the": 3, "film": 1}, ["Haus"], np.ones((1, 1), np.float32))
    assert covered["share_of_tokens"] == 0
    assert matrix.shape == (10_000, 1)
    assert not matrix.any()
    assert [f"warning: glove: {sentence}" for sentence in covered["warnings"]] == [
        line for line in out.splitlines() if line.startswith("warning: glove: ")
    ]
    assert len(covered["warnings"]) == 3


def test_words_with_any_white_space_find_their_vector(embed):
    words = ["foo\rbar", "a\x85b", "c\u2028d", "e\xa0f", "\r"]
    matrix = np.arange(5, dtype=np.float32)[:, None] + 1
    covered, found, _ = embed(dict.fromkeys(reversed(words), 1), words, matrix)
    assert found[1:6, 0].tolist() == [5, 4, 3, 2, 1]
    assert covered["warnings"] == []


def test_vectors_of_words_that_had_one_are_counted(embed):
    matrix = np.array([[1], [2], [3]], np.float32)
    _, found, out = embed({"film": 1}, ["film", "the", "film"], matrix)
    assert found[1] == [1]
    assert "vectors of words that had one before, and are not read: 1" in out


def test_coverage_counts_what_each_match_finds(embed, tmp_path):
    edit_params(tmp_path, embed__folded={"vectors": "glove", "match": "folded"})
    matrix = np.array([[1], [2], [4]], np.float32)
    exact, own, out = embed({"the": 6, "don't": 3, "x": 1}, ["The", "do", "n't"], matrix)
    assert "folded: 2 of the 3 words kept have a vector, and 90.00% of the train split's" in out
    folded = json.loads(artifacts.COVERAGE.read_text())["folded"]
    assert (exact["words_with_vector"], exact["share_of_tokens"]) == (0, 0)
    assert (folded["words_with_vector"], folded["share_of_tokens"]) == (2, 0.9)
    assert folded["most_frequent_without_vector"] == ["x"]
    assert not own.any()
    assert np.load(artifacts.embedding("folded"))[:4, 0].tolist() == [0, 1, 3, 0]


def test_words_and_vectors_that_are_not_as_many_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = artifacts.vectors("glove")
    folder.mkdir(parents=True)
    (folder / "words.txt").write_text("the\nfilm\n")
    np.save(folder / "matrix.npy", np.ones((3, 4), np.float32))
    with pytest.raises(InputError) as caught:
        read_vectors("glove")
    assert str(caught.value) == (
        f"{folder} holds 2 words and 3 vectors: dvc repro --force vectors@glove"
    )


def test_shuffled_vectors_are_the_same_numbers_of_other_words(embed, tmp_path):
    edit_params(tmp_path, embed__control={"vectors": "glove", "shuffled": True})
    names = [f"word{i}" for i in range(40)]
    matrix = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    tokens = dict.fromkeys(["unknown", *names], 1)
    covered, own, _ = embed(tokens, names, matrix)
    found = np.load(artifacts.embedding("control"))
    assert not found[[0, 1]].any()  # padding, and what has no vector
    assert sorted(found[2:42].tolist()) == sorted(own[2:42].tolist()) == sorted(matrix.tolist())
    assert (found[2:42] == own[2:42]).all(axis=1).sum() <= 5
    assert json.loads(artifacts.COVERAGE.read_text())["control"] == covered


def test_columns_of_both_weightings_are_the_plain_ones_then_the_rare_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    artifacts.split("train").mkdir(parents=True)
    texts = np.random.default_rng(0).zipf(1.5, (50, 8)) % 12
    np.save(artifacts.split("train") / "sequences.npy", texts.astype(np.int32))
    builder = Builder(pa.array([f"word {i}" for i in range(11)]), np.ones(11, int), 12, 12, 0)
    both, plain, rare = (
        builder.build(Start(fitted=3, weighting=kind)) for kind in ("both", "plain", "rare")
    )
    np.testing.assert_array_equal(both, np.hstack([plain, rare]))
    assert not np.allclose(plain, rare)


@pytest.mark.parametrize("shuffled", [False, True])
def test_centred_vectors_are_around_the_mean_token_and_texts_at_distance_1(
    shuffled, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    names, matrix = ["a", "b", "c", "d"], generator.normal(3, 1, (4, 2)).astype(np.float32)
    for folder in (artifacts.vectors("own"), artifacts.split("train")):
        folder.mkdir(parents=True)
    (artifacts.vectors("own") / "words.txt").write_text("a\nb\nc\nd\n")
    np.save(artifacts.vectors("own") / "matrix.npy", matrix)
    texts = [[1, 1, 2, 0], [3, 4, 5, 0], [2, 2, 2, 4], [4, 0, 0, 0]]  # 5 has no vector
    np.save(artifacts.split("train") / "sequences.npy", np.array(texts, np.int32))
    builder = Builder(pa.array([*names, "unknown"]), np.ones(5, int), 6, 6, 0)
    found = builder.build(Start(vectors="own", centred=True, shuffled=shuffled))
    assert not found[[0, 5]].any()
    plain = builder.build(Start(vectors="own", shuffled=shuffled))
    tokens = [token for text in texts for token in text if 0 < token < 5]
    away = plain[1:5] - plain[tokens].mean(axis=0)
    np.testing.assert_allclose(found[1:5], away * (found[1, 0] / away[0, 0]), atol=1e-4)
    means = [found[[token for token in text if token]].mean(axis=0) for text in texts]
    assert (np.array(means) ** 2).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)


def test_the_weights_of_tf_idf_are_those_of_scikit_learn(embed):
    embed({"the": 3, "film": 1}, ["film"], np.ones((1, 1), np.float32))
    weights = np.load(artifacts.embedding("tfidf"))
    expected = np.full(10_000, np.log(4 / 1) + 1)  # of three texts, none has these
    expected[1] = 1  # every text has this one
    assert weights.shape == (10_000, 1)
    np.testing.assert_allclose(weights[:, 0], expected, rtol=1e-6)
