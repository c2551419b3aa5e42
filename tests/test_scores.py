"""scores: metrics, paired intervals and the tables that plots read."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from stages.evaluate import per_text, uncertainty
from stages.evaluate import scores as scores_of
from stages.evaluate.uncertainty import interval_over_texts, paired_interval
from stages.shared import artifacts, predictions
from stages.shared.predictions import Judged, judge

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
    assert list(summary) == [
        "accuracy", "accuracy_std", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc",
        "largest_share",
    ]  # fmt: skip
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
    labels[:150_000] = 1
    gap = scores_of.compare(labels, *[judge(labels, same)] * 2)
    for metric in scores_of.COMPARED:
        assert gap[f"{metric}_low"] < 0 < gap[f"{metric}_high"]


def drawn(n_texts: int, n_repeats: int = 3) -> tuple[np.ndarray, Judged, Judged]:
    """Uneven labels, and two variants' predictions, many of them level."""
    generator = np.random.default_rng(0)
    labels = (generator.random(n_texts) < 0.3).astype(np.int8)
    noise = generator.random((2, n_repeats, n_texts))
    worse, better = np.clip(labels * [[[0.2]], [[0.4]]] + noise, 0, 1).round(2)
    return labels, judge(labels, better), judge(labels, worse)


OF_SKLEARN = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "macro_f1": partial(metrics.f1_score, average="macro"),
    "roc_auc": metrics.roc_auc_score,
}


@pytest.mark.parametrize("metric", scores_of.COMPARED)
def test_what_each_text_adds_has_the_metric_as_its_mean_in_every_repeat(metric):
    labels, own, _ = drawn(200)
    values = scores_of.values(metric, labels, own)
    assert values.shape == own.right.shape
    predicted = own.probabilities if metric == "roc_auc" else own.classes
    expected = [OF_SKLEARN[metric](labels, repeat) for repeat in predicted]
    assert values.mean(axis=1) == pytest.approx(expected)
    assert scores_of.score(labels, own)[metric].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize("metric", scores_of.COMPARED)
def test_what_a_text_adds_is_how_the_metric_moves_where_that_text_counts_more(metric):
    labels, own, _ = drawn(200)
    predicted = (own.probabilities if metric == "roc_auc" else own.classes)[0]
    values, more = scores_of.values(metric, labels, own)[0], 1e-6
    for text in range(0, 200, 10):
        weights = np.ones(200)
        weights[text] += more
        moved = OF_SKLEARN[metric](labels, predicted, sample_weight=weights) - values.mean()
        assert moved / more * 200 == pytest.approx(values[text] - values.mean(), abs=1e-3)


def test_of_more_than_two_classes_each_is_taken_against_the_rest():
    generator = np.random.default_rng(0)
    labels = generator.choice(3, 300, p=[0.6, 0.3, 0.1])
    probabilities = generator.dirichlet([1, 1, 1], (2, 300))
    probabilities = (probabilities + np.eye(3)[labels]) / 2
    classes = probabilities.argmax(axis=2)
    for values, metric in (
        (per_text.accuracy, metrics.accuracy_score),
        (per_text.balanced_accuracy, metrics.balanced_accuracy_score),
        (per_text.macro_f1, partial(metrics.f1_score, average="macro")),
    ):
        expected = [metric(labels, repeat) for repeat in classes]
        assert values(labels, classes).mean(axis=1) == pytest.approx(expected)
    expected = [metrics.roc_auc_score(labels, of, multi_class="ovr") for of in probabilities]
    assert per_text.roc_auc(labels, probabilities).mean(axis=1) == pytest.approx(expected)


def test_the_variance_of_an_area_is_that_of_delong():
    # Three positive texts above 3, 2 and 1 of four negative ones, which are below 3, 2, 1 and 0.
    positive = np.array([1, 1, 1, 0, 0, 0, 0], bool)
    scores = np.array([[0.9, 0.6, 0.4, 0.1, 0.5, 0.7, 1.0]])
    values = per_text.placements(positive, scores)[0]
    assert values.mean() == pytest.approx(0.5)
    of_positive, of_negative = np.var([3 / 4, 2 / 4, 1 / 4]), np.var([1, 2 / 3, 1 / 3, 0])
    assert np.var(values) / 7 == pytest.approx(of_positive / 3 + of_negative / 4)


def test_a_gap_is_over_repeats_and_texts_in_every_metric():
    labels, own, reference = drawn(300)
    groups = np.arange(300) // 3
    gap = scores_of.compare(labels, own, reference, groups, overlap=0.5)
    metrics_of = list(scores_of.COMPARED)
    assert metrics_of == ["accuracy", "roc_auc", "balanced_accuracy", "macro_f1"]
    assert list(gap) == [f"{of}{end}" for of in metrics_of for end in ("", "_low", "_high")]
    for metric in metrics_of:
        difference = np.subtract(*(scores_of.values(metric, labels, of) for of in (own, reference)))
        expected = uncertainty.paired_interval(difference, groups, overlap=0.5)
        found = [gap[metric], gap[f"{metric}_low"], gap[f"{metric}_high"]]
        assert found == pytest.approx(expected, abs=6e-5)


def test_a_class_of_few_texts_widens_the_interval_of_a_metric_in_which_it_counts_as_much():
    labels = (np.arange(100) < 5).astype(np.int8)
    right = judge(labels, np.tile(labels.astype(float), (3, 1)))
    gap = scores_of.compare(labels, right, right)
    # 1.96 / 102, and that by the root of the mean square of 100 / (2 x 5) and 100 / (2 x 95)
    assert gap["accuracy_high"] == pytest.approx(0.0192, abs=1e-4)
    for metric in ("roc_auc", "balanced_accuracy", "macro_f1"):
        assert gap[f"{metric}_high"] == pytest.approx(0.0192 * 7.0809, abs=1e-3)


def test_one_repeat_gives_no_interval():
    first, second = (judge(LABELS, PROBABILITIES[rows]) for rows in (slice(1), slice(1, 2)))
    assert scores_of.summarize(scores_of.score(LABELS, first))["accuracy_std"] is None
    gap = scores_of.compare(LABELS, second, first)
    assert gap["accuracy"] == 0.5
    assert gap["roc_auc"] == 0.25
    assert {gap[f"{of}_{end}"] for of in scores_of.COMPARED for end in ("low", "high")} == {None}


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
    counts = scores_of.confusion_counts(LABELS, judge(LABELS, PROBABILITIES))
    table = scores_of.confusion(counts, ["no", "yes"]).set_index(["actual", "predicted"])
    assert table["texts"].to_dict() == {
        ("no", "no"): 1.5, ("no", "yes"): 0.5, ("yes", "no"): 0.5, ("yes", "yes"): 1.5,
    }  # fmt: skip
    assert table["share"].tolist() == [0.75, 0.25, 0.25, 0.75]


def test_rarer_labels_are_merged_in_a_confusion_matrix():
    counts = np.array([[5.0, 1, 0, 2], [1, 1, 0, 0], [0, 3, 8, 1], [1, 0, 0, 2]])
    merged, names = scores_of.merge_rare(counts, ["a", "b", "c", "d"], 2)
    assert names == ["a", "c", scores_of.OTHERS]
    assert merged.tolist() == [[5, 0, 3], [0, 8, 4], [2, 0, 3]]
    assert scores_of.merge_rare(counts, ["a", "b", "c", "d"], 4)[0] is counts
    names = scores_of.merge_rare(counts, [scores_of.OTHERS, "b", "c", "d"], 2)[1]
    assert names == [scores_of.OTHERS, "c", f"{scores_of.OTHERS} (2)"]


def test_a_sure_mistake_costs_as_much_whichever_label_it_is_of():
    half = np.full(4, 0.5, np.float32)
    for row, sure in ((0, 1.0), (3, 0.0)):
        wrong = np.where(np.arange(4) == row, np.float32(sure), half)
        [loss] = scores_of.score(LABELS, judge(LABELS, wrong[None]))["log_loss"]
        assert loss == pytest.approx((3 * np.log(2) - np.log(1e-7)) / 4)


def of_three(n_texts=300, n_repeats=2):
    """Labels of three, one of them rare, and predictions that lean to the right one."""
    generator = np.random.default_rng(0)
    labels = generator.choice(3, n_texts, p=[0.6, 0.35, 0.05])
    probabilities = generator.dirichlet([1, 1, 1], (n_repeats, n_texts)) + np.eye(3)[labels] / 3
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    return labels, judge(labels, probabilities.astype(np.float32))


def test_many_labels_are_scored_as_scikit_learn_does():
    labels, judged = of_three()
    scores = scores_of.score(labels, judged)
    for row, of in zip(scores.itertuples(), judged.probabilities.astype(float), strict=True):
        of = of / of.sum(axis=1, keepdims=True)
        classes = of.argmax(axis=1)
        assert row.accuracy == metrics.accuracy_score(labels, classes)
        assert row.macro_f1 == metrics.f1_score(labels, classes, average="macro")
        assert row.log_loss == pytest.approx(metrics.log_loss(labels, of))
        areas = [metrics.roc_auc_score(labels == label, of[:, label]) for label in range(3)]
        assert row.roc_auc == pytest.approx(np.mean(areas))
        assert row.largest_share == np.bincount(classes).max() / len(labels)


def test_each_label_is_scored_by_its_name():
    labels, judged = of_three()
    table = scores_of.by_class(labels, judged, ["x", "y", "z"]).set_index("class")
    assert table["texts"].tolist() == np.bincount(labels).tolist()
    for name, label in (("x", 0), ("z", 2)):
        for column, metric in (
            ("precision", metrics.precision_score), ("recall", metrics.recall_score),
            ("f1", metrics.f1_score),
        ):  # fmt: skip
            expected = np.mean([metric(labels == label, of == label) for of in judged.classes])
            assert table.loc[name, column] == pytest.approx(expected, abs=1e-4)


def test_the_mean_roc_of_many_labels_keeps_the_mean_area_of_each_against_the_rest():
    labels, judged = of_three(3000)
    curve = scores_of.mean_roc(labels, judged)
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    assert area == pytest.approx(scores_of.score(labels, judged)["roc_auc"].mean(), abs=0.006)


def test_of_equal_probabilities_the_first_label_is_taken():
    assert judge(np.array([0, 1]), np.full((1, 2), 0.5)).classes.tolist() == [[0, 0]]
    tied = np.array([[[0.2, 0.4, 0.4], [0.4, 0.2, 0.4]]])
    assert judge(np.array([0, 1]), tied).classes.tolist() == [[1, 0]]


def test_the_predictions_of_many_labels_are_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels, judged = of_three(7)
    predictions.write(labels, {"b": judged.probabilities, "a": judged.probabilities[:, ::-1]})
    found, again = predictions.read(["a", "b"])
    assert found.tolist() == labels.tolist()
    assert again["b"].probabilities.tolist() == judged.probabilities.tolist()
    assert again["a"].probabilities.tolist() == judged.probabilities[:, ::-1].tolist()
    frame = pd.read_parquet(artifacts.PREDICTIONS).query("variant == 'b' and repeat == 1")
    assert np.stack(frame["probability"]).tolist() == judged.probabilities[1].tolist()


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
    gaps = scores_of.compare_all(LABELS, judged, None, 0.01)
    assert list(gaps) == ["worse-learned", "better-learned"]
    assert [gap["accuracy"] for gap in gaps.values()] == [-0.25, 0.25]


def test_the_best_is_compared_with_the_second_and_may_be_no_better_than_others():
    labels, better, worse = drawn(400)
    # The best's, but wrong about one text in a hundred.
    near = judge(labels, np.where(np.arange(400) % 100, better.probabilities, 1 - labels))
    judged = {"learned": worse, "near": near, "first": better}
    majority = float(labels.mean())
    found = scores_of.best(judged, majority, None, 0.01)
    assert [*found] == [
        "variant", "second", "accuracy", "accuracy_low", "accuracy_high", "undecided",
        "over_majority", "over_majority_low", "over_majority_high",
        "over_texts_low", "over_texts_high",
    ]  # fmt: skip
    assert (found["variant"], found["second"], found["undecided"]) == ("first", "near", ["near"])
    gap = scores_of.compare(labels, better, near, None, 0.01)
    above = paired_interval(better.right - majority, None, 0.01)
    for key in ("accuracy", "accuracy_low", "accuracy_high"):
        assert found[key] == gap[key]
    keys = "over_majority", "over_majority_low", "over_majority_high"
    assert [found[key] for key in keys] == pytest.approx(above, abs=5e-5)
    ends = interval_over_texts(better.right.mean(axis=0))
    assert (found["over_texts_low"], found["over_texts_high"]) == pytest.approx(ends, abs=5e-5)
    groups = np.arange(400) // 20
    grouped = scores_of.best(judged, majority, groups, 0.01)
    ends = interval_over_texts(better.right.mean(axis=0), groups)
    assert (grouped["over_texts_low"], grouped["over_texts_high"]) == pytest.approx(ends, abs=5e-5)
    assert (
        scores_of.best({"learned": worse, "first": better}, majority, None, 0.01)["undecided"] == []
    )
    alone = scores_of.best({"learned": worse}, majority, None, 0.01)
    assert (alone["variant"], alone["second"], alone["accuracy"]) == ("learned", None, None)
    once = {name: judge(labels, of.probabilities[:1]) for name, of in judged.items()}
    once = scores_of.best(once, majority, None, 0.01)
    assert once["accuracy_low"] is once["over_majority_low"] is None
    assert once["undecided"] == ["near", "learned"]
