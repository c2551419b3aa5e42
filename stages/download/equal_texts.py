"""Texts that are equal but for capitals and white space: found, counted, kept together, dropped."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROWS_AT_A_TIME = 10_000


def text_ids(texts: pa.ChunkedArray | pl.Series) -> np.ndarray:
    """Number the distinct texts in order of first appearance, (n_texts,) int64.

    Texts are compared by a hash of 64 bits: among 2.5 million, the chance that any two that differ
    are taken for equal is 2e-7.
    """
    hashes = [np.empty(0, np.uint64)]
    for start in range(0, len(texts), ROWS_AT_A_TIME):
        part = pl.Series(texts[start : start + ROWS_AT_A_TIME], dtype=pl.String)
        folded = part.str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
        hashes.append(folded.hash().to_numpy())
    _, first, inverse = np.unique(np.concatenate(hashes), return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def count(is_test: np.ndarray, label: np.ndarray, ids: np.ndarray) -> dict[str, int]:
    """Count the test texts that are in the train split too, and distinct texts with several labels.

    All three are (n_texts,): bool, int, int.
    """
    in_train = np.zeros(ids.max(initial=-1) + 1, bool)
    in_train[ids[~is_test]] = True
    return {
        "test_in_train": int(in_train[ids[is_test]].sum()),
        "two_labels": int(np.count_nonzero(of_two_labels(label, ids))),
    }


def of_two_labels(label: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Tell which distinct texts have more than one label, (n_distinct,) bool."""
    pairs = np.unique(np.stack([ids, label]), axis=1)
    return np.bincount(pairs[0], minlength=ids.max(initial=-1) + 1) > 1


def rows_to_keep(is_test: np.ndarray, label: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Choose a row for each distinct text, (n_kept,) int in order; none if it has several labels.

    If a text is in both splits, the row of the test split is kept.
    """
    order = np.lexsort([~is_test, ids])
    first = order[np.diff(ids[order], prepend=-1) > 0]
    return np.sort(first[~of_two_labels(label, ids)[ids[first]]])


def joined(groups: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Join groups that share a text, (n_texts,) int: numbered in the order of their first group.

    groups and ids are (n_texts,) int. If no two texts are equal, the groups stay as they are.
    """
    n_groups, n_nodes = groups.max(initial=-1) + 1, groups.max(initial=-1) + ids.max(initial=-1) + 2
    edges = coo_array((np.ones(len(ids), bool), (groups, n_groups + ids)), (n_nodes, n_nodes))
    component = connected_components(edges, directed=False)[1][:n_groups]
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse][groups]


def drop(table: pa.Table, ids: np.ndarray) -> pa.Table:
    """Keep of a table of texts what `rows_to_keep` chooses."""
    is_test = pc.equal(table["split"], "test").to_numpy()
    return table.take(rows_to_keep(is_test, table["label"].to_numpy(), ids))
