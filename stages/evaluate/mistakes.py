"""Where variants are wrong: on which texts, at which probabilities, at which lengths.

Predictions come as `stages.shared.predictions` judges them.
"""

import unicodedata
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve

from stages.shared.evidence import REFERENCE
from stages.shared.predictions import Judged

CALIBRATION_BINS = 10
LENGTH_BINS = 5
SHOWN = 10  # texts of each kind of disagreement
MOST_CHARACTERS = 800  # of a text that is shown
LONGEST_WORD = 40  # characters; where so many have no blank among them, a text is cut anywhere


def tables(
    labels: np.ndarray,
    judged: dict[str, Judged],
    read_texts: Callable[[np.ndarray], list[str]],
    n_words: np.ndarray,
) -> dict[str, dict[str, pd.DataFrame]]:
    """Tabulate calibration, accuracy by length, and where the reference and another disagree.

    read_texts reads the texts of some rows; n_words, how many words each has, is (n_texts,). Each
    variant has a table of each kind, but only the first other one has disagreements.
    """
    found = {
        "calibration": {of: calibration(own) for of, own in judged.items()},
        "lengths": {of: by_length(n_words, own) for of, own in judged.items()},
    }
    others = [name for name in judged if name != REFERENCE]
    if others:
        name = others[0]
        shown = disagreements(labels, judged[REFERENCE], judged[name], name, SHOWN)
        shown["text"] = [ending(text) for text in read_texts(shown["row"].to_numpy())]
        found["disagreements"] = {name: shown}
    return found


def disagreements(
    labels: np.ndarray, learned: Judged, other: Judged, name: str, n_each: int
) -> pd.DataFrame:
    """Find the texts on which `learned` and another disagree most, `n_each` of each kind at most.

    `name` is the other's. Returns kind, row (of the split), label, learned, other: the latter two
    are the probabilities of the label, means over the repeats.
    """
    table = pd.DataFrame(
        {
            "row": np.arange(len(labels)),
            "label": labels,
            "learned": learned.own.mean(axis=0),
            "other": other.own.mean(axis=0),
        }
    )
    apart = (table["learned"] - table["other"]).abs().sort_values(ascending=False).index
    kinds = {
        f"{name} right, learned wrong": other.pooled & ~learned.pooled,
        f"learned right, {name} wrong": learned.pooled & ~other.pooled,
    }
    parts = {kind: table.loc[apart[chosen[apart]][:n_each]] for kind, chosen in kinds.items()}
    return pd.concat(parts, names=["kind"]).reset_index("kind").round(4)


def ending(text: str) -> str:
    """Cut a text to its last MOST_CHARACTERS, from the beginning of a word or of a character."""
    if len(text) <= MOST_CHARACTERS:
        return text
    end = text[-MOST_CHARACTERS:]
    if " " in end[:LONGEST_WORD]:
        return "…" + end.partition(" ")[2]
    is_mark = (unicodedata.category(character)[0] == "M" for character in end)
    first = next((i for i, of_another in enumerate(is_mark) if not of_another), 0)
    return "…" + end[first:]


def calibration(judged: Judged) -> pd.DataFrame:
    """Compare the probability of what is predicted with how often it is right, in each repeat.

    Returns repeat, predicted, right. The bins of a repeat hold equally many texts: `predicted` is
    the mean probability of their classes, `right` the share that is right.
    """
    curves = {}
    for repeat, (right, top) in enumerate(zip(judged.right, judged.top, strict=True)):
        share, predicted = calibration_curve(
            right.astype(int),
            top.astype(float),
            n_bins=CALIBRATION_BINS,
            strategy="quantile",
            pos_label=1,
        )
        curves[repeat] = pd.DataFrame({"predicted": predicted, "right": share})
    return pd.concat(curves, names=["repeat"]).reset_index("repeat").round(4)


def by_length(n_words: np.ndarray, judged: Judged) -> pd.DataFrame:
    """Average the accuracy over texts of like length: words_from, words_to, texts, accuracy.

    n_words (n_texts,) int; the bins hold about equally many texts, and include both their ends.
    """
    table = pd.DataFrame({"words": n_words, "correct": judged.right.mean(axis=0)})
    ends = np.quantile(n_words, np.arange(1, LENGTH_BINS) / LENGTH_BINS, method="lower")
    bins = table.groupby(np.searchsorted(np.unique(ends), n_words)).agg(
        words_from=("words", "min"), words_to=("words", "max"),
        texts=("words", "size"), accuracy=("correct", "mean"),
    )  # fmt: skip
    return bins.reset_index(drop=True).round(4)
