"""mistakes: texts that tell two variants apart, believable probabilities, and text lengths."""

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.evaluate import mistakes
from stages.evaluate.__main__ import read_texts
from stages.shared import artifacts
from stages.shared.predictions import judge

LABELS = np.array([1, 1, 0, 0, 1, 0])
LEARNED = judge(
    LABELS, np.array([[0.9, 0.1, 0.2, 0.8, 0.4, 0.1], [0.7, 0.3, 0.2, 0.6, 0.4, 0.1]], np.float32)
)
PRETRAINED = judge(LABELS, np.array([[0.1, 0.9, 0.3, 0.1, 0.6, 0.2]] * 2, np.float32))


def test_disagreements_are_by_kind_and_the_widest_first():
    table = mistakes.disagreements(LABELS, LEARNED, PRETRAINED, "pretrained", n_each=2)
    by_kind = table.groupby("kind")["row"].agg(list).to_dict()
    assert by_kind == {
        "learned right, pretrained wrong": [0],
        "pretrained right, learned wrong": [1, 3],  # not 4, which is a near thing
    }
    rows = table.set_index("row")
    assert rows.loc[0, ["label", "learned", "other"]].tolist() == pytest.approx([1, 0.8, 0.1])
    assert rows.loc[3, ["label", "learned", "other"]].tolist() == pytest.approx(
        [0, 0.3, 0.9]
    )  # of label 0


def test_disagreements_of_many_labels_are_by_the_probability_of_the_true_one():
    labels = np.array([2, 0, 1])
    first = [[[0.1, 0.1, 0.8], [0.2, 0.3, 0.5], [0.3, 0.4, 0.3]]] * 2
    second = [[[0.6, 0.2, 0.2], [0.8, 0.1, 0.1], [0.1, 0.9, 0.0]]] * 2
    judged = [judge(labels, np.array(of, np.float32)) for of in (first, second)]
    table = mistakes.disagreements(labels, *judged, "other", n_each=9).set_index("row")
    assert table["kind"].to_dict() == {
        1: "other right, learned wrong",
        0: "learned right, other wrong",
    }
    assert table.loc[0, ["learned", "other"]].tolist() == pytest.approx([0.8, 0.2])
    assert table.loc[1, ["learned", "other"]].tolist() == pytest.approx([0.2, 0.8])


def test_a_long_text_is_shown_from_the_beginning_of_a_word_to_its_end():
    assert mistakes.ending("short") == "short"
    text = "word " * 1000 + "end"
    shown = mistakes.ending(text)
    assert shown.startswith("…word ")
    assert shown.endswith(" end")
    assert len(shown) <= mistakes.MOST_CHARACTERS + 1


@pytest.mark.parametrize(
    "text",
    ["今天天气很好，不错！" * 200, "好 " + "今天天气很好" * 200 + " 完", "ก\u0e34\u0e49" * 600],
)
def test_a_long_text_without_blanks_is_shown_from_a_character_to_its_end(text):
    shown = mistakes.ending(text)
    assert shown[0] == "…"
    assert text.endswith(shown[1:])
    assert unicodedata.category(shown[1]).startswith("L")
    assert mistakes.MOST_CHARACTERS - 2 <= len(shown) <= mistakes.MOST_CHARACTERS + 1


def test_a_text_of_nothing_but_marks_is_shown_too():
    assert mistakes.ending("\u0301" * 1000) == "…" + "\u0301" * 800


def test_texts_to_show_are_read_by_their_rows_of_the_test_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    artifacts.TEXTS.parent.mkdir(parents=True)
    splits = ["train", "test", "train", "test", "test", "train", "test", "test"]
    table = pa.table({"split": splits, "text": [f"text {i}" for i in range(8)]})
    pq.write_table(table, artifacts.TEXTS, row_group_size=2)
    assert read_texts(np.array([4, 0, 3, 2])) == ["text 7", "text 1", "text 6", "text 4"]
    assert read_texts(np.array([1, 1])) == ["text 3"] * 2
    assert read_texts(np.array([], int)) == []


def test_texts_are_grouped_by_the_lengths_that_tokenize_counted():
    n_words = np.array([3, 3, 3, 90, 90, 90], np.int32)
    found = mistakes.tables(LABELS, {"learned": LEARNED}, lambda rows: [], n_words)
    assert found["lengths"]["learned"]["words_to"].tolist() == [3, 90]


def test_a_calibrated_variant_lies_on_the_diagonal_in_each_repeat():
    generator = np.random.default_rng(0)
    true = generator.random(200_000).astype(np.float32)
    labels = (generator.random(200_000) < true).astype(int)
    bold = np.where(true > 0.5, 0.99, 0.01) + 1e-3 * (true - 0.5)
    table = mistakes.calibration(judge(labels, np.stack([true, bold])))
    assert table.columns.tolist() == ["repeat", "predicted", "right"]
    of_true, of_bold = (part for _, part in table.groupby("repeat"))
    expected = np.arange(0.525, 1, 0.05)  # of what is more probable
    assert of_true["predicted"].to_numpy() == pytest.approx(expected, abs=0.01)
    assert of_true["right"].to_numpy() == pytest.approx(expected, abs=0.01)
    assert of_bold["right"].to_numpy()[-1] == pytest.approx(0.975, abs=0.01)
    assert of_bold["predicted"].to_numpy()[-1] == pytest.approx(0.99, abs=0.01)


def test_calibration_is_of_the_most_probable_of_many_labels():
    generator = np.random.default_rng(0)
    true = generator.dirichlet([0.5] * 5, 100_000)
    labels = (true.cumsum(axis=1) > generator.random((100_000, 1))).argmax(axis=1)
    table = mistakes.calibration(judge(labels, true[None].astype(np.float32)))
    assert len(table) == mistakes.CALIBRATION_BINS
    assert table["right"].to_numpy() == pytest.approx(table["predicted"].to_numpy(), abs=0.015)
    assert table["predicted"].iloc[0] < 0.45 < 0.84 < table["predicted"].iloc[-1]


def test_texts_of_like_length_are_averaged_and_every_text_is_in_one_group():
    n_words = np.arange(1, 101)
    labels = np.ones(100, int)
    probabilities = np.where(n_words > 40, 0.9, 0.1)[None, :]
    table = mistakes.by_length(n_words, judge(labels, probabilities))
    assert table["words_from"].tolist() == [1, 21, 41, 61, 81]
    assert table["words_to"].tolist() == [20, 40, 60, 80, 100]
    assert table["texts"].tolist() == [20] * 5
    assert table["accuracy"].tolist() == [0, 0, 1, 1, 1]


def test_texts_all_of_one_length_are_one_group():
    table = mistakes.by_length(np.full(6, 7), LEARNED)
    assert table.to_dict("records") == [
        {"words_from": 7, "words_to": 7, "texts": 6, "accuracy": pytest.approx(0.5)}
    ]
