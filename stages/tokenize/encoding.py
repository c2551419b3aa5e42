"""From texts to sequences of ids: `fit` a vocabulary on some texts, `encode` any texts by it."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.shared.schema import Tokenize
from stages.tokenize import pairs
from stages.tokenize.words import Padded, Rule, count_words, keras, pad_texts

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


def rule_of(settings: Tokenize) -> Rule:
    """Find what a word is by `tokenize.method`; raises InputError where ICU is lacking."""
    if settings.method == "keras":
        return keras(settings.lowercase)
    from stages.tokenize.unicode_words import segment  # needs a package that not all platforms have

    return Rule(partial(segment, lowercase=settings.lowercase), None)


def fit(texts: Callable[[], Texts], settings: Tokenize) -> Vocabulary:
    """Count the words of texts, and find the most frequent pairs; each calls `texts` once."""
    rule = rule_of(settings)
    table = count_words(texts(), rule)
    words, counts = (table[name].combine_chunks() for name in ("word", "count"))
    kept = pa.array([], pa.int64())
    if settings.num_bigrams:
        blocks = pad_texts(texts(), words, settings.num_words, settings.maxlen, rule)
        ids = (block.ids for block in blocks)
        kept = pairs.most_frequent(ids, settings.num_words, settings.num_bigrams)
    return Vocabulary(words, counts, kept)


def encode(texts: Texts, vocabulary: Vocabulary, settings: Tokenize) -> Iterator[Padded]:
    """Yield the texts' sequences, (n_texts, width) int32, and lengths, in order, in blocks."""
    num_words, rule = settings.num_words, rule_of(settings)
    for block in pad_texts(texts, vocabulary.words, num_words, settings.maxlen, rule):
        if settings.num_bigrams:
            of_pairs = pairs.ids(block.ids, num_words, vocabulary.pairs)
            block = block._replace(ids=np.hstack([block.ids, of_pairs]))
        yield block
