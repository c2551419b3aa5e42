"""words: which ones tell the labels apart, what lies near them, and what training moved."""

import numpy as np
import pandas as pd
import pytest

from stages.evaluate import words

NAMES = np.array(["", "the", "good", "fine", "bad", "poor"], object)
MATRIX = np.array(
    [[0, 0], [1, 1], [1, 0.1], [1, 0], [-1, 0.1], [-1, 0]], np.float32
)  # good and fine are near, and bad and poor  # fmt: skip


@pytest.fixture
def telling():
    sequences = np.array([[0, 1, 2], [1, 2, 2], [3, 1, 2], [1, 4, 5], [0, 1, 4], [1, 4, 9]])
    return words.telling_words(sequences.astype(np.int32), np.array([1, 1, 1, 0, 0, 0]), 6)


def test_a_word_tells_what_its_odds_of_being_in_a_text_are(telling):
    assert telling["texts"].to_dict() == {1: 6, 2: 3, 3: 1, 4: 3, 5: 1}
    # 3 of 3 texts and 0 of 3, half a text added to each count
    odds = (3.5 / 0.5) / (0.5 / 3.5)
    error = np.sqrt(2 / 3.5 + 2 / 0.5)
    assert telling["z"][2] == pytest.approx(np.log(odds) / error)
    assert telling["z"][4] == pytest.approx(-np.log(odds) / error)
    assert telling["z"][1] == 0


def test_texts_are_counted_the_same_however_they_are_cut(monkeypatch):
    generator = np.random.default_rng(0)
    sequences = generator.integers(0, 30, (200, 8), np.int32)
    labels = generator.integers(0, 2, 200)
    whole = words.telling_words(sequences, labels, 30)
    monkeypatch.setattr(words, "TEXTS_AT_A_TIME", 7)
    pd.testing.assert_frame_equal(words.telling_words(sequences, labels, 30), whole)


def test_the_most_telling_words_are_sorted_from_each_end_and_never_on_both_sides(telling):
    positive, negative = words.most_telling(telling, 1)
    assert (positive.tolist(), negative.tolist()) == ([2], [4])
    positive, negative = words.most_telling(telling, 100)
    assert len(positive) == len(negative) == 2
    assert not {*positive} & {*negative}


def test_neighbours_are_by_cosine_without_the_word_itself_and_padding():
    good, bad = words.nearest(MATRIX * [[9], [1], [7], [1], [5], [1]], np.array([2, 4]), NAMES)
    assert good.split(", ")[:2] == ["fine", "the"]
    assert bad.split(", ")[0] == "poor"
    assert "" not in good.split(", ")
    assert words.nearest(MATRIX * [[1], [1], [0], [1], [1], [1]], np.array([2]), NAMES) == [""]


def test_the_table_has_each_word_before_and_after(telling):
    after = MATRIX[[0, 1, 4, 3, 2, 5]]
    table = words.neighbours({"learned": (MATRIX, after)}, telling, NAMES)["learned"]
    rows = table.set_index(["matrix", "word"])["neighbours"]
    assert rows["initial", "good"].startswith("fine")
    assert rows["trained", "good"].startswith("poor")


def test_the_words_that_turned_most_come_first_and_those_without_a_vector_did_not():
    before, after = MATRIX.copy(), MATRIX.copy()
    after[4] *= -1  # turned all the way
    after[2] = [1, 1]
    after[3] = [5, 0.6]  # longer, and turned by less than 0.01
    after[1] = [1, 1.35]  # and by more
    before[5] = 0
    hardly = before.copy()
    hardly[3] = after[3]
    pairs = {"learned": (before, after), "hardly": (before, hardly), "frozen": (before, before)}
    table = words.moved(pairs, NAMES)
    assert list(table) == ["learned"]
    assert table["learned"]["word"].tolist() == ["bad", "good", "the"]
    cosine = (MATRIX[2] @ [1, 1]) / np.linalg.norm(MATRIX[2]) / np.sqrt(2)
    by_angle = 1 - np.cos(np.arctan(1.35) - np.pi / 4)
    expected = [2, 1 - cosine, by_angle]
    assert table["learned"]["distance"].tolist() == pytest.approx(expected, abs=1e-4)
    assert table["learned"]["before"][0] == words.nearest(before, np.array([4]), NAMES)[0]


def test_principal_components_keep_the_greatest_variance_and_point_to_the_positive():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(60, 5)).astype(np.float32) * [9, 3, 1, 1, 1]
    positive = vectors[:, 0] < 0
    places = words.principal_components(vectors, positive)
    assert np.abs(np.corrcoef(places[:, 0], vectors[:, 0])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(places[:, 1], vectors[:, 1])[0, 1]) > 0.95
    assert (places[positive].mean(axis=0) >= 0).all()
    assert words.principal_components(vectors[:, :1], positive)[:, 1].tolist() == [0] * 60


def test_a_vocabulary_of_a_word_or_two_has_no_neighbours_and_no_picture():
    few = pd.DataFrame({"texts": [3], "z": [1.0]}, index=[1])
    assert words.nearest(MATRIX[:2], np.array([1]), NAMES[:2]) == [""]
    assert len(words.pictured({"learned": (MATRIX, MATRIX)}, few, NAMES)["learned"]) == 0


def test_a_picture_has_as_many_words_of_each_label(telling):
    table = words.pictured({"learned": (MATRIX, MATRIX * [3, 1])}, telling, NAMES)["learned"]
    assert table["matrix"].tolist() == ["initial"] * 4 + ["trained"] * 4
    assert table["label"].tolist() == [1, 1, 0, 0] * 2
    before, after = (part for _, part in table.groupby("matrix", sort=False))
    assert before["word"].tolist() == after["word"].tolist()
    assert {*before["word"][:2]} == {"good", "fine"}
    ids = [list(NAMES).index(word) for word in before["word"]]
    for part, matrix in ((before, MATRIX), (after, MATRIX * [3, 1])):
        expected = words.principal_components(matrix[ids], np.arange(4) < 2)
        np.testing.assert_allclose(part[["x", "y"]], expected, atol=1e-6)
