"""Metrics of each variant on the test split, and how each compares with the reference.

Labels are (n_texts,) int; predictions come as `stages.shared.predictions` judges them.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

from stages.evaluate import per_text
from stages.evaluate.uncertainty import interval_over_texts, paired_interval
from stages.shared.evidence import REFERENCE
from stages.shared.predictions import Judged
from stages.shared.text import distinct

DIGITS = 4  # of a metric: repeats differ in the second digit
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc")
# The metrics in which variants are compared: what each text adds to them.
COMPARED: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "accuracy": per_text.accuracy,
    "roc_auc": per_text.roc_auc,
    "balanced_accuracy": per_text.balanced_accuracy,
    "macro_f1": per_text.macro_f1,
}
OTHERS = "(other)"  # the rarer labels together
LEAST = 1e-7  # of a probability, as Keras clips it before it takes the logarithm
ROC_POINTS = 101  # false positive rates, evenly spaced, at which a mean ROC is given


def score(labels: np.ndarray, judged: Judged) -> pd.DataFrame:
    """Score the repeats of a variant, one row each, a column for each metric.

    These are SCORES, and largest_share: the share of the predictions that give the label that is
    predicted most.
    """
    probabilities = np.clip(judged.probabilities.astype(np.float64), LEAST, 1 - LEAST)
    if many := probabilities.ndim == 3:
        probabilities /= probabilities.sum(axis=2, keepdims=True)  # of float32 it is not quite 1
    return pd.DataFrame(
        {
            "accuracy": right.mean(),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, classes),
            "macro_f1": metrics.f1_score(labels, classes, average="macro"),
            "log_loss": metrics.log_loss(labels, repeat),
            "roc_auc": metrics.roc_auc_score(
                labels, repeat, multi_class="ovr" if many else "raise"
            ),
            "largest_share": np.bincount(classes).max() / len(labels),
        }
        for repeat, classes, right in zip(probabilities, judged.classes, judged.right, strict=True)
    )


def summarize(scores: pd.DataFrame) -> dict[str, float | None]:
    """Average the repeats of a variant; accuracy_std is None where there is one repeat only."""
    means = scores.mean().to_dict()
    spread = float(scores["accuracy"].std()) if len(scores) > 1 else None
    return rounded({"accuracy": means.pop("accuracy"), "accuracy_std": spread} | means)


def compare_all(
    labels: np.ndarray, judged: dict[str, Judged], groups: np.ndarray | None, overlap: float
) -> dict[str, dict[str, float | None]]:
    """Compare every other variant with the reference, by `<variant>-<reference>`."""
    return {
        f"{name}-{REFERENCE}": compare(labels, own, judged[REFERENCE], groups, overlap)
        for name, own in judged.items()
        if name != REFERENCE
    }


def compare(
    labels: np.ndarray,
    own: Judged,
    reference: Judged,
    groups: np.ndarray | None = None,
    overlap: float = 0.0,
) -> dict[str, float | None]:
    """Compare two variants: the gap in each of COMPARED, and how sure it is.

    The intervals speak of other draws and other test texts; with one repeat their ends are None.
    groups and overlap as in `paired_interval`.
    """
    row = {}
    for metric in COMPARED:
        difference = values(metric, labels, own) - values(metric, labels, reference)
        # Where all classes count as much, so does a text that is added, whatever its class.
        weights = np.ones(1) if metric == "accuracy" else per_text.class_weights(labels)
        added = float(np.sqrt((weights**2).mean()))
        row |= ends(metric, paired_interval(difference, groups, overlap, added))
    return row


def values(metric: str, labels: np.ndarray, judged: Judged) -> np.ndarray:
    """Spread one of COMPARED over the texts: (n_repeats, n_texts) float64, its mean the metric."""
    predicted = judged.probabilities if metric == "roc_auc" else judged.classes
    return COMPARED[metric](labels, predicted)


def weights_of(metric: str, labels: np.ndarray) -> np.ndarray:
    """Say how much each text counts in one of COMPARED: (n_texts,) float64, its mean 1."""
    if metric == "accuracy":
        return np.ones(len(labels))
    return per_text.class_weights(labels)[labels]


def ends(
    metric: str, interval: tuple[float | None, float | None, float | None]
) -> dict[str, float | None]:
    """Name a gap in a metric and the ends of its interval, rounded."""
    gap, low, high = interval
    # Of many texts an interval may be narrower than the last of DIGITS.
    digits = DIGITS
    if low is not None and high is not None:
        digits = max(DIGITS, 1 - math.floor(math.log10(high - low)))
    return rounded({metric: gap, f"{metric}_low": low, f"{metric}_high": high}, digits)


def best(
    judged: dict[str, Judged], majority: float, groups: np.ndarray | None, overlap: float
) -> dict[str, Any]:
    """Compare the variant of the highest accuracy with the second, and with all others.

    `majority` is the accuracy of always saying the most frequent label. Returns
    - `variant` and `second`, their gap in accuracy with its interval, None without a second;
    - `undecided`: the others than which the first is not significantly more accurate;
    - `over_majority`: the accuracy of the first less that, likewise: the interval is one of the
      first alone, as a test split has its labels in proportions that are not left to chance;
    - `over_texts_low`, `over_texts_high`: the interval of its accuracy over test texts alone.
    """
    first, *others = sorted(judged, key=lambda name: -judged[name].right.mean())
    right = judged[first].right.astype(np.float64)
    gaps = {name: paired_interval(right - judged[name].right, groups, overlap) for name in others}
    low, high = interval_over_texts(right.mean(axis=0), groups)
    return {
        "variant": first,
        "second": others[0] if others else None,
        **ends("accuracy", gaps[others[0]] if others else (None, None, None)),
        "undecided": [name for name, (_, low, _) in gaps.items() if low is None or low <= 0],
        **ends("over_majority", paired_interval(right - majority, groups, overlap)),
        **rounded({"over_texts_low": low, "over_texts_high": high}),
    }


def rounded(row: dict[str, float | None], digits: int = DIGITS) -> dict[str, float | None]:
    """Round the numbers, and leave None as it is."""
    return {
        key: value if value is None else round(float(value), digits) for key, value in row.items()
    }


def mean_roc(labels: np.ndarray, judged: Judged) -> pd.DataFrame:
    """Average the ROC curves of the repeats vertically (Fawcett, 2006, algorithm 3).

    Of more than two labels, the curves of each against the rest too. Returns false_positive_rate
    and true_positive_rate at ROC_POINTS even steps.
    """
    grid, curves = np.linspace(0, 1, ROC_POINTS), []
    for repeat in judged.probabilities:
        for label in range(repeat.shape[1]) if repeat.ndim == 2 else [1]:
            scores = repeat[:, label] if repeat.ndim == 2 else repeat
            curve = metrics.roc_curve(labels == label, scores)[:2]
            curves.append(np.interp(grid, *curve))
    mean = np.mean(curves, axis=0)
    mean[0] = 0
    return pd.DataFrame({"false_positive_rate": grid, "true_positive_rate": mean}).round(DIGITS)


def by_class(labels: np.ndarray, judged: Judged, names: list[str]) -> pd.DataFrame:
    """Score each label of a variant: class (its name), texts, and precision, recall, f1.

    These are means over the repeats. The precision of a label that is never predicted is 0.
    """
    scored = [
        metrics.precision_recall_fscore_support(labels, classes, zero_division=0)
        for classes in judged.classes
    ]
    precision, recall, f1, texts = np.mean(scored, axis=0)
    columns = {"class": names, "texts": texts.astype(int)}
    columns |= {"precision": precision, "recall": recall, "f1": f1}
    return pd.DataFrame(columns).round(DIGITS)


def confusion_counts(labels: np.ndarray, judged: Judged) -> np.ndarray:
    """Count the texts of each label by their class, (n_labels, n_labels) float, mean of repeats."""
    return np.mean([metrics.confusion_matrix(labels, of) for of in judged.classes], axis=0)


def merge_rare(counts: np.ndarray, names: list[str], n_kept: int) -> tuple[np.ndarray, list[str]]:
    """Keep the n_kept labels of the most texts in confusion counts, and merge the others in one."""
    if len(names) <= n_kept:
        return counts, names
    kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:n_kept])
    place = np.full(len(names), n_kept)
    place[kept] = np.arange(n_kept)
    merged = np.zeros((n_kept + 1, n_kept + 1))
    np.add.at(merged, (place[:, None], place[None]), counts)
    return merged, distinct([*(names[label] for label in kept), OTHERS])


def confusion(counts: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Tabulate confusion counts: actual, predicted, texts, share.

    `share` is that of all texts with that actual label.
    """
    actual, predicted = (np.array(names, object)[of].ravel() for of in np.indices(counts.shape))
    shares = counts / counts.sum(axis=1, keepdims=True)
    columns = {"actual": actual, "predicted": predicted}
    columns |= {"texts": counts.ravel(), "share": shares.ravel()}
    return pd.DataFrame(columns).round(DIGITS)


def mean_history(history: pd.DataFrame) -> pd.DataFrame:
    """Average the repeats of a training history: split, epoch, loss, accuracy."""
    means = history.groupby("epoch").mean().drop(columns="repeat").reset_index()
    validation = {"val_loss": "loss", "val_accuracy": "accuracy"}
    splits = {
        "train": means[["epoch", "loss", "accuracy"]],
        "validation": means[["epoch", *validation]].rename(columns=validation),
    }
    return pd.concat(splits, names=["split"]).reset_index("split").dropna().round(6)
