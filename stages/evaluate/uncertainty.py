"""How sure a difference is: over other draws to train on, and over other texts to test on.

In: what each text adds to a metric, one variant less another, repeat by repeat. Out: an interval
of the mean difference.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from stages.shared.evidence import CONFIDENCE, MUCH_OVERLAP


@dataclass(frozen=True)
class Spread:
    """How much differences vary, and so how wide their interval is with any number of repeats.

    The mean squares are those of `paired_interval`; `of_texts` is (ms_text - ms_residual) /
    n_repeats, which estimates the variance of a text's effect, and may come out below zero.
    """

    ms_repeat: float
    of_texts: float
    ms_residual: float
    n_texts: float
    n_groups: float  # as many as texts where there are no groups
    z: float  # the quantile for the part of the texts
    overlap: float
    added: float

    @property
    def shared(self) -> float:
        """What draws that overlap add to 1 / n_repeats in the part of the repeats."""
        return self.overlap / (1 - self.overlap) if MUCH_OVERLAP < self.overlap < 1 else 0.0

    def half_width(self, n_repeats: float) -> float:
        """Give half the width of the interval with so many repeats, which may be infinite."""
        if self.n_groups == 1:
            return np.inf
        t, size = quantile(n_repeats - 1), self.n_texts / self.n_groups
        total = t**2 * self.ms_repeat * (1 / n_repeats + self.shared)
        total += self.z**2 * max(self.of_texts, 0)
        by_text = max(self.of_texts + self.ms_residual / n_repeats, 0)  # ms_text / n_repeats
        by_text *= self.n_texts * (1 - 1 / self.n_groups)
        least = self.z * np.sqrt(by_text + (self.added * size) ** 2) / (self.n_texts + 2 * size)
        return max(float(np.sqrt(total / self.n_texts)), float(least))


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
    gap, n_repeats = float(difference.mean()), len(difference)
    if n_repeats == 1:
        return gap, None, None
    half = spread(difference, groups, overlap, added).half_width(n_repeats)
    return gap, max(gap - half, -1.0), min(gap + half, 1.0)


def spread(
    difference: np.ndarray,
    groups: np.ndarray | None = None,
    overlap: float = 0.0,
    added: float = 1.0,
) -> Spread:
    """Estimate how much differences vary, of two repeats and more, as for `paired_interval`."""
    n_repeats, n_texts = difference.shape
    gap = difference.mean()
    by_repeat = difference.mean(axis=1, keepdims=True) - gap
    by_text = difference.mean(axis=0, keepdims=True) - gap
    residual = group_sums(difference - gap - by_repeat - by_text, groups)
    texts = group_sums(by_text, groups)
    n_groups = texts.shape[1]
    of_group = n_groups / max(n_groups - 1, 1) / n_texts
    ms_residual = of_group * (residual**2).sum() / (n_repeats - 1)
    return Spread(
        ms_repeat=n_texts * (by_repeat**2).sum() / (n_repeats - 1),
        of_texts=of_group * (texts**2).sum() - ms_residual / n_repeats,
        ms_residual=ms_residual,
        n_texts=n_texts,
        n_groups=n_groups,
        z=text_quantile(n_texts, groups),
        overlap=overlap,
        added=added,
    )


def interval_over_texts(
    added: np.ndarray, groups: np.ndarray | None = None, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Give the 95 % interval of a metric over other test texts, draws left as they are.

    added (n_texts,) float: what each text adds to a metric between 0 and 1, its mean; groups as
    for `paired_interval`; weights (n_texts,): how much each text counts, 1 if not given. It is
    Wilson's score interval for an effective number of texts: as many as vary as much if they are
    independent (Korn and Graubard, "Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data", Survey Methodology 24 (1998), 193-201),
    at most as many as the weights are worth. If groups don't differ, or there is one alone, it is
    as many as their weights are worth.
    """
    n_texts, mean = len(added), float(np.clip(added.mean(), 0, 1))
    of_groups = group_sums((added - added.mean())[None], groups)
    n_groups = of_groups.shape[1]
    variance = float((of_groups**2).sum()) / n_texts**3 * (n_texts - 1)
    variance *= n_groups / max(n_groups - 1, 1)
    weights = np.ones(n_texts) if weights is None else weights
    if variance > 0 and n_groups > 1:
        effective = min(mean * (1 - mean) / variance, effective_number(weights))
    else:
        effective = effective_number(group_sums(weights[None], groups))
    z = text_quantile(n_texts, groups)
    share = z**2 / effective
    half = z * np.sqrt(mean * (1 - mean) / effective + share / (4 * effective))
    low, high = ((mean + share / 2 + side * half) / (1 + share) for side in (-1, 1))
    return float(max(low, 0)), float(min(high, 1))


def effective_number(weights: np.ndarray) -> float:
    """Say how many equal weights are worth as much (Kish, Survey Sampling, 1965, 8.2)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


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
    return quantile(max(effective_number(sizes) - 1, 1))


@cache
def quantile(degrees: float) -> float:
    """Give the quantile of Student's t that CONFIDENCE asks for; infinite degrees are normal."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))
