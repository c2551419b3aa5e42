"""Words as Keras' `Tokenizer(num_words)` and `pad_sequences(maxlen)` read them, id for id.

Every other option is at its default. They are found without TensorFlow and without a Python object
per token. Texts come as Arrow arrays without nulls, in any number of pieces, and nothing holds more
of them than one batch.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'  # the default of Keras' Tokenizer
SPACE = ord(" ")
# Lower-cases A-Z and makes each filtered character a space. In UTF-8 every byte of a character
# beyond ASCII is 128 or more, so the table may work on encoded text.
LOWER_AND_SPACE = bytes(SPACE if chr(b) in FILTERS else b for b in bytes(range(256)).lower())
EVERY_OTHER = b"\x55"  # eight bits of a validity bitmap: valid, null, valid, null, ...
BATCH_BYTES = 1 << 22  # what is made of larger batches falls out of the processor's cache
# An English word and its delimiter take 6 bytes on average, so 8 a token are seldom too few.
TAIL_BYTES_PER_TOKEN = 8


def count_words(texts: Iterable[pa.Array], batch_bytes: int = BATCH_BYTES) -> pa.Table:
    """Count each distinct word, most frequent first, equally frequent ones as first seen.

    Row i (`word` string, `count` int64) is the word of index i + 1.
    """
    parts = [pa.table({"word": pa.array([], pa.large_binary()), "count": pa.array([], pa.int64())})]
    for batch in batches(texts, batch_bytes):
        tokens, _ = tokenize(lower(batch))
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
    batch_bytes: int = BATCH_BYTES,
) -> Iterator[np.ndarray]:
    """Yield the texts' sequences in order, in blocks of (n_texts, maxlen) int32, 0 is padding.

    `words` are in order of their index, which starts at 1. A text keeps its last `maxlen` tokens
    of an index below `num_words`.
    """
    kept_words = words.slice(0, num_words - 1).cast(pa.large_binary())
    row_bytes = maxlen * np.dtype(np.int64).itemsize
    for batch in batches(texts, batch_bytes, row_bytes):
        yield pad(lower(batch), kept_words, maxlen, TAIL_BYTES_PER_TOKEN * maxlen)


def batches(texts: Iterable[pa.Array], batch_bytes: int, row_bytes: int = 1) -> Iterator[pa.Array]:
    """Cut texts into batches of about `batch_bytes`, counting `row_bytes` more for each text."""
    for piece in texts:
        ends = np.cumsum(pc.binary_length(piece).to_numpy() + np.int64(row_bytes))
        starts = np.flatnonzero(np.diff(ends // batch_bytes, prepend=-1))
        for start, stop in zip(starts, np.append(starts, len(piece))[1:], strict=True):
            yield piece.slice(start, stop - start)


def lower(texts: pa.Array) -> pa.LargeBinaryArray:
    """Lower-case texts that are not all ASCII by Python's rules, not Arrow's; return UTF-8."""
    foreign = pc.invert(pc.string_is_ascii(texts))
    lowered = [text.lower() for text in texts.filter(foreign).to_pylist()]
    texts = pc.replace_with_mask(texts, foreign, pa.array(lowered, texts.type))
    return texts.cast(pa.large_binary())


def tokenize(texts: pa.LargeBinaryArray) -> tuple[pa.LargeBinaryArray, np.ndarray]:
    """Cut texts into lower-case tokens, with a null for what stands between two of them.

    So the array's offsets are the places where tokens begin and end, and no byte is moved. The
    second array, (n_texts + 1,) int64, says where in the first each text starts, and the last ends.
    """
    one_list = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts)
    joined = pc.binary_join(one_list, pa.scalar(b" ", texts.type))[0].as_py()
    joined = joined.translate(LOWER_AND_SPACE)
    is_token = np.zeros(len(joined) + 2, dtype=bool)
    np.not_equal(np.frombuffer(joined, np.uint8), SPACE, out=is_token[1:-1])
    edges = np.flatnonzero(is_token[1:] != is_token[:-1])
    length = max(len(edges) - 1, 0)
    valid = EVERY_OTHER * (length // 8 + 1)
    buffers = [pa.py_buffer(buffer) for buffer in (valid, edges, joined)]
    tokens = pa.LargeBinaryArray.from_buffers(texts.type, length, buffers)
    text_starts = np.cumsum(np.append(0, pc.binary_length(texts).to_numpy() + 1))
    return tokens, np.searchsorted(edges, text_starts)


def pad(
    texts: pa.LargeBinaryArray, words: pa.LargeBinaryArray, maxlen: int, tail_bytes: int
) -> np.ndarray:
    """Index and pad lower-cased texts, (n_texts, maxlen) int32, by their last `tail_bytes`.

    Only a longer text with fewer than `maxlen` known tokens in these is read further back.
    """
    is_cut = pc.binary_length(texts).to_numpy() > tail_bytes
    tokens, starts = tokenize(pc.binary_slice(texts, -tail_bytes))
    indices = pc.index_in(tokens, value_set=words)
    known = np.flatnonzero(indices.is_valid())
    # The first token of a cut text may be half of one: it is skipped, and the null after it.
    first, stop = np.searchsorted(known, [starts[:-1] + 2 * is_cut, starts[1:]])
    ids = np.pad(indices.drop_null().to_numpy() + 1, (maxlen, 0))
    position = stop[:, None] + np.arange(maxlen)
    padded = np.where(position >= first[:, None] + maxlen, ids[position], 0)
    too_short = np.flatnonzero(is_cut & (stop - first < maxlen))
    if len(too_short):
        padded[too_short] = pad(texts.take(too_short), words, maxlen, 4 * tail_bytes)
    return padded


def merge(parts: list[pa.Table]) -> pa.Table:
    """Add up the counts of equal words, which stay in order of first appearance."""
    table = pa.concat_tables(parts)
    words = table["word"].combine_chunks().dictionary_encode()
    counts = np.bincount(words.indices, weights=table["count"]).astype(np.int64)
    return pa.table({"word": words.dictionary, "count": counts})
