"""How sure a difference in accuracy is: over other draws to train on, and other texts to test on.

In: which texts two variants got right, repeat by repeat. Out: an interval, and a second opinion.
"""

import numpy as np
from scipy import stats

from stages.shared.evidence import CONFIDENCE


def paired_interval(
    correct: np.ndarray, reference: np.ndarray
) -> tuple[float, float | None, float | None]:
    """Estimate the gap between two variants, and its 95 % interval; with one repeat there is none.

    Both arguments are (n_repeats, n_texts) bool: repeat r trains both on the same draw, and every
    repeat is scored on the same texts. So each difference has an effect of its repeat and one of
    its text, d[r, i] = gap + a[r] + b[i] + e[r, i], both taken at random. With the mean squares
    of repeats, texts and residual of the two-way analysis of variance,

        variance of the mean = (ms_repeat + max(ms_text - ms_residual, 0)) / (n_repeats n_texts)

    to which Student's t applies with the degrees of freedom that Hillis calls ddf_H, "A comparison
    of denominator degrees of freedom methods for multiple observer ROC analysis", Statistics in
    Medicine 26 (2007), 596-619: (ms_repeat + max(...))^2 / (ms_repeat^2 / (n_repeats - 1)).

    If two variants differ on few texts, or on none, this interval is too narrow. So it is never
    narrower than the one for the texts alone, with two texts added, half a text to each of the
    four outcomes of a pair: Agresti and Min, "Simple improved confidence intervals for comparing
    matched proportions", Statistics in Medicine 24 (2005), 729-740.
    """
    difference = correct.astype(np.float64) - reference
    n_repeats, n_texts = difference.shape
    gap = difference.mean()
    if n_repeats == 1:
        return gap, None, None
    by_repeat = difference.mean(axis=1, keepdims=True) - gap
    by_text = difference.mean(axis=0, keepdims=True) - gap
    residual = difference - gap - by_repeat - by_text
    ms_repeat = n_texts * (by_repeat**2).sum() / (n_repeats - 1)
    ms_text = n_repeats * (by_text**2).sum() / (n_texts - 1)
    ms_residual = (residual**2).sum() / ((n_repeats - 1) * (n_texts - 1))
    total = ms_repeat + max(ms_text - ms_residual, 0)
    # If every repeat has the same gap, the texts are all that varies.
    degrees = total**2 * (n_repeats - 1) / ms_repeat**2 if ms_repeat else n_texts - 1
    half = np.sqrt(total / (n_repeats * n_texts)) * stats.t.ppf((1 + CONFIDENCE) / 2, degrees)
    squares = (difference.mean(axis=0) ** 2).sum() + 1 - n_texts * gap**2
    least = np.sqrt(squares) / (n_texts + 2) * stats.norm.ppf((1 + CONFIDENCE) / 2)
    half = max(half, least)
    return gap, max(gap - half, -1.0), min(gap + half, 1.0)


def mcnemar(correct: np.ndarray, reference: np.ndarray) -> float:
    """Exact test of McNemar (Psychometrika 12, 1947, 153-157): the p-value of no difference.

    Both arguments are (n_texts,) bool; only texts that exactly one of the two gets right count.
    """
    only, only_reference = np.sum(correct & ~reference), np.sum(reference & ~correct)
    n_discordant = int(only + only_reference)
    return stats.binomtest(int(only), n_discordant).pvalue if n_discordant else 1.0
