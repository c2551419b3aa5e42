"""How sure a difference in accuracy is: over other draws to train on, and other reviews to test on.

In: which reviews two variants got right, repeat by repeat. Out: an interval, and a second opinion.
"""

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def paired_interval(
    correct: np.ndarray, reference: np.ndarray
) -> tuple[float, float | None, float | None]:
    """Estimate the gap between two variants, and its 95 % interval; with one repeat there is none.

    Both arguments are (n_repeats, n_reviews) bool: repeat r trains both on the same draw, and every
    repeat is scored on the same reviews. So each difference has an effect of its repeat and one of
    its review, d[r, i] = gap + a[r] + b[i] + e[r, i], both taken at random. With the mean squares
    of repeats, reviews and residual of the two-way analysis of variance,

        variance of the mean = (ms_repeat + max(ms_review - ms_residual, 0)) / (n_repeats n_reviews)

    to which Student's t applies with the degrees of freedom that Hillis calls ddf_H, "A comparison
    of denominator degrees of freedom methods for multiple observer ROC analysis", Statistics in
    Medicine 26 (2007), 596-619: (ms_repeat + max(...))^2 / (ms_repeat^2 / (n_repeats - 1)).

    Where two variants differ on few reviews, or on none, that would say too much. So the interval
    is never narrower than what the reviews alone allow, of which two are added, half a review to
    each way in which a pair can come out: Agresti and Min, "Simple improved confidence intervals
    for comparing matched proportions", Statistics in Medicine 24 (2005), 729-740.
    """
    difference = correct.astype(np.float64) - reference
    n_repeats, n_reviews = difference.shape
    gap = difference.mean()
    if n_repeats == 1:
        return gap, None, None
    by_repeat = difference.mean(axis=1, keepdims=True) - gap
    by_review = difference.mean(axis=0, keepdims=True) - gap
    residual = difference - gap - by_repeat - by_review
    ms_repeat = n_reviews * (by_repeat**2).sum() / (n_repeats - 1)
    ms_review = n_repeats * (by_review**2).sum() / (n_reviews - 1)
    ms_residual = (residual**2).sum() / ((n_repeats - 1) * (n_reviews - 1))
    total = ms_repeat + max(ms_review - ms_residual, 0)
    # If every repeat has the same gap, the reviews are all that varies.
    degrees = total**2 * (n_repeats - 1) / ms_repeat**2 if ms_repeat else n_reviews - 1
    half = np.sqrt(total / (n_repeats * n_reviews)) * stats.t.ppf((1 + CONFIDENCE) / 2, degrees)
    squares = (difference.mean(axis=0) ** 2).sum() + 1 - n_reviews * gap**2
    least = np.sqrt(squares) / (n_reviews + 2) * stats.norm.ppf((1 + CONFIDENCE) / 2)
    half = max(half, least)
    return gap, max(gap - half, -1.0), min(gap + half, 1.0)


def mcnemar(correct: np.ndarray, reference: np.ndarray) -> float:
    """Exact test of McNemar (Psychometrika 12, 1947, 153-157): the p-value of no difference.

    Both arguments are (n_reviews,) bool; only reviews that one of the two gets right tell.
    """
    only, only_reference = np.sum(correct & ~reference), np.sum(reference & ~correct)
    n_discordant = int(only + only_reference)
    return stats.binomtest(int(only), n_discordant).pvalue if n_discordant else 1.0
