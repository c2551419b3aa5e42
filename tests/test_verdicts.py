"""What a curve says of its gaps: corrected for their number, and of measured points alone."""

import numpy as np
import pandas as pd
import pytest

from experiments import verdicts
from experiments.verdicts import BEATS, NONE, OPEN

SWEPT = "train.samples"
SIZES = (100, 200, 500, 1000, 2000)


def student(t: float, degrees: int) -> float:
    """P(|T| > t) in closed form, for 1 and 2 degrees of freedom."""
    return 1 - 2 * np.arctan(t) / np.pi if degrees == 1 else 1 - t / np.sqrt(2 + t**2)


@pytest.mark.parametrize(("n_repeats", "q"), [(2, 12.706205), (3, 4.302653)])
@pytest.mark.parametrize("ratio", [0.3, 1, 2, 20])
def test_the_p_value_of_a_gap_is_that_of_student_by_the_end_near_to_zero(n_repeats, q, ratio):
    p = student(ratio * q, n_repeats - 1)
    half = 0.1 / ratio
    assert verdicts.p_value(0.1, 0.1 - half, 0.9, n_repeats) == pytest.approx(p, rel=1e-4)
    assert verdicts.p_value(-0.1, -0.9, half - 0.1, n_repeats) == pytest.approx(p, rel=1e-4)


def test_a_gap_of_zero_has_no_evidence_and_an_interval_of_no_width_all():
    assert verdicts.p_value(0, -0.1, 0.1, 5) == 1
    assert verdicts.p_value(0, 0, 0, 5) == 1
    assert verdicts.p_value(0.1, 0.1, 0.1, 5) == 0


def test_p_values_are_corrected_as_holm_does():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    # 4 times the smallest, 3 times the next, then 2 times 0.03, which 1 time 0.04 is not below
    expected = [0.03, 0.06, np.nan, 0.06, 0.02]
    assert verdicts.holm(p).tolist() == pytest.approx(expected, nan_ok=True)
    assert verdicts.holm(np.array([0.6, 0.7])).tolist() == [1, 1]


def judged(gap, half, sizes=SIZES, doubtful=(), n_repeats=3):
    """The table of a variant, with its verdicts."""
    gap = np.array(gap, float)
    low, high = gap - half, gap + half
    p = [verdicts.p_value(*ends, n_repeats) for ends in zip(gap, low, high, strict=True)]
    table = pd.DataFrame({SWEPT: sizes, "gap": gap, "gap_low": low, "gap_high": high, "gap_p": p})
    doubt = ["glove is little known" if at in doubtful else "" for at in range(len(gap))]
    return verdicts.judge(table.assign(variant="pretrained", doubt=doubt), [])


def test_one_interval_of_several_that_excludes_zero_is_not_enough():
    alone = student(1.3 * 4.302653, 2)  # 0.031
    [one] = judged([0.13], 0.1, SIZES[:1]).to_dict("records")
    assert (one["verdict"], one["gap_p"]) == (BEATS, pytest.approx(alone, rel=1e-3))
    [first, second] = judged([0.13, 0], 0.1, SIZES[:2]).to_dict("records")
    assert (first["verdict"], first["gap_p"]) == (OPEN, pytest.approx(2 * alone, rel=1e-3))
    assert (second["verdict"], second["gap_p"]) == (OPEN, 1)


def test_a_point_with_a_doubt_is_not_tested_and_corrects_no_other():
    table = judged([0.13, 0.9], 0.1, SIZES[:2], doubtful=[1])
    assert table["verdict"].tolist() == [BEATS, NONE]
    assert np.isnan(table["gap_p"][1])


MUCH, LITTLE = 1.0, 0.001  # a gap that is significant among five of half width 0.1, and one not


@pytest.mark.parametrize(
    ("gap", "doubtful", "said"),
    [
        (
            [MUCH, MUCH, LITTLE, LITTLE, -MUCH],
            (),
            "beats `learned` at 100 and 200, is not significantly different at 500 and 1,000, and"
            " loses to it at 2,000; the lines cross near 1,000 (95 %: ",
        ),
        (
            [LITTLE, LITTLE, LITTLE, -MUCH, -MUCH],
            (),
            "is not significantly different from `learned` at 100, 200 and 500, and loses to it"
            " from 1,000 on.",
        ),
        (
            [LITTLE, -MUCH, LITTLE, -MUCH, -MUCH],
            (),
            "is not significantly different from `learned` at 100, loses to it at 200, is not"
            " significantly different at 500, and loses to it from 1,000 on.",
        ),
        ([-MUCH] * 5, (), "loses to `learned` at every measured size."),
        ([LITTLE] * 5, (), "is not significantly different from `learned` at every measured size."),
        ([MUCH] * 5, range(5), "has no verdict against `learned` at every measured size."),
        (
            [MUCH, MUCH, MUCH, -MUCH, -MUCH],
            [2],
            "beats `learned` at 100 and 200, has no verdict at 500, and loses to it from 1,000 on.",
        ),
    ],
)
def test_a_sentence_names_the_measured_sizes(gap, doubtful, said):
    found = verdicts.sentence("pretrained", judged(gap, 0.1, doubtful=doubtful), SWEPT)
    assert found.startswith(f"`pretrained` {said}")
    assert found.endswith(".")


def test_values_that_are_no_numbers_have_no_order():
    table = judged([1, -1, -1], 0.1, ("conv", "flatten", "mean"))
    found = verdicts.sentence("pretrained", table, SWEPT)
    assert found == "`pretrained` beats `learned` at conv, and loses to it at flatten and mean."
    assert verdicts.crossings(table, SWEPT) == []
    assert (
        verdicts.sentence("x", judged([1], 0.1, ("conv",)), SWEPT) == "`x` beats `learned` at conv."
    )


def zero(goal: float) -> float:
    """Where a gap from 0.1 to -0.1, each with a half width of 0.05, is `goal` half widths from 0.

    By Fieller: between two points, at the share w of the way, the gap is 0.1 - 0.2 w and its half
    width 0.05 times the root of (1 - w)^2 + w^2; found by bisection.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        w = (low + high) / 2
        if (0.1 - 0.2 * w) / (0.05 * np.hypot(1 - w, w)) > goal:
            low = w
        else:
            high = w
    return 100 * 10**w


def test_a_crossing_has_the_interval_of_gaps_that_run_straight_over_the_logarithm():
    assert zero(1) == pytest.approx(100 * 10**0.31102, rel=1e-4)  # as worked out by hand
    table = judged([0.1, -0.1], 0.05, (100, 1000))
    [found] = verdicts.crossings(table, SWEPT)
    assert found.at == pytest.approx(np.sqrt(100 * 1000))
    assert found.low == pytest.approx(zero(1), rel=0.03)  # 2,000 draws are not all
    assert found.high == pytest.approx(zero(-1), rel=0.03)
    assert verdicts.crossings(table, SWEPT) == [found]
    text = verdicts.sentence("pretrained", table, SWEPT)
    assert text == (
        "`pretrained` beats `learned` at 100, and loses to it at 1,000; the lines cross near 320"
        f" (95 %: {round(found.low, -1):.0f} to {round(found.high, -1):.0f})."
    )


def test_a_crossing_covers_the_true_one_as_often_as_it_says():
    x, true, se = np.array([100.0, 200, 500, 1000, 2000]), np.array([4, 3, 1, -1, -3.0]), 1
    at = 500 * 2**0.5
    noise = np.random.default_rng(1).normal(0, se, (300, 5))
    found = [verdicts.crossing(x, true + row, np.full(5, 1.96 * se)) for row in noise]
    share = np.mean([low <= at <= high for _, low, high in found])
    assert 0.92 < share <= 1
    assert np.median([high / low for _, low, high in found]) < 5


@pytest.mark.parametrize(
    ("gap", "doubtful", "places"),
    [
        ([MUCH, -MUCH, -MUCH, MUCH, MUCH], (), [(100, 200), (500, 1000)]),
        ([MUCH, LITTLE, LITTLE, -LITTLE, -MUCH], (), [(100, 2000)]),
        ([MUCH, LITTLE, -LITTLE, -LITTLE, -LITTLE], (), []),
        ([MUCH, LITTLE, -MUCH, -MUCH, -MUCH], [1], []),
        ([MUCH, LITTLE, MUCH, MUCH, MUCH], (), []),
    ],
)
def test_a_crossing_is_said_only_between_two_significant_gaps(gap, doubtful, places):
    found = verdicts.crossings(judged(gap, 0.1, doubtful=doubtful), SWEPT)
    assert len(found) == len(places)
    for (at, low, high), (start, stop) in zip(found, places, strict=True):
        assert start < low < at < high < stop


def test_a_gap_of_zero_changes_its_sign_once():
    at = np.array([1.0, 2.0, 3.0])
    assert verdicts.zeros(at, np.array([[1, 0, -1], [-1, 0, 1], [-1, 1, -1]])).tolist() == [
        2,
        2,
        1.5,
    ]
    assert verdicts.zeros(at, np.array([[1, 1, 1]])).tolist() == []


@pytest.mark.parametrize(
    ("samples", "n_train", "where"),
    [
        ([100, 200, 500], 1000, "At train.samples 500"),
        ([500, 201, 100], 1000, "From train.samples 201 on"),
        ([1000, 1000], 1000, "At every point"),
        ([100, 200], 1000, None),
        ([100, 200], 0, None),
    ],
)
def test_it_is_said_from_which_size_on_draws_overlap(samples, n_train, where):
    said = verdicts.overlap(pd.Series(samples), n_train)
    assert said.partition(" draws overlap: ")[0] == (where or "")
    if where:
        assert "more than a fifth of the 1,000 texts to train on" in said
