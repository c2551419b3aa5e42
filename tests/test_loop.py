"""The compiled training loop does what Keras' `model.fit` does, repeat after repeat."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from stages.train.backend import keras

import numpy as np
import pytest

from stages.predict.scoring import Scorer
from stages.train.batches import WIDTH_STEP, cut, drop_words, prepare, stacked
from stages.train.loop import SUPPORTED, Loop, initial_weights
from stages.train.machine import repeats_at_once
from stages.train.network import CONV_WIDTH, build_model

slow = pytest.mark.slow
HEADS = ("flatten", "mean", "conv")
NUM_WORDS, DIM, MAXLEN, HIDDEN_UNITS = 1000, 5, 12, 4
SAMPLES, VALIDATION, BATCH_SIZE = 40, 150, 16  # both leave a smaller last batch
LEARNING_RATE = 0.01
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, SAMPLES)
VALIDATION_REVIEWS = RNG.integers(0, NUM_WORDS, (VALIDATION, MAXLEN))
VALIDATION_LABELS = RNG.integers(0, 2, VALIDATION)
ORDERS = [RNG.permutation(SAMPLES) for _ in range(2)]
# No id occurs twice, so that every way to treat a repeated id is the same.
DISTINCT = 1 + RNG.permutation(NUM_WORDS - 1)[: SAMPLES * MAXLEN].reshape(SAMPLES, MAXLEN)
REPEATED = RNG.integers(1, 30, (SAMPLES, MAXLEN))
REPEATED[np.arange(MAXLEN) < RNG.integers(0, MAXLEN, (SAMPLES, 1))] = 0
REPEATED[3] = 0


class DenseGradientEmbedding(keras.layers.Embedding):
    """Its gradient is an array, not tf.IndexedSlices, of which Keras squares each slice alone."""

    def call(self, inputs):
        return keras.ops.take(self.embeddings * 1.0, inputs, axis=0)


def a_model(head="flatten", trainable=True, num_words=NUM_WORDS, n_labels=2):
    return build_model(head, num_words, DIM, MAXLEN, HIDDEN_UNITS, trainable, n_labels)


@cache
def weights_for(model, seed=1):
    embedding = model.get_layer("embedding")
    shape = embedding.input_dim, embedding.output_dim
    matrix = np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)
    return initial_weights(model, seed, matrix)


def run_keras(model, optimizer, x, y=LABELS, y_val=VALIDATION_LABELS, x_val=VALIDATION_REVIEWS):
    """`model.fit`, an epoch at a time on the reviews in our order: weights, history."""
    model.set_weights(weights_for(model))
    config = {"class_name": optimizer, "config": {"learning_rate": LEARNING_RATE}}
    loss = "binary" if model.output_shape[1] == 1 else "sparse_categorical"
    model.compile(config, f"{loss}_crossentropy", metrics=["accuracy"], run_eagerly=True)
    validation = x_val, y_val
    settings = {"shuffle": False, "verbose": 0, "validation_batch_size": VALIDATION}
    epochs = [
        model.fit(x[o], y[o], BATCH_SIZE, validation_data=validation, **settings).history
        for o in ORDERS
    ]
    return model.get_weights(), [{name: value[0] for name, value in h.items()} for h in epochs]


def run(fit, model, x, y=LABELS, y_val=VALIDATION_LABELS):
    return fit(weights_for(model), x, y, VALIDATION_REVIEWS, y_val, ORDERS)


def assert_same(ours, keras_fit):
    (weights, history), (keras_weights, keras_history) = ours, keras_fit
    for epoch, keras_epoch in zip(history, keras_history, strict=True):
        assert epoch == pytest.approx(keras_epoch, rel=1e-5)
    for weight, keras_weight in zip(weights, keras_weights, strict=True):
        np.testing.assert_allclose(weight, keras_weight, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("trainable", [True, False], ids=["trainable", "frozen"])
@pytest.mark.parametrize("head", HEADS)
def test_losses_and_weights_are_those_of_model_fit(head, trainable):
    model = a_model(head, trainable)
    fit = Loop(model, "rmsprop", LEARNING_RATE, BATCH_SIZE).fit
    if trainable:
        assert_same(run(fit, model, DISTINCT), run_keras(model, "rmsprop", DISTINCT))
        model.get_layer("embedding").__class__ = DenseGradientEmbedding
    ours = run(fit, model, REPEATED)
    assert_same(ours, run_keras(model, "rmsprop", REPEATED))
    assert np.array_equal(ours[0][0], weights_for(model)[0]) is not trainable


@pytest.mark.parametrize(
    "n_labels", [3, pytest.param(40, marks=slow), pytest.param(256, marks=slow)]
)
def test_many_labels_are_trained_and_scored_as_keras_does(n_labels):
    """Forty are more than the rows of a product, and no multiple of them."""
    model = a_model("mean", n_labels=n_labels)
    labels = RNG.integers(0, n_labels, SAMPLES), RNG.integers(0, n_labels, VALIDATION)
    fit = Loop(model, "sgd", LEARNING_RATE, BATCH_SIZE).fit
    ours = run(fit, model, DISTINCT, *labels)
    assert_same(ours, run_keras(model, "sgd", DISTINCT, *labels))
    model.set_weights(ours[0])
    found = Scorer(model).predict(ours[0], VALIDATION_REVIEWS)
    assert found.shape == (VALIDATION, n_labels)
    np.testing.assert_allclose(found, model.predict(VALIDATION_REVIEWS, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("sgd", marks=slow)])
def test_a_convolution_over_one_window_is_trained_as_keras_does_where_words_are_dropped(optimizer):
    model = build_model("conv", NUM_WORDS, DIM, CONV_WIDTH, 0, trainable=True, n_labels=3)
    model.get_layer("embedding").__class__ = DenseGradientEmbedding
    labels = RNG.integers(0, 3, SAMPLES), RNG.integers(0, 3, VALIDATION)
    x, x_val = REPEATED[:, -CONV_WIDTH:], VALIDATION_REVIEWS[:, -CONV_WIDTH:]
    dropped, orders = RNG.random(x.shape) < 0.3, iter(ORDERS)
    ours = Loop(model, optimizer, LEARNING_RATE, BATCH_SIZE).fit(
        weights_for(model), x, labels[0], x_val, labels[1], ORDERS,
        drop=lambda texts: np.where(dropped[next(orders)], 0, texts),
    )  # fmt: skip
    assert_same(ours, run_keras(model, optimizer, np.where(dropped, 0, x), *labels, x_val))


QUICK = ("adagrad", "adamw")  # rmsprop, adam and sgd are in the tests around


@pytest.mark.parametrize(
    "optimizer",
    [*QUICK, *(pytest.param(of, marks=slow) for of in sorted({*SUPPORTED} - {*QUICK, "rmsprop"}))],
)
def test_every_optimizer_is_that_of_keras(optimizer):
    model = a_model()
    fit = Loop(model, optimizer, LEARNING_RATE, BATCH_SIZE).fit
    assert_same(run(fit, model, DISTINCT), run_keras(model, optimizer, DISTINCT))


def test_an_unknown_optimizer_is_refused_with_those_that_would_do():
    with pytest.raises(ValueError, match=r"train.optimizer is 'ftrl': choose one of sgd, rmsprop"):
        Loop(a_model(), "ftrl", LEARNING_RATE, BATCH_SIZE)


@pytest.fixture
def traced(monkeypatch) -> list:
    """Has an item for each time that a loss is traced, as it is whenever an epoch is compiled."""
    times, loss = [], keras.losses.binary_crossentropy
    monkeypatch.setattr(
        keras.losses, "binary_crossentropy", lambda *pair: times.append(1) or loss(*pair)
    )
    return times


def test_repeats_are_compiled_once_and_are_the_same_after_longer_reviews(traced):
    model = a_model("mean")
    fit = Loop(model, "rmsprop", LEARNING_RATE, BATCH_SIZE).fit
    first, n_traced = run(fit, model, REPEATED), len(traced)
    again = run(fit, model, REPEATED)
    assert len(traced) == n_traced
    run(fit, model, DISTINCT)
    assert len(traced) > n_traced  # more ids than there was room for
    for results in (again, run(fit, model, REPEATED)):
        assert results[1] == first[1]
        assert all(map(np.array_equal, results[0], first[0]))


def test_shorter_texts_to_validate_on_are_not_compiled_anew(traced):
    model = a_model("mean")
    data, shorter = (weights_for(model), REPEATED, LABELS), DISTINCT * (np.arange(MAXLEN) % 2)
    used, unused = (Loop(model, "rmsprop", LEARNING_RATE, BATCH_SIZE) for _ in range(2))
    used.fit(*data, DISTINCT, LABELS, ORDERS)
    n_traced = len(traced)
    after, alone = (loop.fit(*data, shorter, LABELS, ORDERS) for loop in (used, unused))
    assert after[1] == alone[1]
    assert len(traced) == 2 * n_traced


def test_a_width_leaves_room_for_the_next_epoch():
    first = stacked([np.arange(200), np.arange(10)], WIDTH_STEP, filler=-1)
    assert first.shape[1] == 2 * WIDTH_STEP  # a quarter more than 200, and no step further
    assert first[1].tolist() == [*range(10)] + [-1] * (first.shape[1] - 10)
    assert stacked([np.arange(220)], first.shape[1]).shape[1] == first.shape[1]


@pytest.mark.parametrize(("head", "name"), [("mean", "rows"), ("conv", "words")])
def test_the_widths_of_an_epoch_are_those_that_the_next_begins_with(head, name):
    loop = Loop(a_model(head, trainable=name == "rows"), "sgd", LEARNING_RATE, BATCH_SIZE)
    batches = loop.cut(prepare(DISTINCT, NUM_WORDS, head == "mean"), np.float32(LABELS))
    assert loop.widths["ids"] == batches["ids"].shape[1]
    assert loop.widths["words"] == batches[name].shape[1] > WIDTH_STEP


def test_each_epoch_is_reported_as_it_ends():
    model, reported = a_model(trainable=False), []
    fit = Loop(model, "sgd", LEARNING_RATE, BATCH_SIZE).fit

    def orders():
        for number, order in enumerate(ORDERS):
            assert len(reported) == number
            yield order

    data = DISTINCT, LABELS, VALIDATION_REVIEWS, VALIDATION_LABELS
    _, history = fit(weights_for(model), *data, orders(), on_epoch=reported.append)
    assert reported == history


@pytest.mark.parametrize("head", HEADS)
def test_predictions_are_those_of_keras_for_any_number_of_reviews(head):
    model = a_model(head)
    weights = weights_for(model)
    model.set_weights(weights)
    for x in (REPEATED, VALIDATION_REVIEWS):
        probabilities = Scorer(model).predict(weights, x)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, model.predict(x, verbose=0)[:, 0], rtol=1e-5)


def test_initial_weights_are_drawn_by_keras_from_the_seed_around_the_given_matrix():
    weights = weights_for(a_model(), seed=3)
    keras.utils.set_random_seed(3)
    _, *drawn = a_model().get_weights()
    assert weights[0].std() == pytest.approx(0.1, rel=0.1)
    assert all(map(np.array_equal, weights[1:], drawn))
    assert not np.array_equal(weights[1], weights_for(a_model(), seed=4)[1])


def train_and_save(path) -> None:
    """Train a model of the default size with each head, of few and many labels, for an epoch.

    Saves the weights and the probabilities.
    """
    rng = np.random.default_rng(0)
    x, y = rng.zipf(1.2, (300, 100)) % 10_000, rng.integers(0, 2, 300)
    matrix = rng.normal(0, 0.1, (10_000, 100)).astype(np.float32)
    saved = []
    for head, n_labels in (("conv", 2), ("mean", 20), ("flatten", 256)):
        model = build_model(head, 10_000, 100, 100, 32, True, n_labels)
        fit = Loop(model, "rmsprop", 0.001, 32).fit
        weights, _ = fit(initial_weights(model, 0, matrix), x, y, x, y, [np.arange(300)])
        saved += [*weights, Scorer(model).predict(weights, np.int32(x))]
    np.savez(path, *saved)


@slow  # tests/reproduce.sh, which CI runs, does so with the whole pipeline
def test_another_process_on_one_core_gives_the_same_bytes(tmp_path):
    path = tmp_path / "there.npz"
    core = str(min(os.sched_getaffinity(0)))
    one_core = ["taskset", "-c", core] if shutil.which("taskset") else []
    code = f"from tests.test_loop import train_and_save; train_and_save({str(path)!r})"
    subprocess.run([*one_core, sys.executable, "-c", code], capture_output=True, check=True)
    train_and_save(tmp_path / "here.npz")
    saved = np.load(path), np.load(tmp_path / "here.npz")
    for name in saved[0]:
        assert saved[0][name].tobytes() == saved[1][name].tobytes()


def test_threads_at_once_give_what_each_alone_gives():
    model = a_model("mean")
    fit = Loop(model, "rmsprop", LEARNING_RATE, BATCH_SIZE).fit

    def train(seed):
        weights = weights_for(model, seed)
        return fit(weights, REPEATED, LABELS, VALIDATION_REVIEWS, VALIDATION_LABELS, ORDERS)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(train, range(8)))
    for seed, (weights, history) in enumerate(together):
        alone = train(seed)
        assert history == alone[1]
        assert all(map(np.array_equal, weights, alone[0]))


class AsBefore(dict):
    """Widths into which another thread, after each change, writes what they were."""

    def __setitem__(self, key, value):
        pass


def test_a_width_that_another_thread_writes_meanwhile_changes_nothing():
    model = a_model("mean")
    alone, raced = (Loop(model, "rmsprop", LEARNING_RATE, BATCH_SIZE) for _ in range(2))
    raced.widths = AsBefore(raced.widths)
    for reviews in (REPEATED, DISTINCT):  # of more words: the epoch is traced anew
        (weights, history), (expected, expected_history) = (
            run(loop.fit, model, reviews) for loop in (raced, alone)
        )
        assert history == expected_history
        assert all(map(np.array_equal, weights, expected))


@pytest.mark.parametrize("averaged", [True, False])
def test_a_batch_is_no_larger_than_the_texts_need(averaged):
    reviews = prepare(REPEATED, NUM_WORDS, averaged)
    batches, large = (cut(reviews, np.float32(LABELS), size) for size in (SAMPLES, 1_000_000))
    assert large["labels"].shape == (1, 64)  # a multiple of 32
    for name, values in batches.items():
        np.testing.assert_array_equal(large[name], values)
    assert cut(reviews[:0], np.float32([]), 1_000_000)["weight"].tolist() == [[0] * 32]


@pytest.mark.parametrize(
    ("allotted", "number"),
    [("", 2), ("1", 1), ("8", 2), ("1,4", 1), (" 1 ", 1), ("0", 2), ("-1", 2), ("all", 2)],
)
def test_repeats_at_once_are_what_a_scheduler_allots_if_that_is_a_number(allotted, number):
    assert repeats_at_once(allotted) == number


@pytest.mark.parametrize("head", ["flatten", "mean"])
def test_dropped_words_are_their_share_and_a_mean_is_that_of_the_rest(head):
    reviews = prepare(np.tile(REPEATED, (50, 1)), NUM_WORDS, head == "mean")
    dropped = drop_words(0.3, np.random.default_rng(0), reviews)
    if head == "flatten":
        was_word = reviews > 0
        assert 1 - (dropped > 0)[was_word].mean() == pytest.approx(0.3, abs=0.02)
        assert (dropped[dropped > 0] == reviews[dropped > 0]).all()
    else:
        assert 1 - dropped.nnz / reviews.nnz == pytest.approx(0.3, abs=0.02)
        sums = dropped.sum(axis=1)
        assert sums[sums > 0] == pytest.approx(1, rel=1e-6)
        before, after = reviews[[0]].toarray()[0], dropped[[0]].toarray()[0]
        stays = after > 0
        assert after[stays] == pytest.approx(before[stays] / before[stays].sum())
    assert drop_words(0.0, np.random.default_rng(0), reviews) is reviews


def test_a_learning_rate_of_its_own_for_each_epoch_is_used():
    model = a_model()
    fit = Loop(model, "rmsprop", LEARNING_RATE, BATCH_SIZE).fit
    data = DISTINCT, LABELS, VALIDATION_REVIEWS, VALIDATION_LABELS, ORDERS
    weights, _ = fit(weights_for(model), *data, rates=[LEARNING_RATE, 0.0])
    first_only, _ = fit(weights_for(model), *data[:-1], ORDERS[:1])
    for weight, expected in zip(weights, first_only, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_without_validation_reviews_training_is_the_same_and_their_measures_are_nan():
    model = a_model("mean")
    fit = Loop(model, "rmsprop", LEARNING_RATE, BATCH_SIZE).fit
    weights, history = fit(weights_for(model), REPEATED, LABELS, REPEATED[:0], LABELS[:0], ORDERS)
    expected, expected_history = run(fit, model, REPEATED)
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(weight, other)
    assert [row["loss"] for row in history] == [row["loss"] for row in expected_history]
    assert all(np.isnan([row["val_loss"], row["val_accuracy"]]).all() for row in history)


@pytest.mark.parametrize(
    ("head", "dim"),
    [
        ("flatten", 300),  # the only one of which a row is wider than a part of a product
        ("flatten", 25),  # two parts of a product, of six words each
        *(pytest.param(head, dim, marks=slow) for head in HEADS for dim in (255, 256)),
        *(pytest.param(head, 300, marks=slow) for head in HEADS if head != "flatten"),
    ],
)
def test_widths_at_and_beside_the_size_of_a_product_are_trained_as_keras_does(head, dim):
    model = build_model(head, NUM_WORDS, dim, MAXLEN, HIDDEN_UNITS, trainable=True)
    fit = Loop(model, "sgd", LEARNING_RATE, BATCH_SIZE).fit
    assert_same(run(fit, model, DISTINCT), run_keras(model, "sgd", DISTINCT))
