"""The network every variant trains: embedding, head, optional dense layer, sigmoid.

In: parameters of `model`, the size of the embedding matrix and `maxlen`. Out: a `keras.Model` from
token ids (n, maxlen) int32 to probabilities (n, 1) float32; its weights are set by the caller.
"""

from functools import partial

from stages.backend import keras, tf

from keras import layers, ops

from stages.shared.artifacts import InputError

# 64 filters of 5 tokens: enough for a few dozen phrases, small beside the embedding (5 * dim * 64).
CONV_FILTERS, CONV_WIDTH = 64, 5


@tf.custom_gradient
def add_bias(products, bias):
    """Add (units,) to (..., units). XLA splits a sum over rows by cores, but not a product."""

    def gradient(upper):
        rows = tf.reshape(upper, (-1, bias.shape[0]))
        return upper, tf.linalg.matvec(rows, tf.ones(tf.shape(rows)[0]), transpose_a=True)

    return products + bias, gradient


class Dense(layers.Dense):
    """Keras' Dense, with a gradient that is the same on any number of cores."""

    def call(self, inputs):
        """(n, units_before) float32 -> (n, units) float32."""
        products = ops.matmul(inputs, self.kernel)
        return self.activation(add_bias(products, tf.convert_to_tensor(self.bias)))


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
        products = ops.matmul(windows, ops.reshape(self.kernel, (-1, filters)))
        return self.activation(add_bias(products, tf.convert_to_tensor(self.bias)))


def build_model(
    head: str, num_words: int, dim: int, maxlen: int, hidden_units: int, trainable: bool
) -> keras.Model:
    """Token ids (n, maxlen) int32, 0 is padding -> probability of label 1, (n, 1) float32.

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
    if head == "flatten":
        features = layers.Flatten(name="flatten")(features)
    elif head == "mean":
        features = MeanOfTokens(name="mean")(features, tokens)
    else:
        features = ConvByProduct(CONV_FILTERS, CONV_WIDTH, activation="relu", name="conv")(features)
        features = layers.GlobalMaxPooling1D(name="max")(features)
    if hidden_units:
        features = Dense(hidden_units, activation="relu", name="hidden")(features)
    probability = Dense(1, activation="sigmoid", name="probability")(features)
    return keras.Model(tokens, probability, name="classifier")


def has_mean(model: keras.Model) -> bool:
    return any(layer.name == "mean" for layer in model.layers)


def above_look_up(model: keras.Model) -> keras.Model:
    """The layers after the embedding, or after the mean of it: what `look_up` leaves to do."""
    return keras.Model(
        model.get_layer("mean" if has_mean(model) else "embedding").output, model.output
    )


def look_up(table: tf.Tensor, batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """The batch embedded: (batch_size, maxlen, dim), or its means (batch_size, dim)."""
    if "share" in batch:
        rows = tf.gather(table, batch["ids"]) * batch["share"][:, None]
        return tf.math.unsorted_segment_sum(rows, batch["review"], batch["labels"].shape[0])
    # One review at a time copies whole rows; XLA fuses a larger gather and copies number by number.
    return tf.map_fn(partial(tf.gather, table), batch["ids"], fn_output_signature=tf.float32)


def look_up_gradient(upper: tf.Tensor, batch: dict[str, tf.Tensor], n_rows: int) -> tf.Tensor:
    """From the gradient of `look_up` to that of its table: each row's sum over its occurrences."""
    if "share" in batch:
        rows = tf.gather(upper, batch["review"]) * batch["share"][:, None]
    else:
        rows = tf.reshape(upper, (-1, upper.shape[-1]))
    return tf.math.unsorted_segment_sum(rows, tf.reshape(batch["ids"], [-1]), n_rows)
