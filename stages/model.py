"""The network every variant trains: embedding, head, optional dense layer, sigmoid.

In: parameters of `model`, the size of the embedding matrix and `maxlen`. Out: a `keras.Model` from
token ids (n, maxlen) int32 to probabilities (n, 1) float32; its weights are set by the caller.
"""

from stages.backend import keras

from keras import layers, ops

HEADS = ("flatten", "mean", "conv")
# 64 filters of 5 tokens: enough for a few dozen phrases, small beside the embedding (5 * dim * 64).
CONV_FILTERS, CONV_WIDTH = 64, 5


class MeanOfTokens(layers.Layer):
    """Average of the embeddings of real tokens; id 0 is padding, padding alone gives zeros."""

    def call(self, embedded, tokens):
        """(n, maxlen, dim) float32 and (n, maxlen) int -> (n, dim) float32."""
        real = ops.cast(ops.not_equal(tokens, 0), embedded.dtype)[..., None]
        return ops.sum(embedded * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1)


def build_model(
    head: str, num_words: int, dim: int, maxlen: int, hidden_units: int, trainable: bool
) -> keras.Model:
    """Token ids (n, maxlen) int32, 0 is padding -> probability of label 1, (n, 1) float32.

    Raises ValueError for an unknown head, and for `conv` on sequences shorter than its filters.
    """
    if head not in HEADS:
        raise ValueError(f"model.head is {head!r}: choose one of {', '.join(HEADS)}")
    if head == "conv" and maxlen < CONV_WIDTH:
        raise ValueError(f"model.head conv needs tokenize.maxlen >= {CONV_WIDTH}, not {maxlen}")
    tokens = keras.Input((maxlen,), dtype="int32", name="tokens")
    embedding = layers.Embedding(num_words, dim, trainable=trainable, name="embedding")
    features = embedding(tokens)
    if head == "flatten":
        features = layers.Flatten(name="flatten")(features)
    elif head == "mean":
        features = MeanOfTokens(name="mean")(features, tokens)
    else:
        features = layers.Conv1D(CONV_FILTERS, CONV_WIDTH, activation="relu", name="conv")(features)
        features = layers.GlobalMaxPooling1D(name="max")(features)
    if hidden_units:
        features = layers.Dense(hidden_units, activation="relu", name="hidden")(features)
    probability = layers.Dense(1, activation="sigmoid", name="probability")(features)
    return keras.Model(tokens, probability, name="classifier")
