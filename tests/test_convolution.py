"""The convolution by projected words is Keras' Conv1D with relu and its maximum over the text."""

from stages.train.backend import keras, tf

import numpy as np
import pytest

from stages.train.convolution import convolve, pool, project
from stages.train.network import CONV_FILTERS, CONV_WIDTH

N_WORDS = 64


def an_example(n=32, maxlen=12, dim=7):
    """Words, kernel, bias, and texts that padding begins; the windows of eight filters are < 0."""
    generator = np.random.default_rng(0)
    words = generator.normal(size=(N_WORDS, dim)).astype(np.float32)
    kernel = generator.normal(size=(CONV_WIDTH, dim, CONV_FILTERS)).astype(np.float32)
    bias = generator.normal(size=CONV_FILTERS).astype(np.float32)
    bias[:8] = -1000
    ids = generator.integers(1, N_WORDS, (n, maxlen)).astype(np.int32)
    ids[np.arange(maxlen) < generator.integers(0, maxlen, (n, 1))] = 0
    return words, kernel, bias, ids


def by_keras(words, kernel, bias, ids):
    """The layers of Keras: (n, filters) float32."""
    embedded = tf.gather(words, ids)
    layer = keras.layers.Conv1D(CONV_FILTERS, CONV_WIDTH, activation="relu")
    layer.build(embedded.shape)
    windows = layer.stateless_call([kernel, bias], [], embedded)[0]
    return keras.layers.GlobalMaxPooling1D()(windows)


def with_gradients(of, words, kernel, bias, ids):
    """What `of` gives, and the gradients of words, kernel and bias of a weighted sum of it."""
    upper = np.random.default_rng(1).normal(size=(len(ids), CONV_FILTERS)).astype(np.float32)

    def run(*weights):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            features = of(*weights, tf.constant(ids))
        gradients = tape.gradient(features, weights, tf.constant(upper))
        return [features, *map(tf.convert_to_tensor, gradients)]

    if of is convolve:
        run = tf.function(run, jit_compile=True, autograph=False)
    return [found.numpy() for found in run(*map(tf.constant, (words, kernel, bias)))]


@pytest.mark.parametrize(
    "sizes",
    [{}, {"n": 96}, {"maxlen": CONV_WIDTH}, {"dim": 300}],
    ids=["small", "several products of texts", "one window", "several products of words"],
)
def test_features_and_gradients_are_those_of_keras_layers(sizes):
    example = an_example(**sizes)
    found, expected = (with_gradients(of, *example) for of in (convolve, by_keras))
    for array, expected_array in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, expected_array, rtol=1e-4, atol=1e-4)


def test_a_filter_whose_windows_are_all_negative_learns_nothing():
    features, _, to_kernel, to_bias = with_gradients(convolve, *an_example())
    for array in (features, to_kernel, to_bias):
        assert not array[..., :8].any()
        assert array[..., 8:].any()


def test_the_first_of_equal_windows_gets_what_keras_shares_out_among_them():
    words, kernel, bias, _ = an_example()
    words[2] = words[1]
    ids = np.tile(np.int32([1] * CONV_WIDTH + [2] * CONV_WIDTH), (32, 1))
    ours, theirs = (with_gradients(of, words, kernel, bias, ids)[1] for of in (convolve, by_keras))
    np.testing.assert_allclose(ours[1], theirs[1] + theirs[2], rtol=1e-4, atol=1e-4)
    assert not ours[2].any()
    assert theirs[2].any()


def test_scoring_gives_the_features_of_training_for_any_number_of_words():
    words, kernel, bias, ids = an_example()
    ids %= 50
    projections = project(tf.constant(words[:50]), tf.constant(kernel))
    features = pool(projections, tf.constant(bias), tf.constant(ids))
    expected = convolve(*map(tf.constant, (words, kernel, bias, ids)))
    np.testing.assert_allclose(features, expected, rtol=1e-6)
