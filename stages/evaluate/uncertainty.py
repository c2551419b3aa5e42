"""How sure a difference is: over other draws to train on, and over other texts to test on.

In: what each text adds to a metric, one variant less another, repeat by repeat. Out: an interval
of the mean difference.
"""

from functools import cache

import numpy as np
from scipy import stats

from stages.shared.evidence import CONFIDENCE, MUCH_OVERLAP


def paired_interval(
    difference: np.ndarray,
    groups: np.ndarray | None = None,
    overlap: float = 0.0,
    added: float = 1.0,
) -> tuple[float, float | None, float | None]:
    """Estimate the gap between two variants, and its 95 % interval; with one repeat there is none.

    difference (n_repeats, n_texts) float: what each text adds to a metric of one variant
    (`stages.evaluate.per_text`), less the same of another; its mean is the gap. Repeat r trains
    both on the same draw, and every repeat is scored on the same texts. So each difference has an
    effect of its repeat and one of its text, d[r, i] = gap + a[r] + b[i] + e[r, i], both taken at
    random. With the mean squares of the two-way analysis of variance,

        half-width = sqrt((t² ms_repeat + z² max(ms_text - ms_residual, 0)) / (n_repeats n_texts))

    where t is Student's of n_repeats - 1 degrees and z is normal. Each part of the variance has a
    quantile of its own, as in Graybill and Wang, "Confidence intervals on nonnegative linear
    combinations of variances", Journal of the American Statistical Association 75 (1980), 869-873.

    groups (n_texts,) int, every number from 0 on: texts of one number are taken together. Their
    effects are summed before they are squared, and z is Student's, of the effective number of
    groups less 1: see `text_quantile`. One group alone says nothing of others, so the interval is
    all that there is.

    overlap: the share of the train split that each draw holds. Above MUCH_OVERLAP and below 1, in
    the part of the repeats 1 / n_repeats becomes 1 / n_repeats + overlap / (1 - overlap): Nadeau
    and Bengio, "Inference for the generalization error", Machine Learning 52 (2003), 239-281.

    If two variants differ on few texts, or on none, this interval is too narrow. So it is never
    narrower than the one for the texts alone, with two texts added, half a text to each of the
    four outcomes of a pair: Agresti and Min, "Simple improved confidence intervals for comparing
    matched proportions", Statistics in Medicine 24 (2005), 729-740. `added` is how much such a
    text counts: 1 in the accuracy.
    """
    n_repeats, n_texts = difference.shape
    gap = float(difference.mean())
    if n_repeats == 1:
        return gap, None, None
    by_repeat = difference.mean(axis=1, keepdims=True) - gap
    by_text = difference.mean(axis=0, keepdims=True) - gap
    residual = group_sums(difference - gap - by_repeat - by_text, groups)
    texts = group_sums(by_text, groups)
    n_groups = texts.shape[1]
    if n_groups == 1:
        return gap, -1.0, 1.0

    of_group = n_groups / (n_groups - 1) / n_texts
    ms_repeat = n_texts * (by_repeat**2).sum() / (n_repeats - 1)
    ms_text = n_repeats * of_group * (texts**2).sum()
    ms_residual = of_group * (residual**2).sum() / (n_repeats - 1)
    if MUCH_OVERLAP < overlap < 1:
        ms_repeat *= 1 + n_repeats * overlap / (1 - overlap)
    t, z = quantile(n_repeats - 1), text_quantile(n_texts, groups)
    total = t**2 * ms_repeat + z**2 * max(ms_text - ms_residual, 0)
    size = n_texts / n_groups
    least = z * np.sqrt((texts**2).sum() + (added * size) ** 2) / (n_texts + 2 * size)
    half = max(float(np.sqrt(total / (n_repeats * n_texts))), float(least))
    return gap, max(gap - half, -1.0), min(gap + half, 1.0)


def group_sums(effects: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Sum each row of (n, n_texts) over the texts of a group: (n, n_groups)."""
    if groups is None:
        return effects
    return np.stack([np.bincount(groups, row) for row in effects])


def text_quantile(n_texts: int, groups: np.ndarray | None) -> float:
    """Give the quantile for the spread of texts: normal, or Student's where groups are taken.

    Its degrees are the effective number of groups, n_texts² / (sum of their squared sizes), less
    1: Carter, Schnepel and Steigerwald, "Asymptotic behavior of a t-test robust to cluster
    heterogeneity", Review of Economics and Statistics 99 (2017), 698-709.
    """
    if groups is None or len(sizes := np.bincount(groups)) == n_texts:
        return quantile(np.inf)
    return quantile(max(n_texts**2 / (sizes**2).sum() - 1, 1))


@cache
def quantile(degrees: float) -> float:
    """Give the quantile of Student's t that CONFIDENCE asks for; infinite degrees are normal."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))
