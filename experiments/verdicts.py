"""What a learning curve may say of its gaps: who wins at which points, and where the lines cross.

A sentence names only what was measured. One significant gap among eight is soon found where there
is none, so the p-values of a variant's gaps in one panel are corrected for their number.
"""

from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtr, stdtrit

from experiments.runs import is_numeric, written
from stages.shared.evidence import CONFIDENCE, MUCH_OVERLAP, REFERENCE

SIZE = "train.samples"
BEATS, LOSES, OPEN, NONE = "beats", "loses", "not significant", "no verdict"
SAMPLES_DRAWN, SEED = 2000, 0  # of the gaps, for the interval of a crossing


class Crossing(NamedTuple):
    """Where the gap changes its sign, and the 95 % interval of that."""

    at: float
    low: float
    high: float


def p_value(gap: float, low: float, high: float, n_repeats: int) -> float:
    """Tell by its 95 % interval how likely so large a gap would be if there were none; two-sided.

    With half, the distance from the gap to the end that is nearer to zero, and Student's t of
    R - 1 degrees of freedom, R the repeats:

        p = P(|T| > |gap| / half * q), of which q is the 97.5 % point of T

    So p is below 0.05 just where the interval excludes zero. If draws were all that varied, p would
    be exact. Test texts make the interval wider too, with more degrees of freedom than R - 1: then
    p is rather too large.
    """
    if gap == 0:
        return 1.0
    half = gap - low if gap > 0 else high - gap
    degrees = n_repeats - 1
    ratio = abs(gap) / half if half > 0 else np.inf
    return 2 * float(stdtr(degrees, -ratio * stdtrit(degrees, (1 + CONFIDENCE) / 2)))


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p-values for their number: Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.

    p: (n,) float, NaN where nothing was tested. The i-th smallest of n counts n - i + 1 times, and
    as much as any smaller one.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN stand last
    counted = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(counted), 1)
    return corrected


def judge(table: pd.DataFrame, panels: list[str]) -> pd.DataFrame:
    """Correct the p-value of each gap, `gap_p`, and add the verdict beside it.

    table: the panels, variant, gap, gap_p and doubt; the gaps of a variant in a panel are corrected
    as one family. A gap with a doubt is not tested.
    """
    p = table["gap_p"].astype(float).mask(table["doubt"] != "")
    family = p.groupby([table[key].map(written) for key in (*panels, "variant")], sort=False)
    corrected = family.transform(lambda of: holm(of.to_numpy()))
    table = table.assign(gap_p=corrected.map(lambda value: float(f"{value:.4g}")))
    side = np.where(table["gap"] > 0, BEATS, LOSES)
    is_sure = table["gap_p"] < 1 - CONFIDENCE
    verdict = np.select([table["gap_p"].isna(), is_sure], [NONE, side], OPEN)
    verdict = np.where(table["variant"] == REFERENCE, "", verdict)
    table.insert(table.columns.get_loc("gap_p") + 1, "verdict", verdict)
    return table


def scale(x: np.ndarray) -> tuple:
    """Give the function over which values stand evenly, and its inverse: log where there is one."""
    return (np.log, np.exp) if (x > 0).all() else (np.asarray, np.asarray)


def zeros(at: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Find where each of (n, k) gaps first changes its sign, straight between k points.

    Those that do not are left out.
    """
    changes = (gaps[:, 1:] >= 0) != (gaps[:, :-1] >= 0)
    gaps, changes = gaps[changes.any(axis=1)], changes[changes.any(axis=1)]
    rows, i = np.arange(len(gaps)), changes.argmax(axis=1)
    before, after = gaps[rows, i], gaps[rows, i + 1]
    return at[i] + before / (before - after) * (at[i + 1] - at[i])


def crossing(x: np.ndarray, gap: np.ndarray, half: np.ndarray) -> Crossing:
    """Find where a gap first changes its sign, and the interval of that; (k,) each.

    The gaps of k points run straight between them over the logarithm of the size. They are drawn
    anew 2,000 times, as independent normal variables to which `half` is the half width of a 95 %
    interval; the interval has the middle 95 % of the changes of sign. Where the gaps at both ends
    are significant, at most one draw in twenty has none.
    """
    there, back = scale(x)
    noise = np.random.default_rng(SEED).standard_normal((SAMPLES_DRAWN, len(x)))
    drawn = gap + noise * half / ndtri((1 + CONFIDENCE) / 2)
    ends = np.quantile(zeros(there(x), drawn), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Crossing(*map(float, back([*zeros(there(x), gap[None]), *ends])))


def crossings(table: pd.DataFrame, swept: str) -> list[Crossing]:
    """Find where a variant's gap changes its sign: between two points at which it is significant.

    Points between them whose gap is not significant are taken into account; if one of them has no
    verdict, nothing is said.
    """
    if not is_numeric(table[swept]):
        return []
    x, gap, low, high = (table[c].to_numpy(float) for c in (swept, "gap", "gap_low", "gap_high"))
    verdicts = table["verdict"].tolist()
    told = [place for place, verdict in enumerate(verdicts) if verdict != OPEN]
    found = []
    for start, stop in pairwise(told):
        if {verdicts[start], verdicts[stop]} == {BEATS, LOSES}:
            part = slice(start, stop + 1)
            found.append(crossing(x[part], gap[part], (high - low)[part] / 2))
    return found


def listed(words: list[str]) -> str:
    """Join words with commas, and the last with `and`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def rounded(value: float) -> str:
    """Write a number with two significant digits."""
    return written(float(f"{value:.2g}"))


def sentence(variant: str, table: pd.DataFrame, swept: str) -> str:
    """Say at which of the measured points a variant beats `learned`, and at which it loses."""
    first = {
        BEATS: f"beats `{REFERENCE}`", LOSES: f"loses to `{REFERENCE}`",
        OPEN: f"is not significantly different from `{REFERENCE}`",
        NONE: f"has no verdict against `{REFERENCE}`",
    }  # fmt: skip
    later = {
        BEATS: "beats it", LOSES: "loses to it", OPEN: "is not significantly different",
        NONE: "has no verdict",
    }  # fmt: skip
    values, clauses, done = [*map(written, table[swept])], [], 0
    for verdict, run in groupby(table["verdict"]):
        here = values[done : done + len([*run])]
        done += len(here)
        where = f"at {listed(here)}"
        if len(here) == len(values) > 1:
            where = f"at every measured {'size' if swept == SIZE else 'value'}"
        elif len(here) > 1 and done == len(values) and is_numeric(table[swept]):
            where = f"from {here[0]} on"
        clauses.append(f"{(later if clauses else first)[verdict]} {where}")
    if len(clauses) > 1:
        clauses[-1] = f"and {clauses[-1]}"
    near = [
        f"near {rounded(c.at)} (95 %: {rounded(c.low)} to {rounded(c.high)})"
        for c in crossings(table, swept)
    ]
    cross = f"; the lines cross {listed(near)}" if near else ""
    return f"`{variant}` {', '.join(clauses)}{cross}."


def reasons(table: pd.DataFrame, swept: str) -> str:
    """Say in a line at which points of a panel there is no verdict, and why; empty if at none."""
    found = {}
    for _, row in table[table["doubt"] != ""].iterrows():
        for doubt in row["doubt"].split("; "):
            found.setdefault(doubt, {})[written(row[swept])] = None
    every = table[swept].nunique(dropna=False)
    parts = []
    for doubt, values in found.items():
        where = "everywhere" if len(values) == every else f"at {', '.join(values)}"
        parts.append(f"{where} {doubt}")
    return f"There is no verdict where there is doubt: {'; '.join(parts)}." if parts else ""


def numbers_of_draws(repeats: pd.Series) -> str:
    """Say in a line how many draws the points have; empty if all have as many."""
    least, most = int(repeats.min()), int(repeats.max())
    return "" if least == most else f"The points have {least} to {most} draws each."


def overlap(samples: pd.Series, n_train: int) -> str:
    """Say in a line from which size on draws overlap, and of what intervals speak there.

    samples: of each point; empty if none takes much of the n_train texts, or if they are unknown.
    """
    much = samples[samples > MUCH_OVERLAP * n_train] if n_train else samples[:0]
    if much.empty:
        return ""
    where = f"From {SIZE} {written(much.min())} on"
    if len(much) == len(samples):
        where = "At every point"
    elif much.min() == much.max():
        where = f"At {SIZE} {written(much.min())}"
    return (
        f"{where} draws overlap: each has more than a fifth of the {n_train:,} texts to train on."
        " There the intervals of gaps are widened for what the draws share. Where a draw has all"
        " texts, they speak of these texts with other seeds and other test texts."
    )


if __name__ == "__main__":  # it is a part of the others
    print(__doc__)
