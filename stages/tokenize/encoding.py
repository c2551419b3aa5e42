"""From texts to sequences of ids: `fit` a vocabulary on some texts, `encode` any texts by it."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.shared.schema import Tokenize
from stages.tokenize import pairs
from stages.tokenize.words import count_words, pad_texts

Texts = Iterable[pa.Array]  # in pieces, without nulls


class Vocabulary(NamedTuple):
    """What ids stand for: words from 1 on, pairs of words from `num_words` on, 0 is padding.

    `words` is (n_words,) string, the most frequent first, with `counts` (n_words,) int64; those
    from `num_words - 1` on are not kept. `pairs` is (n_pairs,) int64, as `pairs.pairs` writes them.
    """

    words: pa.Array
    counts: pa.Array
    pairs: pa.Array


def width(settings: Tokenize) -> int:
    """Count the ids of a sequence: `maxlen` words and, if pairs are read, those between them."""
    return settings.maxlen + (settings.maxlen - 1 if settings.num_bigrams else 0)


def fit(texts: Callable[[], Texts], settings: Tokenize) -> Vocabulary:
    """Count the words of texts, and find the most frequent pairs; each calls `texts` once."""
    table = count_words(texts())
    words, counts = (table[name].combine_chunks() for name in ("word", "count"))
    kept = pa.array([], pa.int64())
    if settings.num_bigrams:
        blocks = pad_texts(texts(), words, settings.num_words, settings.maxlen)
        kept = pairs.most_frequent(blocks, settings.num_words, settings.num_bigrams)
    return Vocabulary(words, counts, kept)


def encode(texts: Texts, vocabulary: Vocabulary, settings: Tokenize) -> Iterator[np.ndarray]:
    """Yield the texts' sequences in order, in blocks of (n_texts, width) int32."""
    for block in pad_texts(texts, vocabulary.words, settings.num_words, settings.maxlen):
        if settings.num_bigrams:
            yield np.hstack([block, pairs.ids(block, settings.num_words, vocabulary.pairs)])
        else:
            yield block
