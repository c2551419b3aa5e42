"""The interval of the gap covers the truth as often as it says, and McNemar's test is exact."""

import numpy as np
import pytest
from scipy import stats

from stages.evaluate.uncertainty import mcnemar, paired_interval

N_REPEATS, N_REVIEWS, N_STUDIES = 5, 400, 1000
REPEAT, REVIEW, NOISE = 0.15, 0.7, 0.5  # spreads, in units of the latent score


def simulate(rng, means, repeat, review):
    """Which reviews two variants get right, and the true gap: both effects drawn for each."""
    score = [
        mean
        + rng.normal(0, repeat, (N_REPEATS, 1))
        + rng.normal(0, review, (1, N_REVIEWS))
        + rng.normal(0, NOISE, (N_REPEATS, N_REVIEWS))
        for mean in means
    ]
    spread = np.sqrt(repeat**2 + review**2 + NOISE**2)
    truth = np.diff(stats.norm.cdf(np.array(means) / spread))[0]
    return score[1] > 0, score[0] > 0, truth


@pytest.mark.parametrize(
    ("repeat", "review"), [(REPEAT, REVIEW), (0.02, REVIEW), (REPEAT, 0.05)],
    ids=["both", "reviews", "repeats"],
)  # fmt: skip
def test_a_95_percent_interval_covers_the_truth_about_95_percent_of_the_time(repeat, review):
    rng, covered, covered_by_repeats_alone = np.random.default_rng(0), 0, 0
    for _ in range(N_STUDIES):
        correct, reference, truth = simulate(rng, (0.1, 0.25), repeat, review)
        _, low, high = paired_interval(correct, reference)
        covered += low <= truth <= high
        gaps = correct.mean(axis=1) - reference.mean(axis=1)
        half = stats.sem(gaps) * stats.t.ppf(0.975, N_REPEATS - 1)
        covered_by_repeats_alone += abs(gaps.mean() - truth) <= half
    assert 0.93 <= covered / N_STUDIES <= 0.985
    if repeat == 0.02:  # what an interval over repeats alone is worth there
        assert covered_by_repeats_alone / N_STUDIES < 0.85


def test_the_gap_is_the_mean_difference_and_one_repeat_has_no_interval():
    rng = np.random.default_rng(0)
    correct, reference = rng.random((2, 3, 50)) < 0.6
    gap, low, high = paired_interval(correct, reference)
    assert gap == pytest.approx(correct.mean() - reference.mean())
    assert low < gap < high
    assert paired_interval(correct[:1], reference[:1])[1:] == (None, None)


def test_repeats_that_agree_leave_the_interval_over_reviews():
    correct, reference = (np.random.default_rng(0).random((2, 1, 300)) < 0.6).repeat(4, axis=1)
    gap, low, high = paired_interval(correct, reference)
    expected = stats.ttest_1samp(correct[0].astype(float) - reference[0], 0)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert gap == pytest.approx((correct[0].astype(float) - reference[0]).mean())


@pytest.mark.parametrize("accuracies", [(0.97, 0.97), (0.97, 0.995), (0.99, 0.995)])
@pytest.mark.parametrize("n_repeats", [2, 5])
@pytest.mark.parametrize("n_reviews", [20, 60])
def test_where_two_variants_differ_on_few_reviews_the_interval_covers_and_has_a_width(
    n_reviews, n_repeats, accuracies
):
    rng, covered = np.random.default_rng(0), 0
    for _ in range(N_STUDIES):
        easy = rng.normal(size=n_reviews)  # for both
        correct, reference = (
            stats.norm.ppf(accuracy) > 0.8 * easy + 0.6 * rng.normal(size=(n_repeats, n_reviews))
            for accuracy in reversed(accuracies)
        )
        _, low, high = paired_interval(correct, reference)
        assert low < high
        covered += low <= accuracies[1] - accuracies[0] <= high
    assert covered / N_STUDIES >= 0.95


def test_two_variants_that_never_differ_may_still_differ_on_other_reviews():
    # 1.96 / (100 + 2), one review in all added to those that differ (Agresti and Min)
    assert paired_interval(*np.ones((2, 3, 100), bool)) == pytest.approx(
        (0, -0.01922, 0.01922), abs=1e-5
    )


def test_mcnemar_is_the_sign_test_on_what_one_alone_gets_right():
    correct = np.array([1, 1, 1, 1, 1, 0, 1, 0], bool)
    reference = np.array([0, 0, 0, 0, 0, 1, 1, 0], bool)
    assert mcnemar(correct, reference) == pytest.approx(2 * (1 + 6) / 64)
    assert mcnemar(reference, correct) == mcnemar(correct, reference)
    assert mcnemar(correct, correct) == 1
