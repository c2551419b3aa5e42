"""The interval of a gap covers the truth as often as it says, in each regime that it is made for.

A study is drawn from a model whose true gap is known, and many studies count how often their
intervals contain it. The bounds allow for the chance in so many studies: of 2,000 with a true
coverage of 0.95, one in a thousand shows less than 0.935.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from stages.evaluate import scores
from stages.evaluate.uncertainty import Spread, interval_over_texts, paired_interval, spread
from stages.shared.predictions import judge

STUDIES, SCORED = 2000, 600
LEAST = 0.935
MEANS = (0.1, 0.3)  # of two variants' scores, in units of their spread; above 0 is right
# The spreads of what is random in a score: the repeat, the text, and the two together.
BOTH, TEXTS, REPEATS, LARGE = (0.15, 0.7, 0.5), (0.02, 0.7, 0.5), (0.15, 0.05, 0.5), (0.5, 0.7, 0.5)


def study(
    n_repeats, n_texts, means=MEANS, spreads=BOTH, common=0.5, pool=0.0, groups=None, of_group=0.0
):
    """Draw the differences of STUDIES studies, and their true gap.

    common: the share of a text's effect that both variants have. pool: the share of a repeat's
    effect that all repeats have, as draws from one pool of texts do. of_group: the spread of a
    group's effect, which all its texts have.
    """
    rng = np.random.default_rng(0)
    repeat, text, noise = spreads
    in_common = rng.normal(size=(STUDIES, 1, n_texts))
    right = []
    for mean in means:
        score = noise * rng.normal(size=(STUDIES, n_repeats, n_texts))
        score += repeat * np.sqrt(pool) * rng.normal(size=(STUDIES, 1, 1))
        score += repeat * np.sqrt(1 - pool) * rng.normal(size=(STUDIES, n_repeats, 1))
        own = rng.normal(size=(STUDIES, 1, n_texts))
        score += text * (np.sqrt(common) * in_common + np.sqrt(1 - common) * own)
        if groups is not None:
            score += of_group * rng.normal(size=(STUDIES, 1, groups.max() + 1))[:, :, groups]
        spread = np.sqrt(repeat**2 + text**2 + noise**2 + of_group**2)
        right.append(score > -mean * spread)
    gap = stats.norm.cdf(means[1]) - stats.norm.cdf(means[0])
    return right[1] - right[0].astype(float), gap


def coverage(differences, gap, **options):
    """The share of studies whose interval contains the gap; each has a width."""
    ends = np.array([paired_interval(difference, **options)[1:] for difference in differences])
    low, high = ends.T
    assert (low < high).all()
    return np.mean((low <= gap) & (gap <= high))


@pytest.mark.parametrize("n_repeats", [2, 3, 5])
@pytest.mark.parametrize(
    "spreads", [BOTH, TEXTS, REPEATS, LARGE], ids=["both", "texts", "repeats", "large"]
)
def test_a_95_percent_interval_covers_the_gap_with_two_to_five_repeats(spreads, n_repeats):
    differences, gap = study(n_repeats, 150, spreads=spreads)
    covered = coverage(differences, gap)
    assert covered >= LEAST
    if n_repeats == 5:
        assert covered <= 0.985
        if spreads == TEXTS:  # what an interval over repeats alone is worth there
            by_repeat = differences.mean(axis=2)
            half = stats.sem(by_repeat, axis=1) * stats.t.ppf(0.975, 4)
            assert np.mean(np.abs(by_repeat.mean(axis=1) - gap) <= half) < 0.85


@pytest.mark.parametrize(
    "accuracies", [(0.97, 0.97), (0.97, 0.995), (0.99, 0.995), (0.995, 0.995)], ids=str
)
@pytest.mark.parametrize("n_texts", [20, 60])
@pytest.mark.parametrize("n_repeats", [2, 3, 5])
def test_where_two_variants_differ_on_few_texts_the_interval_covers_and_has_a_width(
    n_repeats, n_texts, accuracies
):
    means = stats.norm.ppf(accuracies)
    differences, gap = study(n_repeats, n_texts, means, (0.05, 0.8, 0.6), common=1)
    assert coverage(differences[:1000], gap) >= 0.94


def scored(n_repeats, n_positive, n_texts, separations):
    """Draw labels, SCORED studies' scores of two variants, and the true gap in each metric.

    A variant's score of a text is its separation, to the side of its label, with an effect of the
    repeat, one of the text and a noise.
    """
    rng = np.random.default_rng(0)
    repeat, text, noise = 0.1, 0.7, 0.5
    labels = (np.arange(n_texts) < n_positive).astype(np.int8)
    side, spread = 2 * labels - 1, np.sqrt(text**2 + noise**2)
    drawn, true = [], []
    share = n_positive / n_texts
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    for separation in separations:
        own = separation + repeat * rng.normal(size=(SCORED, n_repeats, 1))
        score = side * own + text * rng.normal(size=(SCORED, 1, n_texts))
        drawn.append(score + noise * rng.normal(size=(SCORED, n_repeats, n_texts)))
        right = stats.norm.cdf((separation + repeat * nodes) / spread)  # of either label
        wrong = 1 - right
        f1 = np.mean([2 * p * right / (2 * p * right + wrong) for p in (share, 1 - share)], axis=0)
        area = stats.norm.cdf(np.sqrt(2) * (separation + repeat * nodes) / spread)
        true.append([weights @ values / weights.sum() for values in (right, right, f1, area)])
    names = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")
    return labels, drawn, dict(zip(names, np.subtract(*true[::-1]), strict=True))


@pytest.mark.parametrize(
    ("n_repeats", "n_positive", "n_texts", "separations"),
    [
        (2, 60, 120, (0.3, 0.5)),
        (3, 24, 120, (0.3, 0.5)),
        (5, 60, 120, (0.3, 0.5)),
        (5, 5, 100, (1.2, 2.4)),  # few of one class, and hardly one wrong
    ],
)
def test_the_interval_covers_in_each_metric_that_variants_are_compared_in(
    n_repeats, n_positive, n_texts, separations
):
    labels, drawn, true = scored(n_repeats, n_positive, n_texts, separations)
    covered = dict.fromkeys(scores.COMPARED, 0)
    assert covered.keys() == true.keys()
    for reference, own in zip(*map(stats.norm.cdf, drawn), strict=True):
        gap = scores.compare(labels, judge(labels, own), judge(labels, reference))
        for metric in covered:
            covered[metric] += gap[f"{metric}_low"] <= true[metric] <= gap[f"{metric}_high"]
    assert min(covered.values()) >= 0.93 * SCORED


EVEN = np.arange(200) // 10
UNEVEN = np.repeat(np.arange(40), np.tile([1, 2, 3, 14], 10))


@pytest.mark.parametrize("groups", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("n_repeats", [2, 5])
def test_texts_of_one_group_are_taken_together(groups, n_repeats):
    differences, gap = study(n_repeats, 200, spreads=(0.05, 0.5, 0.5), groups=groups, of_group=0.5)
    assert coverage(differences, gap, groups=groups) >= LEAST
    if n_repeats == 5:
        assert coverage(differences, gap) < 0.87  # what ignoring the groups is worth


@pytest.mark.parametrize(("overlap", "uncorrected"), [(0.4, 0.87), (0.8, 0.7)])
def test_draws_that_share_a_pool_need_a_wider_interval(overlap, uncorrected):
    differences, gap = study(5, 150, pool=overlap)
    assert coverage(differences, gap, overlap=overlap) >= LEAST
    assert coverage(differences, gap) < uncorrected


# Effects of repeats ±0.01, of texts 0.06, 0, -0.06, and of both ±(0, -0.01, 0.01).
BY_HAND = np.array([[0.07, 0, -0.04], [0.05, 0, -0.08]])


def test_the_half_width_is_that_of_the_formula():
    # ms_repeat 3 x 0.0002, ms_text 2 x 0.0072 / 2, ms_residual 0.0004 / 2
    half = np.sqrt((12.7062**2 * 0.0006 + 1.95996**2 * (0.0072 - 0.0002)) / 6)
    assert paired_interval(BY_HAND, added=0) == pytest.approx((0, -half, half), abs=1e-5)
    # 1 / 2 becomes 1 / 2 + 0.25 / 0.75, which is 5 / 3 of it
    half = np.sqrt((12.7062**2 * 0.0006 * 5 / 3 + 1.95996**2 * (0.0072 - 0.0002)) / 6)
    found = paired_interval(BY_HAND, overlap=0.25, added=0)
    assert found == pytest.approx((0, -half, half), abs=1e-5)


@pytest.mark.parametrize("overlap", [0.01, 0.2, 1])
def test_draws_that_share_little_or_all_are_not_corrected_for(overlap):
    assert paired_interval(BY_HAND, overlap=overlap, added=0) == paired_interval(BY_HAND, added=0)


def test_groups_of_one_text_change_nothing_and_a_text_that_comes_twice_counts_once():
    difference = study(3, 150)[0][0]
    plain = paired_interval(difference)
    order = np.random.default_rng(0).permutation(150)
    assert paired_interval(difference, groups=order) == pytest.approx(plain)
    many = np.tile(difference, 20)
    twice = paired_interval(many.repeat(2, axis=1), groups=np.arange(many.shape[1]).repeat(2))
    assert twice == pytest.approx(paired_interval(many), abs=1e-5)


def test_two_groups_are_enough_for_a_mean_square():
    # Each residual is 0.05 or -0.05, and there is (2 - 1) (2 - 1) degree of freedom.
    found = spread(np.array([[0.3, 0.1], [0.1, 0.1]]), groups=np.array([0, 1]))
    assert found.ms_residual == pytest.approx(4 * 0.05**2)


def test_one_group_says_nothing_of_others():
    assert paired_interval(BY_HAND, groups=np.zeros(3, int))[1:] == (-1, 1)


def test_the_gap_is_the_mean_difference_and_one_repeat_has_no_interval():
    difference = study(3, 50)[0][0]
    gap, low, high = paired_interval(difference)
    assert gap == pytest.approx(difference.mean())
    assert low < gap < high
    assert paired_interval(difference[:1])[1:] == (None, None)


def test_repeats_that_agree_leave_the_interval_over_texts():
    difference = study(1, 300)[0][0].repeat(4, axis=0)
    gap, low, high = paired_interval(difference)
    half = stats.sem(difference[0]) * stats.norm.ppf(0.975)
    assert (low, high) == pytest.approx((gap - half, gap + half))


def test_two_variants_that_never_differ_may_still_differ_on_other_texts():
    # 1.96 / (100 + 2), one text in all added to those that differ (Agresti and Min)
    never = np.zeros((3, 100))
    assert paired_interval(never) == pytest.approx((0, -0.01922, 0.01922), abs=1e-5)
    # Ten groups, of which two are added: 2.262 / (10 + 2)
    found = paired_interval(never, groups=np.arange(100) // 10)
    assert found == pytest.approx((0, -0.18852, 0.18852), abs=1e-5)


@pytest.mark.parametrize("n_right", [0, 1, 33, 40])
def test_over_texts_a_share_has_wilsons_interval(n_right):
    expected = stats.binomtest(n_right, 40).proportion_ci(0.95, "wilson")
    right = np.arange(40) < n_right
    assert interval_over_texts(right.astype(float)) == pytest.approx((*expected,))


@pytest.mark.parametrize(
    ("of_texts", "by_group"), [(0.03, 0.03 + 0.02 / 4), (-0.1, 0)], ids=["some", "below zero"]
)
def test_the_least_width_is_that_of_agresti_and_min_over_groups(of_texts, by_group):
    """Forty texts in five groups; two groups of eight texts are added. Worked out by hand."""
    spread = Spread(
        ms_repeat=0, of_texts=of_texts, ms_residual=0.02, n_texts=40, n_groups=5, z=2.5, overlap=0,
        added=1,
    )  # fmt: skip
    expected = 2.5 * (by_group * 40 * 4 / 5 + 8**2) ** 0.5 / (40 + 2 * 8)
    assert spread.half_width(4) == pytest.approx(expected)


def test_over_texts_few_groups_have_the_interval_of_the_formula():
    """Ten texts, of which six are right, in five pairs that are alike: worked out by hand."""
    right, groups = np.repeat([1.0, 1, 0, 1, 0], 2), np.repeat(np.arange(5), 2)
    squares = 3 * 0.8**2 + 2 * 1.2**2  # of how far the sum of a pair is from twice the mean
    effective = 0.6 * 0.4 / (squares / 10**2 * 9 / 10 * 5 / 4)
    z = stats.t.ppf(0.975, 4)
    middle = (0.6 + z**2 / effective / 2) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * (0.24 / effective + z**2 / (2 * effective) ** 2) ** 0.5
    expected = middle - half, min(middle + half, 1)
    assert interval_over_texts(right, groups) == pytest.approx(expected)


def test_over_texts_one_group_says_nothing_and_a_class_of_few_texts_little():
    right, groups = (np.arange(40) < 33).astype(float), np.zeros(40, int)
    low, high = interval_over_texts(right, groups)
    assert low < 0.01
    assert high > 0.99
    # Two of 100 texts count as much as all others together: both right say no more than 8 would.
    weights = np.repeat([25, 100 / 196], [2, 98])
    low, high = interval_over_texts(np.ones(100), weights=weights)
    expected = stats.binomtest(8, 8).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((*expected,), abs=0.01)


@pytest.mark.parametrize("n_groups", [10, 30])
def test_over_texts_groups_whose_texts_are_alike_widen_the_interval(n_groups):
    rng = np.random.default_rng(0)
    groups = np.arange(300) % n_groups
    shares = rng.beta(6, 4, (STUDIES, n_groups))  # of right texts in a group, 0.6 on average
    right = rng.random((STUDIES, 300)) < shares[:, groups]
    low, high = np.transpose([interval_over_texts(of.astype(float), groups) for of in right])
    assert np.mean((low <= 0.6) & (high >= 0.6)) >= 0.93
    assert np.mean(high - low) < {10: 0.3, 30: 0.16}[n_groups]


def test_a_model_that_tells_nothing_is_seldom_above_the_most_frequent_label():
    rng = np.random.default_rng(0)
    above = []
    for _ in range(400):
        labels, guess = np.arange(200) < 100, rng.random(200) < 0.5
        slips = rng.random((5, 200)) < 0.1  # draws mostly agree
        judged = {"learned": judge(labels.astype(int), (guess ^ slips).astype(np.float32))}
        above.append(scores.best(judged, 0.5, None, 0.01)["over_majority_low"] > 0)
    assert np.mean(above) < 0.05


def test_an_interval_ends_where_a_gap_can():
    for difference in itertools.product([0.0, 1.0], repeat=2):
        _, low, high = paired_interval(np.array([[difference[0]] * 4, [difference[1]] * 4]))
        assert -1 <= low <= high <= 1
