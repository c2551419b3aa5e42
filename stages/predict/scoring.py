"""Probabilities of a trained network, by one compiled graph for all variants of the same shape."""

from functools import cache
from pathlib import Path

from stages.train.backend import keras, tf

import h5py
import numpy as np

from stages.shared.files import reading
from stages.train.batches import SCORING_BATCH, cut, prepare
from stages.train.network import Head, build_model


class Scorer:
    """Scores texts with the weights of a model; `predict` compiles at its first call."""

    def __init__(self, model: keras.Model):
        self.head = Head(model)
        self.num_words = model.get_layer("embedding").input_dim
        self.score = tf.function(self.trace_score, jit_compile=True, autograph=False)

    def trace_score(self, table, layers, batches):
        """(n_batches, SCORING_BATCH, n_units) float32: the probabilities of each text."""
        source = self.head.source(table, layers)

        def score_batch(batch):
            return self.head.probability(self.head.features(source, layers, batch), layers)

        return tf.map_fn(score_batch, batches, fn_output_signature=tf.float32)

    def predict(self, weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
        """Score x (n, maxlen) int32; weights as `model.get_weights()` has them.

        Returns the probability of label 1, (n,) float32, or of each of more labels, (n, n_labels).
        """
        table, *layers = map(tf.constant, weights)
        texts, no_labels = (
            prepare(x, self.num_words, self.head.averaged),
            np.zeros(len(x), np.float32),
        )
        batches = cut(texts, no_labels, SCORING_BATCH)
        scores = self.score(table, layers, batches).numpy()
        scores = scores.reshape(-1, scores.shape[-1])[: len(x)]
        return scores[:, 0] if scores.shape[1] == 1 else scores


@cache
def scorer(
    num_words: int, dim: int, maxlen: int, hidden_units: int, n_labels: int
) -> tuple[keras.Model, Scorer]:
    """Build the convolution of these sizes and its scorer; variants of one size share both."""
    model = build_model("conv", num_words, dim, maxlen, hidden_units, False, n_labels)
    return model, Scorer(model)


def predict(weights: Path, sequences: np.ndarray) -> np.ndarray:
    """Score sequences (n_texts, maxlen) int32 with saved weights, as `Scorer.predict` does."""
    with reading(weights):
        with h5py.File(weights) as file:
            layers = file["layers"]
            shape = layers["embedding/vars/0"].shape
            *hidden, n_units = (  # the layers of a kind are numbered
                layers[f"{name}/vars/1"].shape[0] for name in ("dense", "dense_1") if name in layers
            )
        model, own = scorer(*shape, sequences.shape[1], *(hidden or [0]), max(n_units, 2))
        model.load_weights(weights)
    return own.predict(model.get_weights(), sequences)
