"""A Keras model of texts, made of Keras' own layers and operations: it loads wherever Keras does.

Keras' Tokenizer cuts texts where no layer of Keras does, and keeps the last words where
TextVectorization keeps the first. So texts are cut into characters, and words are found by
arithmetic: the hash of a word is the sum of its characters' codes, each times a power of a base by
its place in the word, modulo 2 ** 64. Of the hashes of 10,000 words and of as many others, two are
equal once in 10 ** 11 times; those of the vocabulary are checked.

What differs from Python's lower case: a capital sigma at the end of a word, and a capital I with a
dot, which is two characters in lower case.
"""

from pathlib import Path

from stages.train.backend import keras

import h5py
import numpy as np
from keras import layers, ops

from stages.shared.files import reading
from stages.shared.schema import Tokenize
from stages.tokenize.casing import Lowercase, lower
from stages.tokenize.encoding import Vocabulary, width
from stages.tokenize.words import FILTERS

SEPARATORS = f" {FILTERS}"
EVERY = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]  # no half of one
MODULUS = 1 << 64


def signed(number: int) -> int:
    """Write a number modulo 2 ** 64 as int64 has it."""
    return (number + MODULUS // 2) % MODULUS - MODULUS // 2


class Hashing:
    """Codes of characters and hashes of words; the codes are drawn, always the same."""

    def __init__(self, words: list[str], lowercase: Lowercase):
        generator = np.random.default_rng(0)
        known = sorted({character for word in words for character in word})
        drawn = generator.integers(1, MODULUS // 2, len(known) + 1).tolist()
        self.base = int(generator.integers(MODULUS // 2)) * 2 + 1  # odd, so that it has an inverse
        code_of = dict(zip(known, drawn, strict=False))
        self.letters = [c for c in EVERY if lower(c, lowercase) in code_of and c not in SEPARATORS]
        codes = [code_of[lower(c, lowercase)] for c in self.letters]
        unknown = drawn[-1]  # a code of no word's characters, and not that of a separator, 0
        self.codes = np.array([0, unknown, *[0] * len(SEPARATORS), *codes], np.int64)
        hashes = [self.hash_of([code_of[character] for character in word]) for word in words]
        self.order = np.argsort(np.array(hashes, np.int64))
        self.hashes = np.array(hashes, np.int64)[self.order]
        assert (self.hashes[1:] > self.hashes[:-1]).all()  # a difference may overflow

    def hash_of(self, codes: list[int]) -> int:
        """Hash the codes of a word's characters."""
        return signed(sum(code * pow(self.base, i, MODULUS) for i, code in enumerate(codes, 1)))


def flat(values: keras.KerasTensor) -> keras.KerasTensor:
    return ops.reshape(values, (-1,))


def words_of(texts: keras.KerasTensor, words: list[str], lowercase: Lowercase) -> keras.KerasTensor:
    """Texts (n,) string -> (n, longest + 1) int64: the id of each word, in the place before it.

    All else is 0.
    """
    hashing = Hashing(words, lowercase)
    vectorization = layers.TextVectorization(
        standardize=None, split="character", vocabulary=[*SEPARATORS, *hashing.letters],
        name="characters",
    )  # fmt: skip
    codes = ops.take(hashing.codes, vectorization(texts))
    codes = ops.pad(codes, ((0, 0), (1, 0)))  # a separator before the first word
    starts = ops.cast(ops.equal(codes, 0), "int64")
    ones = ops.ones_like(codes)
    powers = ops.cumprod(ones * np.int64(signed(hashing.base)), axis=1)
    inverse = ops.cumprod(ones * np.int64(signed(pow(hashing.base, -1, MODULUS))), axis=1)
    # Number the words of all texts: a word begins with the separator before it.
    n_words = ops.sum(starts, axis=1, keepdims=True)
    n_before = ops.cumsum(n_words, axis=0) - n_words
    # Not a sum: Keras' own takes (n, 1) for a bias, (n,), where n is the other's width.
    word = ops.cumsum(starts, axis=1) - (1 - n_before)
    sums = ops.segment_sum(flat(codes * powers), flat(word), sorted=True)
    shifts = ops.segment_sum(flat(starts * inverse), flat(word), sorted=True)
    hashes = sums * shifts
    place = ops.minimum(ops.searchsorted(hashing.hashes, hashes), len(words) - 1)
    is_known = ops.equal(ops.take(hashing.hashes, place), hashes)
    ids = ops.where(is_known, ops.take(hashing.order + 1, place), 0)
    return ops.take(ids, word) * starts


def last_of(ids: keras.KerasTensor, maxlen: int) -> keras.KerasTensor:
    """Keep the last `maxlen` of the ids that are not 0: (n, any) -> (n, maxlen), 0 stands first."""
    ids = ops.pad(ids, ((0, 0), (maxlen, 0)))
    place = ops.where(ops.greater(ids, 0), ops.cumsum(ops.ones_like(ids), axis=1), 0)
    _, last = ops.top_k(place, maxlen)
    return ops.flip(ops.take_along_axis(ids, ops.cast(last, "int64"), axis=1), axis=1)


def with_pairs(ids: keras.KerasTensor, num_words: int, pairs: np.ndarray) -> keras.KerasTensor:
    """Put the ids of pairs behind those of words; pairs (n_pairs,) int64, as the vocabulary's."""
    first, second = ids[:, :-1], ids[:, 1:]
    both = ops.logical_and(ops.greater(first, 0), ops.greater(second, 0))
    found = ops.where(both, first * num_words + second, 0)
    order = np.argsort(pairs)
    place = ops.minimum(ops.searchsorted(pairs[order], flat(found)), len(pairs) - 1)
    is_known = ops.equal(ops.take(pairs[order], place), flat(found))
    of_pairs = ops.where(is_known, ops.take(order + num_words, place), 0)
    of_pairs = ops.reshape(of_pairs, (-1, first.shape[1]))
    return ops.concatenate([ids, of_pairs], axis=1)


def probabilities(ids: keras.KerasTensor, path: Path, head: str, name: str) -> keras.KerasTensor:
    """Ids (n, width) -> each label's probability, (n, n_labels), by the weights of a repeat."""
    with reading(path), h5py.File(path) as file:
        saved = {key: [of["vars"][i][:] for i in of["vars"]] for key, of in file["layers"].items()}
    [table], dense = saved["embedding"], [saved[k] for k in ("dense", "dense_1") if k in saved]
    features = with_weights(layers.Embedding(*table.shape, name=f"embedding_{name}"), [table], ids)
    if head == "flatten":
        features = layers.Flatten()(features)
    elif head == "mean":
        real = ops.expand_dims(ops.cast(ops.not_equal(ids, 0), "float32"), -1)
        n_real = ops.maximum(ops.sum(real, axis=1), 1)
        features = ops.sum(features * real, axis=1) / n_real
    else:
        [conv] = (of for of in saved.values() if of and of[0].ndim == 3)
        size, _, filters = conv[0].shape
        features = with_weights(layers.Conv1D(filters, size, activation="relu"), conv, features)
        features = layers.GlobalMaxPooling1D()(features)
    for weights in dense[:-1]:
        features = with_weights(layers.Dense(weights[1].size, "relu"), weights, features)
    n_units = dense[-1][1].size
    last = layers.Dense(n_units, "sigmoid" if n_units == 1 else "softmax")
    found = with_weights(last, dense[-1], features)
    return ops.concatenate([1 - found, found], axis=1) if n_units == 1 else found


def with_weights(
    layer: keras.Layer, weights: list[np.ndarray], inputs: keras.KerasTensor
) -> keras.KerasTensor:
    """Apply a layer that has these weights."""
    outputs = layer(inputs)
    layer.set_weights(weights)
    return outputs


def build(
    weights: list[Path], head: str, vocabulary: Vocabulary, settings: Tokenize
) -> keras.Model:
    """Build the model of some repeats, whose probabilities it averages: (n, n_labels) float32.

    It takes texts, (n,) string, where words are found by Keras' rule, and else token ids,
    (n, width) int32.
    """
    if settings.method == "keras":
        words = vocabulary.words[: settings.num_words - 1].to_pylist()
        inputs = keras.Input((), dtype="string", name="text")
        ids = last_of(words_of(inputs, words, settings.lowercase), settings.maxlen)
        if settings.num_bigrams:
            ids = with_pairs(ids, settings.num_words, vocabulary.pairs.to_numpy())
    else:
        ids = inputs = keras.Input((width(settings),), dtype="int32", name="tokens")
    each = [probabilities(ids, path, head, str(i)) for i, path in enumerate(weights)]
    outputs = layers.Average(name="mean")(each) if len(each) > 1 else each[0]
    return keras.Model(inputs, outputs, name="classifier")
