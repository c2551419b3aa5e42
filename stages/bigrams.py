"""Pairs of adjacent words, read as tokens of their own beside the words.

In: padded sequences of word ids. Out: the most frequent pairs, and where in a sequence they are.
A pair is two neighbours in a sequence: a word that is not kept does not part them.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_A_TIME = 2_000  # so many sequences of 1,000 words are 16 MB of pairs


def pairs(sequences: np.ndarray, num_words: int) -> np.ndarray:
    """(n, maxlen) ids -> (n, maxlen - 1) int64: `first * num_words + second`, 0 beside padding."""
    first, second = sequences[:, :-1].astype(np.int64), sequences[:, 1:]
    return np.where((first > 0) & (second > 0), first * num_words + second, 0)


def blocks(sequences: np.ndarray) -> Iterator[slice]:
    """Slice the rows of `sequences` into pieces of ROWS_AT_A_TIME."""
    for start in range(0, len(sequences), ROWS_AT_A_TIME):
        yield slice(start, start + ROWS_AT_A_TIME)


def most_frequent(sequences: np.ndarray, num_words: int, num_bigrams: int) -> pa.Array:
    """Find the `num_bigrams` most frequent pairs, of equally frequent ones the smaller; int64.

    sequences (n, maxlen) int32, 0 is padding; there may be fewer pairs than asked for.
    """
    counts = pa.table({"values": pa.array([], pa.int64()), "counts": pa.array([], pa.int64())})
    for rows in blocks(sequences):
        found = pairs(sequences[rows], num_words)
        new = pa.Table.from_struct_array(pa.array(found[found > 0]).value_counts())
        counts = pa.concat_tables([counts, new]).group_by("values", use_threads=False)
        counts = counts.aggregate([("counts", "sum")]).rename_columns(["values", "counts"])
    order = [("counts", "descending"), ("values", "ascending")]
    return counts.sort_by(order)["values"][:num_bigrams].combine_chunks()


def ids(sequences: np.ndarray, num_words: int, kept: pa.Array) -> np.ndarray:
    """(n, maxlen) words -> (n, maxlen - 1) int32: `num_words + i` where `kept[i]` is, or 0."""
    found = pc.index_in(pa.array(pairs(sequences, num_words).ravel()), value_set=kept)
    return (
        pc.fill_null(pc.add(found, pa.scalar(num_words, pa.int32())), 0)
        .to_numpy()
        .reshape(len(sequences), -1)
    )
