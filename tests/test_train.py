"""train: the draws are paired, disjoint, and follow the seed."""

import numpy as np
import pytest

from stages.shared.draws import draw_orders, draw_rows
from stages.shared.errors import InputError
from stages.train.repeats import learning_rates, validation_samples


def test_samples_and_validation_texts_are_drawn_without_overlap():
    rows, val_rows = draw_rows(1000, 300, 700, seed=0)
    assert sorted([*rows, *val_rows]) == list(range(1000))


def test_a_larger_draw_holds_the_smaller_and_is_validated_on_the_same_texts():
    small, small_validation = draw_rows(1000, 100, 200, seed=1)
    large, large_validation = draw_rows(1000, 500, 200, seed=1)
    np.testing.assert_array_equal(small, large[:100])
    np.testing.assert_array_equal(small_validation, large_validation)


def test_draws_and_orders_follow_the_seed():
    first, second = draw_rows(1000, 100, 100, seed=0)[0], draw_rows(1000, 100, 100, seed=1)[0]
    assert not np.array_equal(first, second)
    orders = [np.stack([*draw_orders(50, 3, seed)]) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0][0], orders[0][1])
    assert all(sorted(order) == list(range(50)) for order in orders[0])


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


def test_a_training_starts_without_what_only_unused_parts_of_keras_import(project, run):
    command = "import sys, stages.train.__main__; print(*sys.modules)"
    imported = {*run(project, "python", "-c", command).stdout.split()}
    assert "keras" in imported
    assert not {"matplotlib", "sklearn"} & imported
