"""What `train` gives the compiled loop: rows, labels, start, orders, dropout, rates by repeat."""

import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.sparse import csr_array

import stages.train.__main__ as train
from tests.conftest import PROJECT, edit_params

N_TEXTS, MAXLEN, DIM, NUM_WORDS = 90, 4, 3, 120
SAMPLES, VALIDATION, REPEATS, EPOCHS, SEED = 20, 30, 3, 4, 11


class Recorder:
    """Stands in for the compiled loop: notes what each repeat is trained on, and trains nothing."""

    def __init__(self):
        self.compiled, self.repeats = [], []

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
        history = [dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.5)]
        for row in history * EPOCHS:
            on_epoch(row)
        return initial, history * EPOCHS


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
    monkeypatch.setattr(train, "AT_ONCE", 1)  # so that repeats come in order

    def run(variant: str, **changes) -> Recorder:
        edit_params(tmp_path, **changes)
        recorder = Recorder()
        monkeypatch.setattr(train, "Loop", recorder)
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
        drawn = np.random.default_rng(SEED + repeat).random((NUM_WORDS, DIM), np.float32)
        expected = np.where(np.arange(NUM_WORDS)[:, None] > 0, (2 * drawn - 1) * 0.05, 0)
        np.testing.assert_allclose(start, expected, atol=1e-7)
    for given in trained("pretrained").repeats:
        np.testing.assert_array_equal(given["initial"][0], trained.glove)


def test_the_layers_above_start_anew_in_each_repeat(trained):
    kernels = [given["initial"][1] for given in trained("pretrained").repeats]
    assert len({kernel.tobytes() for kernel in kernels}) == REPEATS


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


def test_what_a_repeat_gave_is_kept_under_its_own_number(trained, tmp_path):
    repeats = trained("learned").repeats
    for repeat, given in enumerate(repeats):
        path = tmp_path / f"data/models/learned/repeat_{repeat}.weights.h5"
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["layers/embedding/vars/0"][:], given["initial"][0])
    history = pd.read_csv(tmp_path / "metrics/training/learned.csv")
    assert history["repeat"].tolist() == np.repeat(range(REPEATS), EPOCHS).tolist()
