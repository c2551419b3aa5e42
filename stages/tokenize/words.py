"""Words as Keras' `Tokenizer(num_words)` and `pad_sequences(maxlen)` read them, id for id.

Every other option is at its default, but for `lower`. They are found without TensorFlow and without
a Python object per token. Texts come as Arrow arrays without nulls, in any number of pieces, and
nothing holds more of them than one batch. What a word is, a `Rule` says: Keras' or another.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.tokenize import casing

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'  # the default of Keras' Tokenizer
SPACE = ord(" ")
# Makes each filtered character a space, and lower-cases A-Z. In UTF-8 every byte of a character
# beyond ASCII is 128 or more, so the tables may work on encoded text.
SPACED = bytes(SPACE if chr(b) in FILTERS else b for b in range(256))
LOWER_AND_SPACED = SPACED.lower()
EVERY_OTHER = b"\x55"  # eight bits of a validity bitmap: valid, null, valid, null, ...
BATCH_BYTES = 1 << 22  # what is made of larger batches falls out of the processor's cache
# An English word and its delimiter take 6 bytes on average, so 8 a token are seldom too few.
TAIL_BYTES_PER_TOKEN = 8


class Rule(NamedTuple):
    """What a word is: what stands between blanks, when a batch of texts has been prepared.

    `prepare` gives UTF-8, of which `table` then translates the bytes; None: they stay.
    """

    prepare: Callable[[pa.Array], pa.LargeBinaryArray]
    table: bytes | None


def lower(texts: pa.Array, lowercase: casing.Lowercase) -> pa.LargeBinaryArray:
    """Lower-case texts that are not all ASCII by Python's rules, not Arrow's; return UTF-8."""
    foreign = casing.is_foreign(texts, lowercase)
    lowered = [casing.lower(text, lowercase) for text in texts.filter(foreign).to_pylist()]
    texts = pc.replace_with_mask(texts, foreign, pa.array(lowered, texts.type))
    return texts.cast(pa.large_binary())


def keras(lowercase: casing.Lowercase) -> Rule:
    """Make Keras' rule; of `lowercase`, its `lower` can be true or false."""
    if lowercase:
        return Rule(partial(lower, lowercase=lowercase), LOWER_AND_SPACED)
    return Rule(lambda texts: texts.cast(pa.large_binary()), SPACED)


KERAS = keras(lowercase=True)


class Padded(NamedTuple):
    """The sequences of some texts, and how many tokens each has, known or not."""

    ids: np.ndarray  # (n_texts, maxlen) int32, 0 is padding
    lengths: np.ndarray  # (n_texts,) int32


def count_words(
    texts: Iterable[pa.Array], rule: Rule = KERAS, batch_bytes: int = BATCH_BYTES
) -> pa.Table:
    """Count each distinct word, most frequent first, equally frequent ones as first seen.

    Row i (`word` string, `count` int64) is the word of index i + 1.
    """
    parts = [pa.table({"word": pa.array([], pa.large_binary()), "count": pa.array([], pa.int64())})]
    for batch in batches(texts, batch_bytes):
        tokens, _ = tokenize(rule.prepare(batch), rule.table)
        counts = pa.Table.from_struct_array(tokens.value_counts())  # in order of first appearance
        parts.append(counts.drop_null().rename_columns(["word", "count"]))
        # Merged when the new outgrow the old: it stays small, in time proportional to the text.
        if sum(part.nbytes for part in parts) > batch_bytes + 2 * parts[0].nbytes:
            parts = [merge(parts)]
    counts = merge(parts).sort_by([("count", "descending")])  # Arrow's sort is stable
    return counts.set_column(0, "word", counts["word"].cast(pa.string()))


def pad_texts(
    texts: Iterable[pa.Array],
    words: pa.Array | pa.ChunkedArray,
    num_words: int,
    maxlen: int,
    rule: Rule = KERAS,
    batch_bytes: int = BATCH_BYTES,
) -> Iterator[Padded]:
    """Yield the texts' sequences and lengths in order, block by block.

    `words` are in order of their index, which starts at 1. A text keeps its last `maxlen` tokens
    of an index below `num_words`.
    """
    kept_words = words.slice(0, num_words - 1).cast(pa.large_binary())
    row_bytes = maxlen * np.dtype(np.int64).itemsize
    for batch in batches(texts, batch_bytes, row_bytes):
        prepared = rule.prepare(batch)
        _, starts = tokenize(prepared, rule.table)
        lengths = (np.diff(starts) // 2).astype(np.int32)  # between two tokens is a null
        tail_bytes = TAIL_BYTES_PER_TOKEN * maxlen
        yield Padded(pad(prepared, rule.table, kept_words, maxlen, tail_bytes), lengths)


def batches(texts: Iterable[pa.Array], batch_bytes: int, row_bytes: int = 1) -> Iterator[pa.Array]:
    """Cut texts into batches of about `batch_bytes`, counting `row_bytes` more for each text."""
    for piece in texts:
        ends = np.cumsum(pc.binary_length(piece).to_numpy() + np.int64(row_bytes))
        starts = np.flatnonzero(np.diff(ends // batch_bytes, prepend=-1))
        for start, stop in zip(starts, np.append(starts, len(piece))[1:], strict=True):
            yield piece.slice(start, stop - start)


def join(texts: pa.LargeBinaryArray) -> tuple[bytes, np.ndarray]:
    """Join texts by blanks; (n_texts + 1,) int64: where each starts, and where another would."""
    one_list = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts)
    joined = pc.binary_join(one_list, pa.scalar(b" ", texts.type))[0].as_py()
    return joined, np.cumsum(np.append(0, pc.binary_length(texts).to_numpy() + 1))


def tokenize(
    texts: pa.LargeBinaryArray, table: bytes | None
) -> tuple[pa.LargeBinaryArray, np.ndarray]:
    """Cut prepared texts into tokens, with a null for what stands between two of them.

    So the array's offsets are the places where tokens begin and end, and no byte is moved. The
    second array, (n_texts + 1,) int64, says where in the first each text starts, and the last ends.
    """
    joined, text_starts = join(texts)
    joined = joined.translate(table)
    is_token = np.zeros(len(joined) + 2, dtype=bool)
    np.not_equal(np.frombuffer(joined, np.uint8), SPACE, out=is_token[1:-1])
    edges = np.flatnonzero(is_token[1:] != is_token[:-1])
    length = max(len(edges) - 1, 0)
    valid = EVERY_OTHER * (length // 8 + 1)
    buffers = [pa.py_buffer(buffer) for buffer in (valid, edges, joined)]
    tokens = pa.LargeBinaryArray.from_buffers(texts.type, length, buffers)
    return tokens, np.searchsorted(edges, text_starts)


def pad(
    texts: pa.LargeBinaryArray,
    table: bytes | None,
    words: pa.LargeBinaryArray,
    maxlen: int,
    tail_bytes: int,
) -> np.ndarray:
    """Index and pad prepared texts, (n_texts, maxlen) int32, by their last `tail_bytes`.

    Only a longer text with fewer than `maxlen` known tokens in these is read further back.
    """
    is_cut = pc.binary_length(texts).to_numpy() > tail_bytes
    tokens, starts = tokenize(pc.binary_slice(texts, -tail_bytes), table)
    indices = pc.index_in(tokens, value_set=words)
    known = np.flatnonzero(indices.is_valid())
    # The first token of a cut text may be half of one: it is skipped, and the null after it.
    first, stop = np.searchsorted(known, [starts[:-1] + 2 * is_cut, starts[1:]])
    ids = np.pad(indices.drop_null().to_numpy() + 1, (maxlen, 0))
    position = stop[:, None] + np.arange(maxlen)
    padded = np.where(position >= first[:, None] + maxlen, ids[position], 0)
    too_short = np.flatnonzero(is_cut & (stop - first < maxlen))
    if len(too_short):
        padded[too_short] = pad(texts.take(too_short), table, words, maxlen, 4 * tail_bytes)
    return padded


def merge(parts: list[pa.Table]) -> pa.Table:
    """Add up the counts of equal words, which stay in order of first appearance."""
    table = pa.concat_tables(parts)
    words = table["word"].combine_chunks().dictionary_encode()
    counts = np.bincount(words.indices, weights=table["count"]).astype(np.int64)
    return pa.table({"word": words.dictionary, "count": counts})
