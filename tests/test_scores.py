"""scores: metrics, paired intervals and the tables that plots read."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from stages.evaluate import scores as scores_of
from stages.evaluate import uncertainty
from stages.shared import artifacts, predictions
from stages.shared.predictions import judge

LABELS = np.array([0, 0, 1, 1], np.int8)
PROBABILITIES = np.array([[0.1, 0.6, 0.4, 0.9], [0.2, 0.3, 0.7, 0.8]], np.float32)


def test_each_repeat_is_scored_on_its_own():
    scores = scores_of.score(LABELS, judge(LABELS, PROBABILITIES))
    assert scores["accuracy"].tolist() == [0.5, 1]
    assert scores["roc_auc"].tolist() == [0.75, 1]
    assert scores["largest_share"].tolist() == [0.5, 0.5]
    expected = -np.log([[0.9, 0.4, 0.4, 0.9], [0.8, 0.7, 0.7, 0.8]]).mean(axis=1)
    assert scores["log_loss"].to_numpy() == pytest.approx(expected)


def test_a_summary_averages_repeats_and_gives_their_standard_deviation():
    summary = scores_of.summarize(scores_of.score(LABELS, judge(LABELS, PROBABILITIES)))
    scored = ["accuracy", "balanced_accuracy", "log_loss", "roc_auc", "largest_share"]
    assert list(summary) == [*scored, "accuracy_std"]
    assert summary["accuracy"] == 0.75
    assert summary["accuracy_std"] == pytest.approx(np.std([0.5, 1], ddof=1), abs=1e-4)


def test_balanced_accuracy_and_the_largest_share_show_a_variant_that_says_one_label():
    labels = np.array([0] * 9 + [1], np.int8)
    scores = scores_of.score(
        labels, judge(labels, np.array([[0.2] * 10, [0.2] * 9 + [0.9]], np.float32))
    )
    assert scores["accuracy"].tolist() == [0.9, 1]
    assert scores["balanced_accuracy"].tolist() == [0.5, 1]
    assert scores["largest_share"].tolist() == [1, 0.9]


def test_the_interval_of_a_gap_has_a_width_however_many_the_texts():
    labels = np.zeros(300_000, np.int8)
    same = np.full((2, len(labels)), 0.1, np.float32)
    gap = scores_of.compare(*[judge(labels, same)] * 2)
    assert gap["accuracy_low"] < 0 < gap["accuracy_high"]


def test_the_gap_is_over_repeats_and_texts_and_pooled_predictions_are_tested():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 300)
    reference, better = np.clip(labels * [[[0.2]], [[0.4]]] + generator.random((2, 4, 300)), 0, 1)
    right, reference_right = (better > 0.5) == labels, (reference > 0.5) == labels
    expected = uncertainty.paired_interval(right, reference_right)
    gap = scores_of.compare(judge(labels, better), judge(labels, reference))
    assert [gap["accuracy"], gap["accuracy_low"], gap["accuracy_high"]] == np.round(
        expected, 4
    ).tolist()
    pooled = [(of.mean(axis=0) > 0.5) == labels for of in (better, reference)]
    assert gap["mcnemar_p"] == pytest.approx(uncertainty.mcnemar(*pooled), rel=0.05)


def test_one_repeat_gives_no_interval():
    first, second = (judge(LABELS, PROBABILITIES[rows]) for rows in (slice(1), slice(1, 2)))
    assert scores_of.summarize(scores_of.score(LABELS, first))["accuracy_std"] is None
    gap = scores_of.compare(second, first)
    assert gap == {"accuracy": 0.5, "accuracy_low": None, "accuracy_high": None, "mcnemar_p": 0.5}


def test_the_mean_roc_runs_from_corner_to_corner_and_keeps_the_mean_area():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 2000)
    probabilities = np.clip(generator.normal(0.3 + 0.3 * labels, 0.2, (3, 2000)), 0, 1)
    curve = scores_of.mean_roc(labels, judge(labels, probabilities))
    assert curve.iloc[0].tolist() == [0, 0]
    assert curve.iloc[-1].tolist() == [1, 1]
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    mean = np.mean([metrics.roc_auc_score(labels, row) for row in probabilities])
    assert area == pytest.approx(mean, abs=0.005)


def test_the_mean_confusion_matrix_counts_every_text_once():
    table = scores_of.mean_confusion(LABELS, judge(LABELS, PROBABILITIES)).set_index(
        ["actual", "predicted"]
    )
    assert table["texts"].to_dict() == {(0, 0): 1.5, (0, 1): 0.5, (1, 0): 0.5, (1, 1): 1.5}
    assert table["share"].tolist() == [0.75, 0.25, 0.25, 0.75]


def test_the_mean_history_has_a_row_for_each_split_and_epoch():
    columns = ["repeat", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    rows = [(0, 1, 0.8, 0.5, 0.7, 0.5), (1, 1, 0.6, 0.7, 0.9, 0.5)]
    table = scores_of.mean_history(pd.DataFrame(rows, columns=columns))
    assert table.to_dict("records") == [
        {"split": "train", "epoch": 1, "loss": 0.7, "accuracy": 0.6},
        {"split": "validation", "epoch": 1, "loss": 0.8, "accuracy": 0.5},
    ]


def test_the_predictions_name_variant_repeat_and_row_and_are_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predictions.write(LABELS, {"b": PROBABILITIES[:, ::-1], "a": PROBABILITIES})
    labels, judged = predictions.read(["a", "b"])
    assert labels.tolist() == LABELS.tolist()
    assert judged["a"].probabilities.tolist() == PROBABILITIES.tolist()
    assert judged["b"].right.tolist() == [[False, True, True, False], [False] * 4]
    assert judged["a"].pooled.tolist() == [True] * 4
    frame = pd.read_parquet(artifacts.PREDICTIONS)
    assert len(frame) == 16
    row = frame.query("variant == 'b' and repeat == 1 and row == 0").iloc[0]
    assert (row["label"], row["probability"]) == (0, np.float32(0.8))


def test_each_gap_is_that_of_a_variant_to_learned():
    judged = {
        "worse": judge(LABELS, PROBABILITIES[[0, 0]]),
        "learned": judge(LABELS, PROBABILITIES),
        "better": judge(LABELS, PROBABILITIES[[1, 1]]),
    }
    gaps = scores_of.compare_all(judged)
    assert list(gaps) == ["worse-learned", "better-learned"]
    assert [gap["accuracy"] for gap in gaps.values()] == [-0.25, 0.25]
