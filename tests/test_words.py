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
    return words.telling_words([sequences.astype(np.int32)], np.array([1, 1, 1, 0, 0, 0]), 6)


def test_a_word_tells_what_its_odds_of_being_in_a_text_are(telling):
    assert telling.index.tolist() == [1, 2, 3, 4, 5]
    assert telling.columns.tolist() == [0, 1]
    # 3 of 3 texts and 0 of 3, half a text added to each count
    odds = (3.5 / 0.5) / (0.5 / 3.5)
    error = np.sqrt(2 / 3.5 + 2 / 0.5)
    assert telling[1][2] == pytest.approx(np.log(odds) / error)
    assert telling[1][4] == pytest.approx(-np.log(odds) / error)
    assert telling[1][1] == 0
    assert telling[0].tolist() == (-telling[1]).tolist()


def test_a_word_is_left_out_if_fewer_texts_have_it_than_the_least_share(monkeypatch):
    monkeypatch.setattr(words, "LEAST_SHARE", 0.5)
    sequences = np.array([[1, 2], [1, 2], [1, 3], [1, 0]], np.int32)
    assert words.telling_words([sequences], np.array([0, 1, 0, 1]), 4).index.tolist() == [1, 2]


def test_of_many_labels_each_is_taken_against_the_rest_and_the_most_frequent_are_shown():
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.arange(12), generator.choice(12, 988, p=np.arange(1, 13) / 78)])
    sequences = generator.integers(1, 40, (1000, 6), np.int32)
    sequences[:, 0] = np.where(generator.random(1000) < 0.8, 41 + labels, 40)
    telling = words.telling_words([sequences], labels, 60)
    assert telling.columns.tolist() == [4, 5, 6, 7, 8, 9, 10, 11]
    for label in telling:
        assert telling[label].idxmax() == 41 + label
    own, has = labels == 7, (sequences == 48).any(axis=1)
    a, b, c, d = (
        ((own == x) & (has == y)).sum() + 0.5 for x in (True, False) for y in (True, False)
    )
    z = np.log(a * d / b / c) / np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    assert telling[7][48] == pytest.approx(z)
    picked = words.most_telling(telling, 30)
    assert [*picked] == [11, 10, 9, 8, 7, 6, 5, 4]
    assert all(len(ids) <= 3 and ids[0] == 41 + label for label, ids in picked.items())


def test_a_word_is_picked_for_one_label_and_a_label_without_words_has_none():
    telling = pd.DataFrame({0: [3.0, 2.0, 1.0], 1: [1.0, 3.0, 2.0], 2: [0.0] * 3}, index=[4, 7, 9])
    picked = words.most_telling(telling, 9)
    assert {label: ids.tolist() for label, ids in picked.items()} == {2: [], 1: [7], 0: [4]}


def test_texts_are_counted_the_same_however_they_are_cut():
    generator = np.random.default_rng(0)
    sequences = generator.integers(0, 30, (200, 8), np.int32)
    labels = generator.integers(0, 2, 200)
    whole = words.telling_words([sequences], labels, 30)
    parts = np.array_split(sequences, 7)
    pd.testing.assert_frame_equal(words.telling_words(parts, labels, 30), whole)


def test_the_most_telling_words_are_sorted_from_each_end_and_never_on_both_sides(telling):
    picked = words.most_telling(telling, 100)
    assert [*picked] == [1, 0]
    assert {label: ids[0] for label, ids in picked.items()} == {1: 2, 0: 4}
    assert [len(ids) for ids in picked.values()] == [2, 2]
    assert not {*picked[0]} & {*picked[1]}


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
    few = pd.DataFrame({0: [-1.0], 1: [1.0]}, index=[1])
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
