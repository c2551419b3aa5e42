"""Texts as the compiled loops take them: mini-batches of equal size, in arrays.

In: sequences of ids, 0 is padding. Out: of each batch the ids to look up, and for a mean each id's
share of its text.
"""

import numpy as np
from scipy.sparse import csr_array

ROWS = 32  # of a matrix product; `stages.train.products` says why
SCORING_BATCH = ROWS  # so many embedded texts stay within a CPU's cache
WIDTH_STEP = 128  # widths are multiples of it, so that they seldom change from epoch to epoch

Batches = dict[str, np.ndarray]


def prepare(x: np.ndarray, num_words: int, averaged: bool) -> np.ndarray | csr_array:
    """What does not depend on the order of the texts: (n, maxlen) int32, or `token_shares`."""
    x = np.asarray(x, np.int32)
    return token_shares(x, num_words) if averaged else x


def token_shares(x: np.ndarray, num_words: int) -> csr_array:
    """(n, maxlen) int32 -> (n, num_words) float32: each word's share of a text's real tokens."""
    real = x != 0
    n_real = real.sum(axis=1)
    shares = np.repeat(1 / np.maximum(n_real, 1), n_real).astype(np.float32)
    bounds = np.concatenate([[0], np.cumsum(n_real)]).astype(np.int32)
    table = csr_array((shares, x[real], bounds), shape=(len(x), num_words))
    table.sum_duplicates()
    return table


def drop_words(
    rate: float, generator: np.random.Generator, texts: np.ndarray | csr_array
) -> np.ndarray | csr_array:
    """Leave out each word of what `prepare` returned with probability `rate`.

    For a mean, a word is left out wherever it occurs in a text, and the mean is that of the words
    that stay (Iyyer et al., "Deep unordered composition rivals syntactic methods for text
    classification", ACL 2015, 1681-1691, section 3.2).
    """
    if not rate:
        return texts
    if isinstance(texts, np.ndarray):
        return np.where(generator.random(texts.shape, np.float32) < rate, 0, texts)
    kept = texts.copy()
    kept.data[generator.random(kept.nnz, np.float32) < rate] = 0
    kept.eliminate_zeros()
    kept.data /= np.repeat(kept.sum(axis=1), np.diff(kept.indptr))
    return kept


def in_batches(values: np.ndarray, batch_size: int) -> np.ndarray:
    """(n, ...) -> (batches, at least batch_size, ...), one batch at least.

    Zeros fill the last one, and make the size of each a multiple of ROWS.
    """
    n_batches = max(-(-len(values) // batch_size), 1)
    filled = np.zeros((n_batches * batch_size, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    batches = filled.reshape(n_batches, batch_size, *values.shape[1:])
    spare = [(0, 0), (0, -batch_size % ROWS), *[(0, 0)] * (values.ndim - 1)]
    return np.pad(batches, spare)


def stacked(rows: list[np.ndarray], width: int, filler: int = 0) -> np.ndarray:
    """Rows of several lengths -> (len(rows), width); if `width` is too narrow, a wider one.

    It has room to spare, so that the next epoch fits too: another width is compiled again.
    """
    longest = max(map(len, rows))
    if longest > width:
        width = -(-longest * 5 // 4 // WIDTH_STEP) * WIDTH_STEP
    filled = np.full((len(rows), width), filler, rows[0].dtype)
    for whole, part in zip(filled, rows, strict=True):
        whole[: len(part)] = part
    return filled


def cut(
    texts: np.ndarray | csr_array, y: np.ndarray, batch_size: int, width: int = WIDTH_STEP
) -> Batches:
    """Texts from `prepare`, labels and weights, batch by batch; what fills up has weight 0.

    `ids` is (batches, batch_size, maxlen), or (batches, width) with a `share` of a `text` each.
    """
    batch_size = min(batch_size, max(len(y), 1))  # a larger one would take memory for nothing
    weight = np.ones(len(y), np.float32)
    batches = {"labels": in_batches(y, batch_size), "weight": in_batches(weight, batch_size)}
    if isinstance(texts, np.ndarray):
        return batches | {"ids": in_batches(texts, batch_size)}
    text = np.repeat(np.arange(len(y), dtype=np.int32) % batch_size, np.diff(texts.indptr))
    columns = {"ids": texts.indices, "share": texts.data, "text": text}
    bounds = texts.indptr[batch_size:-1:batch_size]
    return batches | {k: stacked(np.split(v, bounds), width) for k, v in columns.items()}


def compact(ids: np.ndarray, num_words: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids (batches, ...) -> the distinct ids of each batch (batches, width), and where `ids` are.

    `num_words` fills up the distinct ids. It is beyond the matrix: XLA reads the last row for it,
    and drops what is written to it.
    """
    present, position = np.zeros(num_words, bool), np.empty(num_words, np.int32)
    distinct, positions = [], np.empty_like(ids)
    for batch, positions_in_batch in zip(ids, positions, strict=True):
        present[batch] = True
        rows = np.flatnonzero(present)
        present[rows] = False
        position[rows] = np.arange(len(rows))
        positions_in_batch[:] = position[batch]
        distinct.append(rows)
    return stacked(distinct, width, num_words).astype(np.int32), positions
