"""Pairs of adjacent words, read as tokens of their own beside the words.

In: padded sequences of word ids. Out: the most frequent pairs, and where in a sequence they are.
A pair is two neighbours in a sequence, also if a word that is not kept stood between them.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_NEW = 1 << 20  # counts of pairs, 16 bytes each, that wait to be merged


def pairs(sequences: np.ndarray, num_words: int) -> np.ndarray:
    """(n, maxlen) ids -> (n, maxlen - 1) int64: `first * num_words + second`, 0 beside padding."""
    first, second = sequences[:, :-1].astype(np.int64), sequences[:, 1:]
    return np.where((first > 0) & (second > 0), first * num_words + second, 0)


def most_frequent(blocks: Iterable[np.ndarray], num_words: int, num_bigrams: int) -> pa.Array:
    """Find the `num_bigrams` most frequent pairs, of equally frequent ones the smaller; int64.

    blocks of (n, maxlen) int32, 0 is padding; there may be fewer pairs than asked for.
    """
    merged = pa.table({"values": pa.array([], pa.int64()), "counts": pa.array([], pa.int64())})
    parts, n_new = [], 0
    for block in blocks:
        found = pairs(block, num_words)
        parts.append(pa.Table.from_struct_array(pa.array(found[found > 0]).value_counts()))
        n_new += len(parts[-1])
        if n_new > MOST_NEW + len(merged):  # stays small, in time proportional to the text
            merged, parts, n_new = merge([merged, *parts]), [], 0
    order = [("counts", "descending"), ("values", "ascending")]
    counts = merge([merged, *parts]).sort_by(order)
    return counts["values"][:num_bigrams].combine_chunks()


def merge(parts: list[pa.Table]) -> pa.Table:
    """Add up the counts of equal values."""
    counts = pa.concat_tables(parts).group_by("values", use_threads=False)
    return counts.aggregate([("counts", "sum")]).rename_columns(["values", "counts"])


def ids(sequences: np.ndarray, num_words: int, kept: pa.Array) -> np.ndarray:
    """(n, maxlen) words -> (n, maxlen - 1) int32: `num_words + i` where `kept[i]` is, or 0."""
    found = pc.index_in(pa.array(pairs(sequences, num_words).ravel()), value_set=kept)
    return (
        pc.fill_null(pc.add(found, pa.scalar(num_words, pa.int32())), 0)
        .to_numpy()
        .reshape(len(sequences), -1)
    )
