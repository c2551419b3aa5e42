"""Metrics of each variant on the test split, and how each compares with the reference.

Labels are (n_texts,) int8; predictions come as `stages.shared.predictions` judges them.
"""

import math

import numpy as np
import pandas as pd
from sklearn import metrics

from stages.evaluate.uncertainty import mcnemar, paired_interval
from stages.shared.evidence import REFERENCE
from stages.shared.predictions import Judged

DIGITS = 4  # of a metric: repeats differ in the second digit
ROC_POINTS = 101  # false positive rates, evenly spaced, at which a mean ROC is given


def score(labels: np.ndarray, judged: Judged) -> pd.DataFrame:
    """Score the repeats of a variant, one row each, a column for each metric.

    These are accuracy, balanced_accuracy, log_loss, roc_auc, and largest_share: the share of the
    predictions that give the label that is predicted most.
    """
    probabilities = judged.probabilities.astype(np.float64)
    return pd.DataFrame(
        {
            "accuracy": right.mean(),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, classes),
            "log_loss": metrics.log_loss(labels, repeat),
            "roc_auc": metrics.roc_auc_score(labels, repeat),
            "largest_share": np.bincount(classes).max() / len(labels),
        }
        for repeat, classes, right in zip(probabilities, judged.classes, judged.right, strict=True)
    )


def summarize(scores: pd.DataFrame) -> dict[str, float | None]:
    """Average the repeats of a variant; accuracy_std is None where there is one repeat only."""
    spread = float(scores["accuracy"].std()) if len(scores) > 1 else None
    return rounded(scores.mean().to_dict() | {"accuracy_std": spread})


def compare_all(judged: dict[str, Judged]) -> dict[str, dict]:
    """Compare every other variant with the reference, by `<variant>-<reference>`."""
    return {
        f"{name}-{REFERENCE}": compare(own, judged[REFERENCE])
        for name, own in judged.items()
        if name != REFERENCE
    }


def compare(own: Judged, reference: Judged) -> dict[str, float | None]:
    """Compare two variants: the gap in accuracy, and how sure it is.

    The interval allows for other draws and other test texts; with one repeat its ends are None.
    McNemar's test takes each variant's mean probability over the repeats.
    """
    gap, low, high = paired_interval(own.right, reference.right)
    # With many texts an interval may be too narrow for DIGITS digits.
    digits = DIGITS
    if low is not None and high is not None:
        digits = max(DIGITS, 1 - math.floor(math.log10(high - low)))
    row = rounded({"accuracy": gap, "accuracy_low": low, "accuracy_high": high}, digits)
    return row | {"mcnemar_p": float(f"{mcnemar(own.pooled, reference.pooled):.2g}")}


def rounded(row: dict[str, float | None], digits: int = DIGITS) -> dict[str, float | None]:
    """Round the numbers, and leave None as it is."""
    return {
        key: value if value is None else round(float(value), digits) for key, value in row.items()
    }


def mean_roc(labels: np.ndarray, judged: Judged) -> pd.DataFrame:
    """Average the ROC curves of the repeats vertically (Fawcett, 2006, algorithm 3).

    Returns false_positive_rate and true_positive_rate at ROC_POINTS even steps.
    """
    grid = np.linspace(0, 1, ROC_POINTS)
    curves = [metrics.roc_curve(labels, repeat)[:2] for repeat in judged.probabilities]
    mean = np.mean([np.interp(grid, *curve) for curve in curves], axis=0)
    mean[0] = 0
    return pd.DataFrame({"false_positive_rate": grid, "true_positive_rate": mean}).round(DIGITS)


def mean_confusion(labels: np.ndarray, judged: Judged) -> pd.DataFrame:
    """Average the confusion matrices of the repeats: actual, predicted, texts, share.

    `texts` is a mean count, `share` is its share of all texts with that actual label.
    """
    counts = np.mean([metrics.confusion_matrix(labels, of) for of in judged.classes], axis=0)
    actual, predicted = np.indices(counts.shape)
    shares = counts / counts.sum(axis=1, keepdims=True)
    columns = {"actual": actual, "predicted": predicted, "texts": counts, "share": shares}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}).round(DIGITS)


def mean_history(history: pd.DataFrame) -> pd.DataFrame:
    """Average the repeats of a training history: split, epoch, loss, accuracy."""
    means = history.groupby("epoch").mean().drop(columns="repeat").reset_index()
    validation = {"val_loss": "loss", "val_accuracy": "accuracy"}
    splits = {
        "train": means[["epoch", "loss", "accuracy"]],
        "validation": means[["epoch", *validation]].rename(columns=validation),
    }
    return pd.concat(splits, names=["split"]).reset_index("split").dropna().round(6)
