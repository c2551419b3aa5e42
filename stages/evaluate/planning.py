"""What a further study is worth: by how much, and how often, a gap in accuracy would show again.

In: which texts each variant labels right, repeat by repeat. Out: of two variants, the chance that
the first wins one further draw, the smallest gap that could be found, and how many draws or test
texts a half-width takes. All rests on the spread that was measured.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import optimize, stats

from stages.evaluate.uncertainty import Spread, spread
from stages.shared.evidence import REFERENCE
from stages.shared.predictions import Judged

HALF_WIDTH = 0.01  # of an interval that is worth planning for: one point of accuracy
POWER = 0.8  # of studies that find the smallest gap
STEPS = 2000  # at which the distribution of ms_repeat is evaluated
MOST = 10**9  # draws or texts, above which the answer is that no number is enough
TINY = 1e-12  # of a gap: what is divided by where nothing varies
DIGITS = 6


def plan(
    judged: dict[str, Judged], groups: np.ndarray | None, overlap: float, best: dict[str, Any]
) -> dict[str, Any]:
    """Plan on the gap of each variant to the reference, and on that of the best two.

    best names these two, as in metrics/evaluation.json; groups and overlap as in `paired_interval`.
    """

    def of(name: str, other: str) -> dict[str, float | int | None]:
        difference = judged[name].right - judged[other].right.astype(np.float64)
        return plan_gap(difference, groups, overlap)

    first, second = best["variant"], best["second"]
    return {
        "gap": {f"{name}-{REFERENCE}": of(name, REFERENCE) for name in judged if name != REFERENCE},
        "best": {"variant": first, "second": second, **(of(first, second) if second else {})},
    }


def plan_gap(
    difference: np.ndarray, groups: np.ndarray | None = None, overlap: float = 0.0
) -> dict[str, float | int | None]:
    """Plan on one gap: difference (n_repeats, n_texts), as `paired_interval` takes it.

    - gap, half_width: what was measured;
    - chance: that the first variant wins one further draw;
    - smallest_gap: the true gap that POWER of such studies would find;
    - draws: how many make the half-width HALF_WIDTH or less; None if no number does;
    - half_width_of_any_draws: what is left of it with any number of draws;
    - test_texts: if no number of draws is enough, from how many test texts on one can be.

    Of one repeat, and of one group of texts, all but the gap is None.
    """
    n_repeats, gap = len(difference), float(difference.mean())
    found: dict[str, float | int | None] = dict.fromkeys(
        ("half_width", "chance", "smallest_gap", "draws", "half_width_of_any_draws", "test_texts")
    )
    if n_repeats > 1 and (own := spread(difference, groups, overlap)).n_groups > 1:
        draws = draws_for(own, HALF_WIDTH)
        found |= {
            "half_width": round(own.half_width(n_repeats), DIGITS),
            "chance": round(chance(difference.mean(axis=1), difference.shape[1]), DIGITS),
            "smallest_gap": round(smallest_gap(own, n_repeats), DIGITS),
            "draws": draws,
            "half_width_of_any_draws": round(own.half_width(np.inf), DIGITS),
            "test_texts": None if draws else texts_for(own, HALF_WIDTH),
        }
    return {"gap": round(gap, DIGITS), **found}


def chance(gaps: np.ndarray, n_texts: int) -> float:
    """Tell how likely the gap of one further draw is above zero: gaps (n_repeats,), two or more.

    Its predictive distribution is Student's of n_repeats - 1 degrees, around the mean gap, scaled
    by sd sqrt(1 + 1 / n_repeats): Gelman et al., Bayesian Data Analysis (2013), 3.2. A gap is a
    multiple of 1 / n_texts, so sd is at least what rounding to that gives, 1 / (n_texts sqrt(12)).
    """
    sd = max(float(gaps.std(ddof=1)), 1 / (n_texts * np.sqrt(12)))
    scale = sd * np.sqrt(1 + 1 / len(gaps))
    return float(stats.t.cdf(gaps.mean() / scale, len(gaps) - 1))


def smallest_gap(own: Spread, n_repeats: int) -> float:
    """Find the true gap at which the interval excludes zero in POWER of studies like this one.

    The measured gap of a study is normal around the true one, with the variance that the interval
    estimates. Its half-width varies as ms_repeat does, which is ms_repeat here times chi-squared of
    n_repeats - 1 degrees, over these. The part of the texts is taken for known.
    """
    error = max(np.sqrt(variance(own, n_repeats)), TINY)
    probabilities = (np.arange(STEPS) + 0.5) / STEPS
    ratios = stats.chi2.ppf(probabilities, n_repeats - 1) / (n_repeats - 1)
    halves = np.array(
        [replace(own, ms_repeat=own.ms_repeat * ratio).half_width(n_repeats) for ratio in ratios]
    )

    def found(gap: float) -> float:
        return float(stats.norm.cdf((gap - halves) / error).mean())

    # Far above every half-width it is found in all studies.
    return float(optimize.brentq(lambda gap: found(gap) - POWER, 0, 2 * halves.max() + 9 * error))


def variance(own: Spread, n_repeats: int) -> float:
    """Estimate the variance of the measured gap around the true one."""
    of_repeats = own.ms_repeat * (1 / n_repeats + own.shared)
    return (of_repeats + max(own.of_texts, 0)) / own.n_texts


def draws_for(own: Spread, half_width: float) -> int | None:
    """Find how many draws, two at least, make the half-width so small; None: no number does."""
    return smallest(lambda n: own.half_width(n) <= half_width, 2)


def texts_for(own: Spread, half_width: float) -> int | None:
    """Find from how many test texts on draws can make the half-width so small; None: from none."""
    n = int(own.n_texts)
    return smallest(lambda n: with_texts(own, n).half_width(np.inf) <= half_width, n)


def with_texts(own: Spread, n_texts: int) -> Spread:
    """Expect the spread of other test texts of the same kind, in groups of the same size.

    ms_repeat is n_texts times the variance of a repeat's effect, and ms_residual.
    """
    more = n_texts / own.n_texts
    of_repeats = max(own.ms_repeat - own.ms_residual, 0)
    return replace(
        own,
        ms_repeat=own.ms_repeat + (more - 1) * of_repeats,
        n_texts=n_texts,
        n_groups=more * own.n_groups,
    )


def smallest(is_enough: Callable[[int], bool], least: int) -> int | None:
    """Find the smallest number from `least` on that is enough, as all above it are; None: none."""
    above = least
    while not is_enough(above):
        least, above = above + 1, 2 * above
        if above > MOST:
            return None
    while least < above:
        middle = (least + above) // 2
        least, above = (least, middle) if is_enough(middle) else (middle + 1, above)
    return above
