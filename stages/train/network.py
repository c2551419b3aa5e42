"""The network every variant trains: embedding, head, optional dense layer, sigmoid or softmax.

In: parameters of `model`, the size of the embedding matrix, `maxlen` and the number of labels. Out:
a `keras.Model` from token ids (n, maxlen) int32 to probabilities (n, n_units) float32, where two
labels take one unit; its weights are set by the caller.
"""

from functools import partial

from stages.train.backend import keras, tf

from keras import layers, ops

from stages.shared.errors import InputError
from stages.train import convolution
from stages.train.products import INNER, affine, part_of

# 64 filters of 5 tokens: enough for a few dozen phrases, small beside the embedding (5 * dim * 64).
CONV_FILTERS, CONV_WIDTH = 64, 5


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
    """Keras' Conv1D; files of weights know it by the name of this class."""


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


class Head:
    """What a model does above its embedding matrix, as the compiled loops do it.

    `layers` are all weights but the matrix, as `model.get_weights()` orders them.
    """

    def __init__(self, model: keras.Model):
        names = {layer.name for layer in model.layers}
        self.averaged, self.convolved = "mean" in names, "conv" in names
        below = "max" if self.convolved else "mean" if self.averaged else "embedding"
        self.above = keras.Model(model.get_layer(below).output, model.output)
        filters = model.get_layer("conv").weights if self.convolved else []
        self.n_filters, self.variables = len(filters), [*filters, *self.above.trainable_variables]

    def probability(self, features: tf.Tensor, layers: list[tf.Tensor]) -> tf.Tensor:
        """(n, n_units) float32, from the features of texts."""
        return self.above.stateless_call(layers[self.n_filters :], [], features)[0]

    def source(self, table: tf.Tensor, layers: list[tf.Tensor]) -> tf.Tensor:
        """What `features` looks up in: the matrix, or its rows projected for the convolution."""
        return convolution.project(table, layers[0]) if self.convolved else table

    def features(
        self, source: tf.Tensor, layers: list[tf.Tensor], batch: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """The features of a batch, where no gradient is needed."""
        if self.convolved:
            return convolution.pool(source, layers[1], batch["ids"])
        return self.look_up(source, batch)

    def trained_features(
        self, embedded: tf.Tensor, layers: list[tf.Tensor], batch: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """The features of a batch, from what `look_up` gives."""
        if self.convolved:
            return convolution.convolve(embedded, layers[0], layers[1], batch["ids"])
        return embedded

    def look_up(self, table: tf.Tensor, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """The batch embedded: (batch_size, maxlen, dim), or its means (batch_size, dim).

        For a convolution the words that it holds, (n_words, dim): those that `words` names. Without
        `words` the table has no other rows.
        """
        if self.convolved:
            return tf.gather(table, batch["words"]) if "words" in batch else table
        if self.averaged:
            rows = tf.gather(table, batch["ids"]) * batch["share"][:, None]
            return tf.math.unsorted_segment_sum(rows, batch["text"], batch["labels"].shape[0])
        # Piece by piece it copies whole rows; XLA fuses a larger gather, and copies each number.
        gather = partial(tf.map_fn, partial(tf.gather, table), fn_output_signature=tf.float32)
        (n, maxlen), dim = batch["ids"].shape, table.shape[1]
        width = part_of(maxlen * dim, INNER, dim)
        if width % dim:
            return gather(batch["ids"])
        # Laid out by `affine`'s parts; XLA sees that it transposes back, and leaves out both.
        parts = gather(tf.transpose(tf.reshape(batch["ids"], (n, -1, width // dim)), (1, 0, 2)))
        parts = tf.transpose(tf.reshape(parts, (-1, n, width)), (1, 0, 2))
        return tf.reshape(parts, (n, maxlen, dim))

    def look_up_gradient(
        self, upper: tf.Tensor, batch: dict[str, tf.Tensor], n_rows: int
    ) -> tf.Tensor:
        """From the gradient of `look_up` to that of its table: each row's sum over its uses."""
        ids, rows = batch["ids"], upper
        if self.convolved:
            if "words" not in batch:
                return upper
            ids = batch["words"]
        elif self.averaged:
            rows = tf.gather(upper, batch["text"]) * batch["share"][:, None]
        return tf.math.unsorted_segment_sum(
            tf.reshape(rows, (-1, rows.shape[-1])), tf.reshape(ids, [-1]), n_rows
        )
