"""Where the variants go wrong: reviews to read, probabilities to believe, lengths that are hard.

Probabilities are of label 1; (n_repeats, n_reviews) float32, as each repeat gave them.
"""

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve

CALIBRATION_BINS = 10
LENGTH_BINS = 5
MOST_CHARACTERS = 800  # of a review that is shown


def disagreements(
    labels: np.ndarray, learned: np.ndarray, other: np.ndarray, name: str, n_each: int
) -> pd.DataFrame:
    """Find the reviews on which `learned` and another disagree most, `n_each` of each kind at most.

    `name` is the other's. Returns kind, review, label, learned, other: the latter two are means
    over the repeats.
    """
    table = pd.DataFrame(
        {
            "review": np.arange(len(labels)),
            "label": labels,
            "learned": learned.mean(axis=0),
            "other": other.mean(axis=0),
        }
    )
    right = {column: (table[column] > 0.5) == table["label"] for column in ("learned", "other")}
    apart = (table["learned"] - table["other"]).abs().sort_values(ascending=False).index
    kinds = {
        f"{name} right, learned wrong": right["other"] & ~right["learned"],
        f"learned right, {name} wrong": right["learned"] & ~right["other"],
    }
    parts = {kind: table.loc[apart[chosen[apart]][:n_each]] for kind, chosen in kinds.items()}
    return pd.concat(parts, names=["kind"]).reset_index("kind").round(4)


def ending(text: str) -> str:
    """Cut a text to its last MOST_CHARACTERS, from the beginning of a word."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return "…" + text[-MOST_CHARACTERS:].partition(" ")[2]


def calibration(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Compare predicted with true shares, pooled over repeats: predicted, positive.

    The bins hold equally many predictions: `predicted` is their mean, `positive` the share of
    label 1 among them.
    """
    positive, predicted = calibration_curve(
        np.tile(labels, len(probabilities)), probabilities.ravel(),
        n_bins=CALIBRATION_BINS, strategy="quantile",
    )  # fmt: skip
    return pd.DataFrame({"predicted": predicted, "positive": positive}).round(4)


def by_length(n_words: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Average the accuracy over reviews of like length: words_from, words_to, reviews, accuracy.

    n_words (n_reviews,) int; the bins hold about equally many reviews, and both ends belong to one.
    """
    correct = ((probabilities > 0.5) == labels).mean(axis=0)
    table = pd.DataFrame({"words": n_words, "correct": correct})
    ends = np.quantile(n_words, np.arange(1, LENGTH_BINS) / LENGTH_BINS, method="lower")
    bins = table.groupby(np.searchsorted(np.unique(ends), n_words)).agg(
        words_from=("words", "min"), words_to=("words", "max"),
        reviews=("words", "size"), accuracy=("correct", "mean"),
    )  # fmt: skip
    return bins.reset_index(drop=True).round(4)
