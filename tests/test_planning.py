"""What a further study is worth: each number against a simulation, a search or a closed form."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stages.evaluate import planning
from stages.evaluate.uncertainty import Spread, paired_interval, spread
from stages.shared.predictions import judge

STUDIES = 3000


def draw(rng, n_repeats, n_texts, gap, of_repeats, of_texts, noise):
    """The differences of a study: what varies is the repeat, the text, and the two together."""
    d = gap + of_repeats * rng.normal(size=(n_repeats, 1)) + of_texts * rng.normal(size=n_texts)
    return d + noise * rng.normal(size=(n_repeats, n_texts))


def expected(n_texts, of_repeats, of_texts, noise, overlap=0.0, added=1.0) -> Spread:
    """What the mean squares of such studies are on average."""
    ms_repeat = n_texts * of_repeats**2 + noise**2
    z = stats.norm.ppf(0.975)
    return Spread(ms_repeat, of_texts**2, noise**2, n_texts, n_texts, z, overlap, added)


@pytest.mark.parametrize("n_repeats", [2, 3, 5])
@pytest.mark.parametrize(
    "spreads", [(0.03, 0.4, 0.3), (0.005, 0.5, 0.3), (0.05, 0.05, 0.3)],
    ids=["both", "texts", "repeats"],
)  # fmt: skip
def test_of_studies_with_the_smallest_gap_four_in_five_find_it(n_repeats, spreads):
    gap = planning.smallest_gap(expected(200, *spreads), n_repeats)
    assert gap < 1
    rng = np.random.default_rng(0)
    lows = [paired_interval(draw(rng, n_repeats, 200, gap, *spreads))[1] for _ in range(STUDIES)]
    assert np.mean(np.array(lows) > 0) == pytest.approx(0.8, abs=0.025)  # three standard errors


@pytest.mark.parametrize("n_repeats", [2, 3, 5, 20])
def test_where_draws_are_all_that_varies_the_smallest_gap_is_that_of_the_t_test(n_repeats):
    own = expected(400, 0.02, 0, 0, added=0)
    gap = planning.smallest_gap(own, n_repeats)
    t = stats.t.ppf(0.975, n_repeats - 1)
    power = stats.nct.sf(t, n_repeats - 1, gap / (0.02 / np.sqrt(n_repeats)))
    assert power == pytest.approx(0.8, abs=0.001)


def test_where_nothing_varies_the_smallest_gap_is_the_half_width():
    own = expected(100, 0, 0, 0)
    half = stats.norm.ppf(0.975) / 102  # Agresti and Min's
    assert planning.smallest_gap(own, 3) == pytest.approx(half)


GAPS = np.array([0.03, -0.01, 0.02, 0.01])


def test_the_chance_of_a_further_draw_is_that_of_draws_from_what_the_gaps_leave_open():
    rng = np.random.default_rng(0)
    sigma = GAPS.std(ddof=1) * np.sqrt(3 / rng.chisquare(3, 400_000))
    mean = GAPS.mean() + sigma / 2 * rng.normal(size=len(sigma))
    further = mean + sigma * rng.normal(size=len(sigma))
    assert planning.chance(GAPS, 1000) == pytest.approx((further > 0).mean(), abs=0.003)
    assert planning.chance(-GAPS, 1000) == pytest.approx(1 - planning.chance(GAPS, 1000))


def test_two_draws_that_agree_make_nothing_certain():
    # sd is that of rounding to 1 / 20, scale 0.05 / sqrt(12) * sqrt(3 / 2), and of one degree
    # of freedom Student's is Cauchy's: 1 / 2 + arctan(0.05 / 0.01768) / pi
    assert planning.chance(np.array([0.05, 0.05]), 20) == pytest.approx(0.8918, abs=1e-4)
    assert planning.chance(np.zeros(2), 20) == 0.5


def half_of(n, n_texts, of_repeats, of_texts, noise, shared=0.0):
    """The half-width by the formula in docs/metrics.md."""
    t, z = stats.t.ppf(0.975, n - 1), stats.norm.ppf(0.975)
    ms_repeat = n_texts * of_repeats**2 + noise**2
    ms_text = n * of_texts**2 + noise**2
    repeats = t**2 * ms_repeat * (1 + n * shared)
    return np.sqrt((repeats + z**2 * (ms_text - noise**2)) / (n * n_texts))


@pytest.mark.parametrize(
    ("n_texts", "spreads", "overlap", "target"),
    [
        (5000, (0.01, 0.2, 0.4), 0.0, 0.01),
        (5000, (0.001, 0.3, 0.4), 0.1, 0.01),
        (2000, (0.02, 0.1, 0.3), 0.0, 0.005),
        (800, (0.03, 0.1, 0.3), 0.0, 0.02),
        (5000, (0.004, 0.1, 0.3), 0.5, 0.015),
    ],
)
def test_so_many_draws_are_the_fewest_that_make_the_interval_narrow(
    n_texts, spreads, overlap, target
):
    own = expected(n_texts, *spreads, overlap)
    shared = overlap / (1 - overlap) if overlap > 0.2 else 0
    halves = (half_of(n, n_texts, *spreads, shared) for n in range(2, 1000))
    by_search = next(n for n, half in enumerate(halves, 2) if half <= target)
    assert planning.draws_for(own, target) == by_search


def test_where_test_texts_keep_the_interval_wide_it_takes_more_of_them():
    spreads = (0.01, 0.5, 0.3)
    own = expected(2000, *spreads)
    assert half_of(10**6, 2000, *spreads) > 0.0219  # 1.96 * 0.5 / sqrt(2000)
    assert planning.draws_for(own, 0.01) is None
    n_texts = planning.texts_for(own, 0.01)
    assert n_texts == pytest.approx(98**2, abs=3)  # 1.96 * 0.5 / 0.01; the two that are added
    assert planning.draws_for(expected(n_texts - 1, *spreads), 0.01) is None
    assert planning.draws_for(expected(n_texts, *spreads), 0.01) > 10_000
    enough = planning.draws_for(expected(2 * n_texts, *spreads), 0.01)
    assert (
        half_of(enough, 2 * n_texts, *spreads) <= 0.01 < half_of(enough - 1, 2 * n_texts, *spreads)
    )


def test_more_test_texts_are_expected_to_vary_as_these_do():
    spreads, texts = (0.02, 0.3, 0.4), 3000
    more, drawn = planning.with_texts(expected(500, *spreads), texts), expected(texts, *spreads)
    for field in ("ms_repeat", "of_texts", "ms_residual", "n_texts", "n_groups"):
        assert getattr(more, field) == pytest.approx(getattr(drawn, field))


def test_draws_that_overlap_may_keep_the_interval_wide_whatever_is_added():
    own = expected(5000, 0.02, 0.1, 0.3, overlap=0.8)
    assert planning.draws_for(own, 0.01) is None
    assert planning.texts_for(own, 0.01) is None
    assert planning.draws_for(replace(own, overlap=0.1), 0.01) is not None


@pytest.mark.parametrize("overlap", [0, 0.5])
@pytest.mark.parametrize("groups", [None, np.arange(300) // 3])
def test_the_half_width_is_that_of_the_interval(groups, overlap):
    difference = draw(np.random.default_rng(0), 4, 300, 0.02, 0.02, 0.3, 0.3)
    gap, _, high = paired_interval(difference, groups, overlap)
    planned = planning.plan_gap(difference, groups, overlap)
    assert planned["half_width"] == pytest.approx(high - gap, abs=1e-6)
    assert planned["gap"] == pytest.approx(gap, abs=1e-6)
    assert planned["half_width_of_any_draws"] < planned["half_width"]
    many = spread(difference, groups, overlap).half_width(10**9)
    assert planned["half_width_of_any_draws"] == pytest.approx(many, abs=1e-6)


def test_one_draw_or_one_group_plans_nothing():
    difference = draw(np.random.default_rng(0), 3, 50, 0.02, 0.02, 0.3, 0.3)
    for planned in (
        planning.plan_gap(difference[:1]),
        planning.plan_gap(difference, np.zeros(50, int)),
    ):
        assert isinstance(planned.pop("gap"), float)
        assert set(planned.values()) == {None}


def test_two_draws_plan_all_and_test_texts_only_where_no_draws_are_enough():
    rng = np.random.default_rng(0)
    narrow = planning.plan_gap(draw(rng, 2, 2000, 0.02, 0.001, 0.1, 0.3))
    assert {key for key, value in narrow.items() if value is None} == {"test_texts"}
    wide = planning.plan_gap(draw(rng, 2, 2000, 0.02, 0.001, 0.8, 0.3))
    assert {key for key, value in wide.items() if value is None} == {"draws"}
    assert wide["test_texts"] > 2000


def test_each_variant_is_planned_against_learned_and_the_best_against_the_second():
    rng, labels = np.random.default_rng(0), np.arange(400) % 2
    judged = {}
    for name, share in (("learned", 0.6), ("pretrained", 0.7), ("finetuned", 0.8)):
        right = rng.random((3, 400)) < share
        judged[name] = judge(labels, np.where(right, labels, 1 - labels).astype(np.float32))
    best = {"variant": "finetuned", "second": "pretrained"}
    found = planning.plan(judged, None, 0.0, best)
    accuracy = {name: of.right.mean() for name, of in judged.items()}
    assert {*found["gap"]} == {"pretrained-learned", "finetuned-learned"}
    for name, gap in found["gap"].items():
        own = accuracy[name.removesuffix("-learned")] - accuracy["learned"]
        assert gap["gap"] == pytest.approx(own, abs=1e-6)
    own = accuracy["finetuned"] - accuracy["pretrained"]
    assert found["best"]["gap"] == pytest.approx(own, abs=1e-6)
    alone = planning.plan(
        {"learned": judged["learned"]}, None, 0.0, {"variant": "learned", "second": None}
    )
    assert alone == {"gap": {}, "best": {"variant": "learned", "second": None}}
