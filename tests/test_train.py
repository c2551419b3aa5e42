"""train: draws are paired, disjoint, stratified, and share nothing with those of another seed."""

import platform
import shutil
import sys

import numpy as np
import pytest

from stages.shared import params
from stages.shared.draws import DRAWN, draw_folds, draw_orders, draw_rows, generator_for
from stages.shared.errors import InputError
from stages.train.__main__ import Output, most_epochs, validation_samples
from stages.train.repeats import learning_rates
from tests.conftest import PROJECT, edit_params

LABELS = np.repeat([0, 1, 2], [700, 290, 10]).astype(np.int8)  # in 1,000 texts


def draw(samples: int, validation: int, seed: int = 0, balanced: bool = False):
    return draw_rows(LABELS, samples, validation, generator_for(seed, 0, "texts"), balanced)


@pytest.mark.parametrize("balanced", [False, True])
def test_samples_and_validation_texts_are_drawn_without_overlap(balanced):
    rows, val_rows = draw(300, 700, balanced=balanced)
    assert sorted([*rows, *val_rows]) == list(range(1000))


@pytest.mark.parametrize("balanced", [False, True])
def test_a_larger_draw_holds_the_smaller_and_is_validated_on_the_same_texts(balanced):
    small, small_validation = draw(100, 200, 1, balanced)
    large, large_validation = draw(500, 200, 1, balanced)
    np.testing.assert_array_equal(small, large[:100])
    np.testing.assert_array_equal(small_validation, large_validation)


@pytest.mark.parametrize("samples", [3, 10, 57, 200, 650])
def test_a_draw_has_each_label_in_its_proportion_and_at_least_once(samples):
    for seed in range(20):
        rows, val_rows = draw(samples, 300, seed)
        counts = np.bincount(LABELS[rows], minlength=3)
        assert counts.min() >= 1
        # One of each label comes first, so the frequent ones may come two short of their part.
        assert np.abs(counts - samples * np.array([0.7, 0.29, 0.01])).max() <= 2
        validated = np.bincount(LABELS[val_rows], minlength=3)
        assert np.abs(validated - [210, 87, 3]).max() <= 2


def test_a_balanced_draw_has_as_many_of_each_label_as_there_are():
    rows, val_rows = draw(60, 100, balanced=True)
    left = 10 - np.sum(LABELS[val_rows] == 2)
    n_rare, others = np.sum(LABELS[rows] == 2), np.bincount(LABELS[rows])[:2]
    assert n_rare == left >= 8  # topped up with the others, evenly
    assert abs(others[0] - others[1]) <= 1
    assert np.bincount(LABELS[draw(24, 100, balanced=True)[0]]).tolist() == [8, 8, 8]


def test_no_two_draws_are_the_same():
    generators = {
        (seed, repeat, what, part): generator_for(seed, repeat, what, *part)
        for seed in range(3) for repeat in range(3) for what in DRAWN for part in ((), (1,), (2,))
    }  # fmt: skip
    drawn = {tuple(generator.integers(2**32, size=4)) for generator in generators.values()}
    assert len(drawn) == len(generators) == 3 * 3 * len(DRAWN) * 3


def test_draws_and_orders_follow_the_seed():
    np.testing.assert_array_equal(draw(100, 100, 4)[0], draw(100, 100, 4)[0])
    assert not np.array_equal(draw(100, 100, 0)[0], draw(100, 100, 1)[0])
    orders = [np.stack([*draw_orders(50, 3, np.random.default_rng(seed))]) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0][0], orders[0][1])
    assert all(sorted(order) == list(range(50)) for order in orders[0])


def test_folds_are_of_one_size_and_have_each_label_evenly():
    folds = draw_folds(LABELS[:990], 5, np.random.default_rng(0))
    assert np.bincount(folds).tolist() == [198] * 5
    for label, count in ((0, 140), (1, 58)):
        assert np.abs(np.bincount(folds[LABELS[:990] == label]) - count).max() <= 1
    again, other = (draw_folds(LABELS[:990], 5, np.random.default_rng(seed)) for seed in (0, 1))
    assert (folds == again).all()
    assert (folds != other).any()


def test_validation_takes_what_training_leaves_and_says_if_that_is_less_than_asked_for(capsys):
    assert validation_samples(20_000, 10_000, 10_000) == 10_000
    assert capsys.readouterr().out == ""
    assert validation_samples(240, 200, 10_000) == 40
    assert capsys.readouterr().out == "validating on the 40 texts that training leaves\n"
    assert validation_samples(240, 240, 10_000) == 0


def test_more_samples_than_there_are_is_refused_with_the_number_that_would_do():
    with pytest.raises(InputError) as error:
        validation_samples(20_000, 30_000, 10_000)
    assert str(error.value) == (
        "params.yaml: train.samples is 30,000, but the train split has only 20,000 texts:"
        " set train.samples to at most 20000"
    )


def test_a_linear_schedule_falls_evenly_and_a_constant_one_does_not():
    assert list(learning_rates(0.4, "linear", 4)) == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert list(learning_rates(0.4, "constant", 3)) == [0.4] * 3


def test_a_training_starts_without_what_only_unused_parts_of_keras_import(project, run_alone):
    command = "import sys, stages.train.__main__, stages.train.repeats; print(*sys.modules)"
    printed = run_alone(project, "python", "-c", command).stdout.split()
    imported = {name.partition(".")[0] for name in printed}
    assert "keras" in imported
    assert not {"matplotlib", "sklearn"} & imported


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="of these processors")
def test_products_of_matrices_are_computed_by_code_that_any_such_processor_has(project, run_alone):
    command = "import os, stages.train.__main__; print(os.environ['OPENBLAS_CORETYPE'])"
    assert run_alone(project, "env", "-u", "OPENBLAS_CORETYPE", "python", "-c", command).stdout == (
        "Haswell\n"
    )


def test_a_linear_variant_starts_without_tensorflow(project, run_alone):
    command = "import sys, stages.train.__main__, stages.train.linear; print(*sys.modules)"
    assert "tensorflow" not in run_alone(project, "python", "-c", command).stdout.split()


def test_progress_counts_the_epochs_of_every_candidate_and_of_the_training_after_them(tmp_path):
    shutil.copy(PROJECT / "params.yaml", tmp_path)

    def most(**changes) -> int:
        edit_params(tmp_path, **changes)
        return most_epochs(params.load(tmp_path / "params.yaml"), "learned")

    assert most(train__epochs=7, train__samples=1999) == 7
    assert most(train__tune={"learning_rates": [0.1, 0.01], "folds": 5}) == 7 + 5 * 2 * 7
    assert most(embed__random={"fitted": 3, "weighting": "both"}) == 7 + 5 * 2 * 7 * 3
    assert most(train__samples=2000) == 7 + 2 * 7 * 3


def test_a_bar_of_progress_is_drawn_as_standard_error_takes_it():
    assert Output().encoding == sys.stderr.encoding
    assert Output().isatty() is sys.stderr.isatty()
