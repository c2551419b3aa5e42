"""The heads do what their names say, at the edges too."""

from stages.train.backend import tf

import h5py
import numpy as np
import pytest

from stages.shared.errors import InputError
from stages.train.network import CONV_FILTERS, CONV_WIDTH, build_model
from stages.train.products import INNER, affine, part_of


def test_a_product_over_several_parts_is_that_of_tensorflow_and_so_are_its_gradients():
    generator = np.random.default_rng(0)
    shapes = (2 * INNER, 3 * INNER), (3 * INNER, 5), (5,)
    given = [tf.Variable(generator.normal(size=shape).astype(np.float32)) for shape in shapes]
    upper, found = generator.normal(size=(2 * INNER, 5)).astype(np.float32), []
    for product in (affine, lambda rows, kernel, bias: tf.matmul(rows, kernel) + bias):
        with tf.GradientTape() as tape:
            result = product(*given)
        found.append([result, *tape.gradient(result, given, upper)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_mean_is_over_real_tokens_and_padding_alone_gives_zeros():
    model = build_model("mean", 10, 3, 4, 0, trainable=True)
    matrix = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    tokens = np.array([[0, 0, 2, 5], [0, 0, 0, 0]])
    rows = model.get_layer("mean")(matrix[tokens], tokens)
    np.testing.assert_allclose(rows, [(matrix[2] + matrix[5]) / 2, np.zeros(3)], rtol=1e-6)


def test_conv_asks_for_sequences_as_long_as_its_filters():
    build_model("conv", 10, 3, CONV_WIDTH, 0, trainable=True)
    with pytest.raises(InputError, match=r"tokenize.maxlen of at least 5, not 4"):
        build_model("conv", 10, 3, CONV_WIDTH - 1, 0, trainable=True)


def test_no_hidden_units_means_no_hidden_layer():
    names = [layer.name for layer in build_model("flatten", 10, 3, 4, 0, trainable=True).layers]
    assert names == ["tokens", "embedding", "flatten", "probability"]


def test_files_of_weights_have_kernel_and_bias_of_the_convolution_where_they_always_were(tmp_path):
    model = build_model("conv", 10, 3, CONV_WIDTH, 0, trainable=True)
    model.save_weights(tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5") as file:
        kernel, bias = (file[f"layers/conv_by_product/vars/{i}"] for i in (0, 1))
        assert (kernel.shape, bias.shape) == ((CONV_WIDTH, 3, CONV_FILTERS), (CONV_FILTERS,))
    assert (CONV_FILTERS, CONV_WIDTH) == (64, 5)


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [(1, 1, 1), (255, 1, 255), (256, 1, 256), (300, 1, 150), (512, 1, 256), (257, 1, 1),
     (5000, 50, 250), (5000, 300, 250), (1200, 100, 200)],
)  # fmt: skip
def test_a_product_sums_over_the_largest_part_that_divides_it(size, unit, expected):
    assert part_of(size, 256, unit) == expected
