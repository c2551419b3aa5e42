"""What figures show: positions, colours, labels and limits, read from what was drawn."""

import itertools
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from stages.report import figures
from stages.report.__main__ import caption
from stages.shared.artifacts import KEPT_BY_MATPLOTLIB
from tests.conftest import PROJECT, check_panels

TRAIN, VALIDATION = figures.TRAIN_COLOR, figures.VALIDATION_COLOR


@pytest.fixture
def drawn(monkeypatch):
    """Draws a figure and returns it instead of writing it."""

    def draw(function, *arguments) -> plt.Figure:
        kept = []
        monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
        function(*arguments, None)
        [figure] = kept
        figure.draw_without_rendering()
        check_panels(figure)
        return figure

    yield draw
    plt.close("all")


def lines(axis: plt.Axes) -> list[dict]:
    """The lines of an axis: positions, colour, width and label."""
    return [
        {
            "x": np.asarray(line.get_xdata(), float).tolist(),
            "y": np.asarray(line.get_ydata(), float).tolist(),
            "color": line.get_color(),
            "width": line.get_linewidth(),
            "label": line.get_label(),
        }
        for line in axis.get_lines()
    ]


def test_a_history_has_each_repeat_and_their_mean(drawn):
    table = pd.DataFrame(
        {
            "repeat": [0, 0, 1, 1], "epoch": [1, 2, 1, 2],
            "accuracy": [0.5, 0.6, 0.7, 1.0], "val_accuracy": [0.4, 0.5, 0.5, 0.6],
        }
    )  # fmt: skip
    bare = table.assign(val_accuracy=np.nan)
    figure = drawn(figures.history, {"learned": table, "pretrained": bare}, "accuracy")
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("learned", "pretrained")
    assert left.get_ylabel() == "accuracy"
    assert left.get_xlabel() == "epoch"
    shown = {(line["color"], line["width"] > 2): line["y"] for line in lines(left)}
    assert shown[TRAIN, True] == pytest.approx([0.6, 0.8])
    assert shown[VALIDATION, True] == pytest.approx([0.45, 0.55])
    thin = [line["y"] for line in lines(left) if line["width"] < 1 and line["color"] == TRAIN]
    assert thin == [[0.5, 0.6], [0.7, 1.0]]
    assert {line["color"] for line in lines(right)} == {TRAIN}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["training, mean", "validation, mean", "each of 2 repeats"]


def test_a_comparison_has_repeats_means_the_majority_and_the_gaps(drawn):
    of = {"learned": [0.50, 0.54], "zebra": [0.70, 0.60], "pretrained": [0.80, 0.90]}
    scores = pd.DataFrame(
        [(name, r, value) for name, values in of.items() for r, value in enumerate(values)],
        columns=["variant", "repeat", "accuracy"],
    )
    gaps = {
        "zebra-learned": {"accuracy": 0.13, "accuracy_low": 0.1, "accuracy_high": 0.16},
        "pretrained-learned": {"accuracy": 0.33, "accuracy_low": None, "accuracy_high": None},
    }
    figure = drawn(figures.comparison, scores, gaps, 0.44, "mine.csv: 9 texts")
    left, right = figure.axes
    assert "mine.csv: 9 texts" in figure.get_suptitle()
    assert [label.get_text() for label in left.get_xticklabels()] == list(of)
    repeats = [line["y"] for line in lines(left)][:2]
    assert repeats == [[0.50, 0.70, 0.80], [0.54, 0.60, 0.90]]
    [majority] = [line for line in lines(left) if line["label"] == "always the same label"]
    assert majority["y"] == [0.44, 0.44]
    [means] = left.collections
    segments = np.array(means.get_segments())
    np.testing.assert_allclose(segments[:, :, 1], [[0.52] * 2, [0.65] * 2, [0.85] * 2])
    assert (segments[:, 1, 0] - segments[:, 0, 0] > 0.3).all()
    assert segments[:, :, 0].mean(axis=1).tolist() == pytest.approx([0, 1, 2])
    figure.canvas.draw()
    assert left.get_legend().get_window_extent().y1 < left.get_window_extent().y0  # hides nothing

    assert [label.get_text() for label in right.get_yticklabels()] == list(gaps)
    by_place = {(tuple(line["x"]), tuple(line["y"])) for line in lines(right)}
    assert ((0.1, 0.16), (0.0, 0.0)) in by_place
    assert ((0.13,), (0.0,)) in by_place
    assert ((0.33,), (1.0,)) in by_place
    assert ((0.0, 0.0), (0.0, 1.0)) in by_place  # no gap
    bottom, top = right.get_ylim()
    assert bottom > 1 > 0 > top  # all are inside, the first on top


NAMES = ["good", "fine", "great", "bad", "poor", "awful"]
POSITIVE = np.arange(6) < 3


PLACES = np.random.default_rng(0).normal(size=(2, 6, 2))  # before and after


def table_of(places: np.ndarray = PLACES, names: list[str] = NAMES) -> pd.DataFrame:
    """Words at (phases, words, 2) as `evaluate` tabulates them."""
    parts = [
        pd.DataFrame(
            {
                "variant": "learned", "matrix": phase, "word": names, "label": POSITIVE.astype(int),
                "x": xy[:, 0], "y": xy[:, 1],
            }
        )
        for phase, xy in zip(("initial", "trained"), places, strict=True)
    ]  # fmt: skip
    return pd.concat(parts)


def test_words_stand_at_their_places_in_the_colour_of_their_label(drawn):
    figure = drawn(figures.words, table_of(), ["ham", "spam"])
    before, after = figure.axes
    phases = zip((before, after), ("before", "after"), PLACES, strict=True)
    for axis, phase, expected in phases:
        assert axis.get_title() == f"learned, {phase} training"
        [scatter] = axis.collections
        np.testing.assert_allclose(scatter.get_offsets(), expected)
        colors = [to_hex(color).upper() for color in scatter.get_facecolors()]
        assert colors == [TRAIN] * 3 + [VALIDATION] * 3
        shown = {text.get_text(): text.get_color() for text in axis.texts}
        assert shown == dict(zip(NAMES, colors, strict=True))
        assert axis.get_visible()
        points = dict(zip(NAMES, axis.transData.transform(expected), strict=True))
        for text in axis.texts:  # beside its own point, and not where it was in the other phase
            box = text.get_window_extent()
            away = np.clip(points[text.get_text()], box.min, box.max) - points[text.get_text()]
            assert np.linalg.norm(away) < 40  # pixels
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["speaks for spam", "speaks for ham"]
    assert [handle.get_color() for handle in legend.legend_handles] == [TRAIN, VALIDATION]


def test_words_of_many_labels_have_a_colour_each(drawn):
    table = table_of().assign(label=[7, 2, 7, 0, 2, 0] * 2)
    figure = drawn(figures.words, table, [*"abcdefgh"])
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"speaks for {of}" for of in "hca"]
    color_of = {
        text.get_text()[-1]: to_hex(handle.get_color())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    assert len({*color_of.values()}) == 3
    [scatter] = figure.axes[0].collections
    assert [to_hex(of) for of in scatter.get_facecolors()] == [color_of[of] for of in "hchaca"]


def test_no_word_is_over_another_even_at_one_place(drawn):
    near = np.array([[0, 0], [0, 0.001], [0.001, 0], [0, 0], [1, 1], [1, 1.001]])
    figure = drawn(figures.words, table_of(np.stack([near, near])), ["0", "1"])
    for axis in figure.axes:
        boxes = [text.get_window_extent() for text in axis.texts]
        assert len(boxes) == 6
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("foreign", ["好", "ดี", "טוב", "جيد"])
def test_words_that_the_font_lacks_or_that_run_from_right_to_left_are_numbered(drawn, foreign):
    names = [foreign, *NAMES[1:]]
    figure = drawn(figures.words, table_of(names=names), [foreign, "1"])
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(shown) == ["1", "2", "3", "4", "5", "6"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["speaks for label 1", "speaks for label 0"]


def test_words_that_the_font_has_are_written_out(drawn):
    names = ["café", "ürün", "слово", *NAMES[3:]]
    figure = drawn(figures.words, table_of(names=names), ["naïve", "1"])
    assert {text.get_text() for text in figure.axes[0].texts} == {*names}


def test_a_dollar_is_a_dollar(drawn):
    names = ["$a$", "b_$", *NAMES[2:]]
    figure = drawn(figures.words, table_of(names=names), ["$0$", "1"])
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)


def test_a_confusion_matrix_has_the_actual_labels_from_top_to_bottom(drawn):
    names, shares = ["x", "a", "m"], [[0.9, 0.06, 0.04], [0.5, 0.3, 0.2], [0.0, 0.0, 1.0]]
    rows = [
        (actual, predicted, 1, shares[i][j])
        for i, actual in enumerate(names)
        for j, predicted in enumerate(names)
    ]
    table = pd.DataFrame(rows, columns=["actual", "predicted", "texts", "share"])
    figure = drawn(figures.confusion, {"learned": table, "zebra": table.assign(share=1 / 3)})
    left, right, bar = figure.axes
    assert (left.get_title(), right.get_title()) == ("learned", "zebra")
    assert left.images[0].get_array().tolist() == shares
    assert {*right.images[0].get_array().ravel()} == {1 / 3}
    assert [label.get_text() for label in left.get_yticklabels()] == names
    assert [label.get_text() for label in left.get_xticklabels()] == names
    assert left.get_xlabel() == "predicted label"
    written = {text.get_position(): text.get_text() for text in left.texts}  # column, row
    assert written == {
        (0, 0): "90",
        (1, 0): "6",
        (0, 1): "50",
        (1, 1): "30",
        (2, 1): "20",
        (2, 2): "100",
    }
    assert "share" in bar.get_ylabel()
    assert left.images[0].get_clim() == (0, 1)


def test_of_one_variant_there_is_one_matrix_and_of_three_the_lowest_have_the_labels(drawn):
    names = ["x", "a"]
    rows = [(actual, predicted, 1, 0.5) for actual in names for predicted in names]
    table = pd.DataFrame(rows, columns=["actual", "predicted", "texts", "share"])
    only, _ = drawn(figures.confusion, {"learned": table}).axes
    assert [label.get_text() for label in only.get_xticklabels()] == names
    upper, _, lower, *_ = drawn(figures.confusion, dict.fromkeys("abc", table)).axes
    assert not any(label.get_visible() for label in upper.get_xticklabels())
    assert all(label.get_visible() for label in lower.get_xticklabels())


def test_calibration_has_a_line_for_each_repeat_of_each_variant(drawn):
    learned = [(0, 0.2, 0.3), (0, 0.7, 0.6), (1, 0.1, 0.4), (1, 0.8, 0.5)]
    zebra = [(0, 0.1, 0.2), (0, 0.9, 0.8)]
    columns = ["repeat", "predicted", "right"]
    tables = {"learned": pd.DataFrame(learned, columns=columns)}
    tables["zebra"] = pd.DataFrame(zebra, columns=columns)
    [axis] = drawn(figures.calibration, tables).axes
    diagonal, first, second, other = lines(axis)
    assert (first["x"], first["y"]) == ([0.2, 0.7], [0.3, 0.6])
    assert (second["x"], second["y"]) == ([0.1, 0.8], [0.4, 0.5])
    assert (other["x"], other["y"]) == ([0.1, 0.9], [0.2, 0.8])
    assert (diagonal["x"], diagonal["y"]) == ([0, 1], [0, 1])
    assert first["color"] == second["color"] != other["color"]
    named = [text.get_text() for text in axis.get_legend().get_texts()]
    assert named == ["calibrated", "learned", "zebra"]
    assert axis.get_xlim() == axis.get_ylim() == (0, 1)


def test_lengths_have_a_line_for_each_variant(drawn):
    tables = {
        name: pd.DataFrame({"words_from": [1, 1001], "words_to": [1000, 2000], "accuracy": values})
        for name, values in (("learned", [0.5, 0.6]), ("zebra", [0.7, 0.4]))
    }
    [axis] = drawn(figures.lengths, tables).axes
    shown = {line["label"]: line["y"] for line in lines(axis)}
    assert shown == {"learned": [0.5, 0.6], "zebra": [0.7, 0.4]}
    ticks = [label.get_text() for label in axis.get_xticklabels()]
    assert ticks == ["1 to 1,000", "1,001 to 2,000"]
    named = [text.get_text() for text in axis.get_legend().get_texts()]
    assert named == ["learned", "zebra"]


def test_a_figure_is_written_whole_and_the_same_each_time(tmp_path):
    for name in ("a.png", "b.png"):
        figures.words(table_of(), ["0", "1"], tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert plt.imread(tmp_path / "a.png").std() > 0.05  # not an empty sheet
    assert b"Software" not in content


def test_matplotlib_keeps_its_files_in_the_project():
    code = "import os, stages.report.figures; print(os.environ['MPLCONFIGDIR'])"
    others = {key: value for key, value in os.environ.items() if key != "MPLCONFIGDIR"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=others, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(KEPT_BY_MATPLOTLIB), done.stderr


@pytest.mark.parametrize(
    ("labels", "end"),
    [
        (["neg", "pos"], ", labels neg and pos"),
        (["neg", "好"], ""),
        (["a", "b", "好"], ", 3 labels"),
    ],
)
def test_a_caption_counts_the_texts_of_each_split_and_names_two_labels(labels, end):
    data = {"name": "a.csv", "labels": labels, "train": [1000, 200], "test": [30, 4]}
    assert caption(data) == f"a.csv: 1,200 texts to train on, 34 to test on{end}"
    assert caption(data | {"name": "好.csv"}).startswith("own texts: 1,200 texts")
