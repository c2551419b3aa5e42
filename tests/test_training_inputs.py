"""What `train` gives the compiled loop: rows, labels, start, orders, dropout, rates by repeat."""

import sys

from stages.train.backend import keras

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.sparse import csr_array

import stages.train.__main__ as train
from stages.evaluate.words import read_matrices
from stages.shared import params
from stages.shared.draws import DRAWN, generator_for
from stages.shared.errors import InputError
from stages.shared.history import MEASURES
from stages.shared.schema import Tune
from stages.train import machine, tuning
from tests.conftest import PROJECT, edit_params

N_TEXTS, MAXLEN, DIM, NUM_WORDS = 90, 4, 3, 120
SAMPLES, VALIDATION, REPEATS, EPOCHS, SEED = 20, 30, 3, 4, 11


MEASURED = dict.fromkeys(MEASURES, 0.5)  # after every epoch


class Recorder:
    """Stands in for the compiled loop: notes what each repeat is trained on, and trains nothing."""

    cost = staticmethod(lambda matrix: 0.0)  # of starting from a matrix

    def __init__(self):
        self.compiled, self.repeats, self.tried = [], [], []

    def __call__(self, model, *arguments):
        self.compiled.append((model, *arguments))
        return self

    def fit(self, initial, x, y, x_val, y_val, orders, on_epoch, drop, rates):
        whole = csr_array(np.ones((50, 40), np.float32))
        rates = list(rates)
        self.repeats.append(
            {
                "initial": [weight.copy() for weight in initial],
                "x": x,
                "y": y,
                "x_val": x_val,
                "y_val": y_val,
                "orders": np.stack([*orders]),
                "dropped": np.stack([drop(whole).toarray() for _ in range(2)]),
                "rates": rates,
            }
        )
        history = [MEASURED.copy()] * len(self.repeats[-1]["orders"])
        for row in history:
            on_epoch(row)
        return initial, history

    def epochs(self, initial, x, y, x_val, y_val, orders, drop, rates):
        """Notes what a candidate is trained and scored on; its loss falls, then rises again."""
        orders, rates = list(orders), list(rates)
        whole = csr_array(np.ones((50, 40), np.float32))
        given = {"x": x, "y": y, "x_val": x_val, "y_val": y_val, "initial": initial}
        given |= {"orders": np.stack(orders), "rates": rates, "dropped": drop(whole).toarray()}
        self.tried.append(given)
        for epoch, rate in enumerate(rates, 1):
            given["epochs"] = epoch
            loss = held_out_loss(rate, epoch) + 0.001 * np.sum(x_val == 1) + self.cost(initial[0])
            yield dict(zip(MEASURES, (0.4, 0.5, loss, 0.6 + epoch / 100), strict=True)), list


def held_out_loss(rate: float, epoch: int) -> float:
    """Where `try_out` must find the least: at rate 0.2, after epoch 3; rate 9 diverges."""
    return np.nan if rate == 9 else 0.5 + abs(rate - 0.2) + 0.1 * abs(epoch - 3)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Runs `train` of a variant on texts that can be told apart; returns what it was given."""
    content = yaml.safe_load((PROJECT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    edit_params(
        tmp_path, seed=SEED, model__head="mean", model__hidden_units=2, train__samples=SAMPLES,
        train__validation_samples=VALIDATION, train__repeats=REPEATS, train__epochs=EPOCHS,
        train__learning_rate=0.5, train__word_dropout=0.25, train__optimizer="adam",
        train__batch_size=7,
    )  # fmt: skip
    (tmp_path / "data/sequences/train").mkdir(parents=True)
    (tmp_path / "data/embeddings").mkdir()
    texts = np.arange(1, N_TEXTS + 1)[:, None].repeat(MAXLEN, axis=1).astype(np.int32)
    np.save(tmp_path / "data/sequences/train/sequences.npy", texts)
    np.save(
        tmp_path / "data/sequences/train/labels.npy", (np.arange(N_TEXTS) % 3 == 0) * np.int8(1)
    )
    glove = np.random.default_rng(0).normal(size=(NUM_WORDS, DIM)).astype(np.float32)
    np.save(tmp_path / "data/embeddings/glove.npy", glove)
    np.save(tmp_path / "data/embeddings/random.npy", np.zeros((NUM_WORDS, DIM), np.float32))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "AT_ONCE", 1)  # so that repeats come in order

    def run(variant: str, **changes) -> Recorder:
        edit_params(tmp_path, **changes)
        recorder = Recorder()
        monkeypatch.setattr("stages.train.repeats.Loop", recorder)
        monkeypatch.setattr(sys, "argv", ["train", variant])
        train.main()
        return recorder

    run.glove = glove
    return run


def drawn(given: dict) -> tuple[list[int], list[int]]:
    """The texts of a repeat, which its ids name: to train on, and to validate on."""
    return given["x"][:, 0].tolist(), given["x_val"][:, 0].tolist()


def test_each_repeat_gets_a_draw_of_its_own_disjoint_from_its_validation(trained):
    repeats = trained("learned").repeats
    assert len(repeats) == REPEATS
    for given in repeats:
        samples, validation = drawn(given)
        assert len({*samples}) == SAMPLES
        assert len({*validation}) == VALIDATION
        assert not {*samples} & {*validation}
        for texts, labels in ((samples, given["y"]), (validation, given["y_val"])):
            assert labels.tolist() == [int((text - 1) % 3 == 0) for text in texts]
    assert len({tuple(drawn(given)[0]) for given in repeats}) == REPEATS


def test_what_fails_in_one_repeat_ends_the_others_that_have_not_begun(trained, monkeypatch):
    begun = []

    def fail(recorder, initial, *_, **__):
        begun.append(initial)
        raise InputError("of no use")

    monkeypatch.setattr(Recorder, "fit", fail)
    with pytest.raises(InputError, match="of no use"):
        trained("learned", train__repeats=50)
    assert len(begun) < 25


def test_every_variant_gets_the_same_draws_orders_dropout_and_upper_layers(trained):
    learned, finetuned = trained("learned").repeats, trained("finetuned").repeats
    for one, other in zip(learned, finetuned, strict=True):
        for key in ("x", "y", "x_val", "y_val", "orders", "dropped", "rates"):
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)
        for weight, other_weight in zip(one["initial"][1:], other["initial"][1:], strict=True):
            np.testing.assert_array_equal(weight, other_weight)


def test_learned_starts_anew_in_each_repeat_and_the_others_from_their_vectors(trained):
    starts = [given["initial"][0] for given in trained("learned").repeats]
    for repeat, start in enumerate(starts):
        drawn = generator_for(SEED, repeat, "embedding").random((NUM_WORDS, DIM), np.float32)
        expected = np.where(np.arange(NUM_WORDS)[:, None] > 0, (2 * drawn - 1) * 0.05, 0)
        np.testing.assert_allclose(start, expected, atol=1e-7)
    for given in trained("pretrained").repeats:
        np.testing.assert_array_equal(given["initial"][0], trained.glove)


def test_the_layers_above_start_anew_in_each_repeat(trained):
    kernels = [given["initial"][1] for given in trained("pretrained").repeats]
    assert len({kernel.tobytes() for kernel in kernels}) == REPEATS


def test_the_layers_above_are_what_keras_draws_by_a_seed_of_the_repeat(trained):
    recorder = trained("pretrained")
    [(model, *_)] = recorder.compiled
    for repeat, given in enumerate(recorder.repeats):
        number = generator_for(SEED, repeat, "layers").integers(2**32)
        keras.utils.set_random_seed(int(number))
        expected = keras.models.clone_model(model).get_weights()[1:]
        for weight, drawn_by_keras in zip(given["initial"][1:], expected, strict=True):
            np.testing.assert_array_equal(weight, drawn_by_keras)


def test_orders_and_dropout_are_anew_in_each_epoch_and_repeat(trained):
    repeats = trained("learned").repeats
    orders = [tuple(order) for given in repeats for order in given["orders"]]
    assert len(orders) == len({*orders}) == REPEATS * EPOCHS
    assert all(sorted(order) == list(range(SAMPLES)) for order in orders)
    dropped = [part for given in repeats for part in given["dropped"]]
    assert len({part.tobytes() for part in dropped}) == len(dropped)
    assert np.mean([part == 0 for part in dropped]) == pytest.approx(0.25, abs=0.03)


def test_rates_follow_the_schedule_and_the_loop_gets_what_was_asked_for(trained):
    recorder = trained("finetuned")
    [(model, *arguments)] = recorder.compiled
    assert arguments == ["adam", 0.5, 7]
    assert model.get_layer("embedding").trainable
    assert all(given["rates"] == [0.5] * EPOCHS for given in recorder.repeats)
    recorder = trained("pretrained", train__schedule="linear")
    [(model, *_)] = recorder.compiled
    assert not model.get_layer("embedding").trainable
    assert recorder.repeats[2]["rates"] == pytest.approx([0.5, 0.375, 0.25, 0.125])


def test_another_seed_draws_otherwise_and_validation_takes_what_is_left(trained):
    first = trained("learned").repeats[0]
    other = trained("learned", seed=SEED + 50, train__validation_samples=1000).repeats[0]
    assert drawn(first)[0] != drawn(other)[0]
    samples, validation = drawn(other)
    assert sorted(samples + validation) == list(range(1, N_TEXTS + 1))


def test_what_a_seed_draws_stays_as_it_was_when_results_were_published():
    expected = {
        "texts": 515, "embedding": 436, "layers": 450, "orders": 769, "dropout": 202, "folds": 899,
        "shuffle": 434, "fitted": 117,
    }  # fmt: skip
    assert {*expected} == {*DRAWN}
    assert {what: generator_for(7, 3, what).integers(1000) for what in DRAWN} == expected
    assert int(generator_for(7, 3, "orders", 2).integers(1000)) == 586


def test_what_a_repeat_gave_is_kept_under_its_own_number(trained, tmp_path):
    repeats = trained("learned").repeats
    for repeat, given in enumerate(repeats):
        path = tmp_path / f"data/models/learned/repeat_{repeat}.weights.h5"
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["layers/embedding/vars/0"][:], given["initial"][0])
    history = pd.read_csv(tmp_path / "metrics/training/learned.csv")
    assert history["repeat"].tolist() == np.repeat(range(REPEATS), EPOCHS).tolist()


TUNE = {"learning_rates": [0.4, 0.2, 9.0, 0.1], "folds": 4}


def test_what_is_tried_out_is_trained_and_scored_on_parts_of_its_own_samples(trained):
    recorder = trained("learned", train__tune=TUNE, train__epochs=8)
    assert len(recorder.tried) == REPEATS * 4 * 4
    for repeat, final in enumerate(recorder.repeats):
        own, tried = sorted(drawn(final)[0]), recorder.tried[16 * repeat :][:16]
        for candidate in range(4):
            parts = tried[4 * candidate :][:4]
            for given in parts:
                fitted, held_out = drawn(given)
                assert sorted(fitted + held_out) == own
                assert len(held_out) == SAMPLES / 4
                labels = [int((text - 1) % 3 == 0) for text in fitted + held_out]
                assert [*given["y"], *given["y_val"]] == labels
                assert given["rates"] == [TUNE["learning_rates"][candidate]] * 8
                for weight, expected in zip(given["initial"], final["initial"], strict=True):
                    np.testing.assert_array_equal(weight, expected)
            assert sorted(text for given in parts for text in drawn(given)[1]) == own
            for key in ("orders", "dropped"):
                assert len({given[key].tobytes() for given in parts}) == 4
            for given, first in zip(parts, tried, strict=False):  # every candidate gets the same
                for key in ("x", "x_val", "orders", "dropped"):
                    np.testing.assert_array_equal(given[key], first[key])


def test_the_rate_and_the_epochs_of_least_held_out_loss_are_trained(trained, tmp_path):
    recorder = trained("learned", train__tune=TUNE, train__epochs=8)
    for given in recorder.repeats:
        assert given["rates"][:3] == [0.2] * 3
        assert len(given["orders"]) == 3
    # A candidate goes on for three epochs after its best one; what diverges is given up at once.
    assert [given["epochs"] for given in recorder.tried[::4]] == [6, 6, 1, 6] * REPEATS
    table = pd.read_csv(tmp_path / "metrics/tuning/learned.csv")
    assert table.columns.tolist() == [
        "repeat", "learning_rate", "epoch", "loss", "accuracy", "chosen",
    ]  # fmt: skip
    own = table[table["repeat"] == 1]
    assert own["learning_rate"].tolist() == [0.4] * 6 + [0.2] * 6 + [0.1] * 6
    assert own["epoch"].tolist() == [1, 2, 3, 4, 5, 6] * 3
    share = 0.001 * MAXLEN / 4 * any(1 in drawn(given)[0] for given in recorder.repeats[1:2])
    expected = [
        held_out_loss(*of) + share for of in zip(own["learning_rate"], own["epoch"], strict=True)
    ]
    assert own["loss"].tolist() == pytest.approx(expected, abs=1e-6)
    assert own["accuracy"].tolist() == pytest.approx(0.6 + own["epoch"] / 100)
    assert own[own["chosen"]][["learning_rate", "epoch"]].to_numpy().tolist() == [[0.2, 3]]
    history = pd.read_csv(tmp_path / "metrics/training/learned.csv")
    assert history.groupby("repeat")["epoch"].max().tolist() == [3] * REPEATS


@pytest.mark.parametrize("changes", [{}, {"train__tune": TUNE, "train__epochs": 8}])
def test_the_bar_goes_on_with_each_epoch_and_by_what_was_given_up(trained, monkeypatch, changes):
    steps, total = [], []

    class Bar(train.tqdm):
        def update(self, n=1):
            steps.append(n)
            total.append(self.total)

    monkeypatch.setattr(train, "tqdm", Bar)
    recorder = trained("learned", **changes)
    n_epochs = sum(len(given["orders"]) for given in recorder.repeats)
    n_epochs += sum(given["epochs"] for given in recorder.tried)
    assert sum(steps) == total[0]
    assert steps.count(1) == n_epochs


def test_every_variant_tries_out_the_same_on_the_same(trained):
    learned = trained("learned", train__tune=TUNE).tried
    finetuned = trained("finetuned", train__tune=TUNE).tried
    for one, other in zip(learned, finetuned, strict=True):
        for key in ("x", "y", "x_val", "y_val", "orders", "dropped", "rates"):
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.mark.parametrize("trainable", [True, False])
def test_of_both_weightings_each_repeat_chooses_the_columns_it_starts_from(
    trained, tmp_path, monkeypatch, trainable
):
    # Of 7 columns 3 are looked up, then come 2 that are plain and 2 that are rare.
    matrix = np.random.default_rng(1).normal(size=(NUM_WORDS, 7)).astype(np.float32)
    np.save(tmp_path / "data/embeddings/adapted.npy", matrix)
    times = np.float32([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 1, 1]])
    best = [2, 1, 1]  # of each repeat

    def cost(recorder, start):
        kinds = [start[:, 3:5].any(), start[:, 5:].any()]
        bad, good = kinds if best[len(recorder.repeats)] == 2 else kinds[::-1]
        return 0.2 * bad - 0.1 * good

    monkeypatch.setattr(Recorder, "cost", cost)
    own = {"vectors": "adapted", "trainable": trainable}
    changes = {"train__tune": TUNE, "train__epochs": 8}
    changes["embed__adapted"] = {"vectors": "glove", "fitted": 2, "weighting": "both"}
    changes["variants"] = {"own": own, "learned": {"vectors": "random", "trainable": True}}
    recorder = trained("own", **changes)
    for repeat, final in enumerate(recorder.repeats):
        tried = recorder.tried[48 * repeat :][:48:4]
        for given, of in zip(tried, np.repeat(times, 4, axis=0), strict=True):
            np.testing.assert_array_equal(given["initial"][0], matrix * of)
            for weight, expected in zip(given["initial"][1:], final["initial"][1:], strict=True):
                np.testing.assert_array_equal(weight, expected)
        assert [given["rates"][0] for given in tried] == TUNE["learning_rates"] * 3
        np.testing.assert_array_equal(final["initial"][0], matrix * times[best[repeat]])
        assert (final["rates"][0], len(final["orders"])) == (0.2, 3)
    table = pd.read_csv(tmp_path / "metrics/tuning/own.csv")
    assert table.columns.tolist()[:5] == ["repeat", "learning_rate", "plain", "rare", "epoch"]
    shares = table.loc[table["repeat"] == 0, ["plain", "rare"]].drop_duplicates()
    assert shares.to_numpy().tolist() == [[1, 1], [1, 0], [0, 1]]
    trained("learned")
    matrices = read_matrices(params.load(), NUM_WORDS)  # as evaluate compares before and after
    np.testing.assert_array_equal(*matrices["own"])
    assert not matrices["learned"][0].any()  # as embed wrote it here
    trained("own", train__tune=None)
    np.testing.assert_array_equal(read_matrices(params.load(), NUM_WORDS)["own"][0], matrix)


def test_a_chosen_epoch_of_high_running_loss_has_not_diverged(trained):
    MEASURED["loss"] = 50.0
    try:
        assert len(trained("learned", train__tune=TUNE).repeats) == REPEATS
        with pytest.raises(InputError, match="training loss 50"):
            trained("learned", train__tune=None)
    finally:
        MEASURED["loss"] = 0.5


def test_where_every_candidate_diverges_one_line_says_so(trained):
    with pytest.raises(InputError) as error:
        trained("learned", train__tune={"learning_rates": [9.0, 9.0], "folds": 2})
    assert "variants.learned, repeat 0: training diverged at every rate" in str(error.value)
    assert "train.tune.learning_rates" in str(error.value)


def test_without_tuning_nothing_is_tried(trained, tmp_path):
    assert trained("learned").tried == []
    assert len(pd.read_csv(tmp_path / "metrics/tuning/learned.csv")) == 0


def test_from_2000_samples_on_one_fifth_is_held_out_once():
    tune = Tune(learning_rates=[0.1], folds=3)
    labels = np.arange(2000) % 2
    [(fitted, held_out)] = tuning.parts_of(labels, tune, np.random.default_rng(0))
    assert (len(fitted), len(held_out)) == (1600, 400)
    assert labels[held_out].sum() == 200
    assert len(tuning.parts_of(labels[:1999], tune, np.random.default_rng(0))) == 3


def test_a_candidate_that_stays_as_it_is_has_not_improved():
    same = [(0.7, 0.5)] * 99
    found = [*tuning.try_out([()], [(np.arange(2), np.arange(2))], lambda *_: iter(same))]
    assert [of.epoch for of in found] == [1, 2, 3, 4]
    assert tuning.choose(found) is found[0]
