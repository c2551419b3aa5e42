"""Find the words of the text among the words that have a vector: exactly, or folded.

What is found is (n_words, 2) int64, two rows of the vectors for each word: its vector is their
mean. That is one row twice, but for a contraction that is looked up in parts; -1: it has none.
"""

import re
import unicodedata
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# As the Penn Treebank and the tokenizer of GloVe's corpora part them: do n't, ca n't, it 's.
CONTRACTION = re.compile("(.+)(n't|'(?:s|m|re|ve|ll|d))", re.DOTALL)


def find(words: pa.Array, vector_words: pa.Array, match: Literal["exact", "folded"]) -> np.ndarray:
    """Find the two rows of each word; of vector words that are equal, folded or not, the first."""
    rows = find_rows(words, vector_words)
    found = np.stack([rows, rows], axis=1)
    if match == "folded":
        missing = np.flatnonzero(rows < 0)
        found[missing] = find_folded(fold(words.take(pa.array(missing))), fold(vector_words))
    return found


def find_rows(words: pa.Array, vector_words: pa.Array) -> np.ndarray:
    """Find each word's row among the vectors, (n_words,) int64; -1: it has none."""
    rows = pc.index_in(words, value_set=vector_words)
    return pc.fill_null(rows, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def find_folded(words: pa.Array, known: pa.Array) -> np.ndarray:
    """Find the two rows of each word, whole or as a contraction; all are folded before."""
    rows = find_rows(words, known)
    found = np.stack([rows, rows], axis=1)
    contractions = {
        i: parts
        for i, word in enumerate(words.to_pylist())
        if rows[i] < 0 and (parts := CONTRACTION.fullmatch(word))
    }
    halves = [
        find_rows(pa.array([parts[half] for parts in contractions.values()], words.type), known)
        for half in (1, 2)
    ]
    both = np.min(halves, axis=0) >= 0
    found[[*contractions]] = np.where(both, halves, -1).T
    return found


def fold(words: pa.Array) -> pa.Array:
    """Bring words into NFKC and lower case, with straight apostrophes."""
    foreign = pc.invert(pc.string_is_ascii(words))
    folded = [
        unicodedata.normalize("NFKC", word).lower().replace("’", "'")
        for word in words.filter(foreign).to_pylist()
    ]
    return pc.replace_with_mask(pc.ascii_lower(words), foreign, pa.array(folded, words.type))
