"""The network every variant trains: embedding, head, optional dense layer, sigmoid or softmax.

In: parameters of `model`, the size of the embedding matrix, `maxlen` and the number of labels. Out:
a `keras.Model` from token ids (n, maxlen) int32 to probabilities (n, n_units) float32, where two
labels take one unit; its weights are set by the caller.
"""

from functools import partial

from stages.train.backend import keras, tf

from keras import layers, ops

from stages.shared.errors import InputError
from stages.train.batches import ROWS

# 64 filters of 5 tokens: enough for a few dozen phrases, small beside the embedding (5 * dim * 64).
CONV_FILTERS, CONV_WIDTH = 64, 5
# Eigen cuts a product into blocks by the size of the processor's caches, and that decides the order
# of its sums. Products that are this small came out the same, bit for bit, for caches of 32 to 64
# KiB at the first level, 256 KiB to 4 MiB at the second, 0 to 32 MiB at the third.
INNER = 256  # numbers that a product sums over; its rows are at most ROWS


def part_of(size: int, most: int, unit: int = 1) -> int:
    """The largest divisor of `size` up to `most`, a multiple of `unit` if there is such a one."""
    parts = [part for part in range(1, min(size, most) + 1) if size % part == 0]
    return max([part for part in parts if part % unit == 0] or parts)


def affine(rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, unit: int = 1) -> tf.Tensor:
    """(n, k), (k, units), (units,) float32 -> (n, units): rows kernel + bias.

    It and its gradients are sums of products that have at most ROWS rows and sum over at most
    INNER numbers, whole `unit`s of them where that is possible. n is a multiple of ROWS.
    """
    (n, k), units = rows.shape, kernel.shape[1]
    if n is None:  # Keras' own loop, as in `model.predict`
        return tf.matmul(rows, kernel) + bias
    width, height = part_of(k, INNER, unit), part_of(n, INNER)
    n_parts = k // width
    cuts = [slice(start, start + ROWS) for start in range(0, units, ROWS)]

    def gradient(parts, kernel, upper):
        kernels = tf.reshape(kernel, (n_parts, width, units))

        def to_chunk(chunk):
            chunks = tf.broadcast_to(chunk, (n_parts, *chunk.shape))
            products = tf.matmul(chunks, kernels, transpose_b=True)
            return tf.reshape(tf.transpose(products, (1, 0, 2)), (-1, k))

        to_rows = tf.map_fn(to_chunk, tf.reshape(upper, (-1, min(n, ROWS), units)))
        uppers = tf.reshape(upper, (-1, height, units))
        # XLA splits a sum over rows by the number of cores, but not a product.
        to_bias = tf.linalg.matvec(uppers, tf.ones(uppers.shape[:2]), transpose_a=True)
        uppers = tf.broadcast_to(uppers, (n_parts, *uppers.shape))
        uppers = tf.reshape(uppers, (-1, height, units))
        parts = tf.reshape(parts, (-1, height, width))
        products = [tf.matmul(uppers[..., cut], parts, transpose_a=True) for cut in cuts]
        to_kernel = tf.reshape(tf.concat(products, axis=1), (n_parts, -1, units, width))
        to_kernel = tf.transpose(tf.reduce_sum(to_kernel, axis=1), (0, 2, 1))
        return (
            tf.reshape(to_rows, rows.shape),
            tf.reshape(to_kernel, kernel.shape),
            tf.reduce_sum(to_bias, axis=0),
        )

    @tf.custom_gradient
    def by_parts(rows, kernel, bias):
        parts = tf.transpose(tf.reshape(rows, (n, n_parts, width)), (1, 0, 2))
        kernels = tf.reshape(kernel, (n_parts, width, units))
        if n <= ROWS:
            products = tf.reduce_sum(tf.matmul(parts, kernels), axis=0)
        else:
            products = [
                tf.matmul(kernels[..., cut], parts, transpose_a=True, transpose_b=True)
                for cut in cuts
            ]
            products = tf.transpose(tf.reduce_sum(tf.concat(products, axis=1), axis=0))
        return products + bias, lambda upper: gradient(parts, kernel, upper)

    return by_parts(rows, kernel, bias)


class Dense(layers.Dense):
    """Keras' Dense, with a result and a gradient that are the same on any processor."""

    def __init__(self, units: int, unit: int = 1, **kwargs):
        super().__init__(units, **kwargs)
        self.unit = unit

    def call(self, inputs):
        """(n, units_before) float32 -> (n, units) float32."""
        kernel, bias = map(tf.convert_to_tensor, (self.kernel, self.bias))
        return self.activation(affine(inputs, kernel, bias, self.unit))


class MeanOfTokens(layers.Layer):
    """Average of the embeddings of real tokens; id 0 is padding, padding alone gives zeros."""

    def call(self, embedded, tokens):
        """(n, maxlen, dim) float32 and (n, maxlen) int -> (n, dim) float32."""
        real = ops.cast(ops.not_equal(tokens, 0), embedded.dtype)[..., None]
        return ops.sum(embedded * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1)


class ConvByProduct(layers.Conv1D):
    """Conv1D as one matrix product: a convolution's gradient is slow in an XLA loop on a CPU."""

    def call(self, inputs):
        """(n, maxlen, dim) float32 -> (n, maxlen - width + 1, filters) float32."""
        width, _, filters = self.kernel.shape
        n_windows = inputs.shape[1] - width + 1
        windows = ops.concatenate([inputs[:, i : i + n_windows] for i in range(width)], axis=-1)
        kernel = tf.reshape(self.kernel, (-1, filters))
        windows = tf.reshape(windows, (-1, kernel.shape[0]))
        products = affine(windows, kernel, tf.convert_to_tensor(self.bias))
        return self.activation(tf.reshape(products, (-1, n_windows, filters)))


def build_model(
    head: str,
    num_words: int,
    dim: int,
    maxlen: int,
    hidden_units: int,
    trainable: bool,
    n_labels: int = 2,
) -> keras.Model:
    """Token ids (n, maxlen) int32, 0 is padding -> probability of label 1, (n, 1) float32.

    Of more than two labels it is the probability of each, (n, n_labels).

    Raises InputError for `conv` on sequences shorter than its filters.
    """
    if head == "conv" and maxlen < CONV_WIDTH:
        raise InputError(
            f"params.yaml: model.head conv needs tokenize.maxlen of at least {CONV_WIDTH},"
            f" not {maxlen}"
        )
    tokens = keras.Input((maxlen,), dtype="int32", name="tokens")
    embedding = layers.Embedding(num_words, dim, trainable=trainable, name="embedding")
    features = embedding(tokens)
    unit = dim if head == "flatten" else 1
    if head == "flatten":
        features = layers.Flatten(name="flatten")(features)
    elif head == "mean":
        features = MeanOfTokens(name="mean")(features, tokens)
    else:
        features = ConvByProduct(CONV_FILTERS, CONV_WIDTH, activation="relu", name="conv")(features)
        features = layers.GlobalMaxPooling1D(name="max")(features)
    if hidden_units:
        features = Dense(hidden_units, unit, activation="relu", name="hidden")(features)
        unit = 1
    n_units, activation = (1, "sigmoid") if n_labels == 2 else (n_labels, "softmax")
    probability = Dense(n_units, unit, activation=activation, name="probability")(features)
    return keras.Model(tokens, probability, name="classifier")


def has(model: keras.Model, name: str) -> bool:
    """Tell whether a model has a layer of this name."""
    return any(layer.name == name for layer in model.layers)


def above_look_up(model: keras.Model) -> keras.Model:
    """The layers after the embedding, or after the mean of it: what `look_up` leaves to do."""
    return keras.Model(
        model.get_layer("mean" if has(model, "mean") else "embedding").output, model.output
    )


def look_up(table: tf.Tensor, batch: dict[str, tf.Tensor], flat: bool) -> tf.Tensor:
    """The batch embedded: (batch_size, maxlen, dim), or its means (batch_size, dim).

    `flat` says that it will be flattened.
    """
    if "share" in batch:
        rows = tf.gather(table, batch["ids"]) * batch["share"][:, None]
        return tf.math.unsorted_segment_sum(rows, batch["text"], batch["labels"].shape[0])
    # Piece by piece it copies whole rows; XLA fuses a larger gather and copies number by number.
    gather = partial(tf.map_fn, partial(tf.gather, table), fn_output_signature=tf.float32)
    (n, maxlen), dim = batch["ids"].shape, table.shape[1]
    width = part_of(maxlen * dim, INNER, dim)
    if not flat or width % dim:
        return gather(batch["ids"])
    # Laid out by `affine`'s parts; XLA sees that it transposes back, and leaves out both.
    parts = gather(tf.transpose(tf.reshape(batch["ids"], (n, -1, width // dim)), (1, 0, 2)))
    parts = tf.transpose(tf.reshape(parts, (-1, n, width)), (1, 0, 2))
    return tf.reshape(parts, (n, maxlen, dim))


def look_up_gradient(upper: tf.Tensor, batch: dict[str, tf.Tensor], n_rows: int) -> tf.Tensor:
    """From the gradient of `look_up` to that of its table: each row's sum over its occurrences."""
    if "share" in batch:
        rows = tf.gather(upper, batch["text"]) * batch["share"][:, None]
    else:
        rows = tf.reshape(upper, (-1, upper.shape[-1]))
    return tf.math.unsorted_segment_sum(rows, tf.reshape(batch["ids"], [-1]), n_rows)
