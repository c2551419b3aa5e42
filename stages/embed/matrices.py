"""The matrices that a variant's embedding can start from: drawn, looked up, fitted to the text.

A matrix is (n_ids, dim) float32. Row 0 is padding and zero, row i belongs to id i: words come
first, then pairs of words. What has no vector is zero. For TF-IDF the first column is the weight of
the id, and fitted columns follow it. Of texts that an encoder turns into vectors it is (n_texts,
dim): a row for each text of the train split, then for each of the test split.
"""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array, vstack

from stages.embed import encoded, lsa
from stages.embed.coverage import coverage, warnings
from stages.embed.matching import find
from stages.shared import artifacts, tf_idf
from stages.shared.draws import draw_matrix, generator_for
from stages.shared.encoder import SETTINGS, Encoder
from stages.shared.errors import InputError
from stages.shared.files import read_rows, reading
from stages.shared.schema import Start


class Vectors(NamedTuple):
    """Words and their vectors; an encoder knows more words than it has made vectors of."""

    words: pa.Array  # (n_words,) string
    matrix: np.ndarray  # (n_words, dim) float32, or of an encoder (n_kept, dim)

    def n_repeated(self) -> int:
        """Count the words that had a vector before, in the same file."""
        return len(self.words) - pc.count_distinct(self.words).as_py()


def read_vectors(name: str) -> Vectors:
    """Read a file of vectors as `download` landed it."""
    folder = artifacts.vectors(name)
    with reading(folder):
        # Not read_text, which takes a carriage return in a word for the end of a line.
        listed = (folder / "words.txt").read_bytes().decode("utf-8").split("\n")[:-1]
        matrix = np.load(folder / "matrix.npy", mmap_mode="r")
    if len(listed) != len(matrix):
        raise InputError(
            f"{folder} holds {len(listed)} words and {len(matrix)} vectors:"
            f" dvc repro --force vectors@{name}"
        )
    return Vectors(pa.array(listed, pa.string()), matrix)


class Builder:
    """Builds matrices for one vocabulary; what several of them need is read or counted once."""

    def __init__(self, words: pa.Array, counts: np.ndarray, num_words: int, n_ids: int, seed: int):
        self.words, self.counts = words, counts
        self.num_words, self.n_ids, self.seed = num_words, n_ids, seed
        self.vectors: dict[str, Vectors] = {}
        self.rows: dict[tuple[str, str], np.ndarray] = {}

    @cached_property
    def table(self) -> csr_array:
        """How often each text of the train split has each id, (n_texts, n_ids) float32."""
        return vstack([*self.counted()], format="csr")

    def counted(self) -> Iterator[csr_array]:
        """Count so many texts' ids at a time; these are the parts of the table."""
        sequences = artifacts.split("train") / "sequences.npy"
        for ids in read_rows(sequences, tf_idf.TEXTS_AT_A_TIME):
            yield tf_idf.count_tokens(ids, self.n_ids)

    def look_up(self, start: Start) -> tuple[Vectors, np.ndarray]:
        """Read the file in which words are looked up, and find them: (n_words, 2), as `find`."""
        assert start.vectors
        key = start.vectors, start.match
        if start.vectors not in self.vectors:
            is_encoder = (artifacts.vectors(start.vectors) / SETTINGS).exists()
            read = self.distil if is_encoder else read_vectors
            self.vectors[start.vectors] = read(start.vectors)
        vectors = self.vectors[start.vectors]
        if key not in self.rows:
            self.rows[key] = find(self.words, vectors.words, start.match)
        return vectors, self.rows[key]

    def distil(self, name: str) -> Vectors:
        """Give each word that is kept the vector that an encoder makes of it alone."""
        model = Encoder(artifacts.vectors(name))
        tokens = model.tokens(self.words.to_pylist())
        known = tokens.n_known > 0
        kept = np.flatnonzero(known[: self.num_words - 1])
        matrix = self.encode([tokens.ids[row] for row in kept], model, name)
        return Vectors(self.words.filter(pa.array(known)), matrix)

    def encode(self, ids: list[np.ndarray], model: Encoder, name: str) -> np.ndarray:
        """Turn the ids of texts into vectors, (n_texts, dim) float32, those at hand excepted."""
        return encoded.encode(ids, model, artifacts.encoded(encoded.key_of(name, ids)), name)

    def build(self, start: Start) -> np.ndarray:
        """Build the matrix of a key of `embed`, (n_ids, dim) float32."""
        if start.dim is not None:  # as repeat 0 starts; every other draws a matrix of its own
            return draw_matrix(self.n_ids, start.dim, generator_for(self.seed, 0, "embedding"))
        if start.texts == "encoder":
            assert start.vectors
            model = Encoder(artifacts.vectors(start.vectors))
            return self.encode(model.tokens(encoded.read_texts()).ids, model, start.vectors)
        if start.texts:
            idf = tf_idf.fit([self.table] if start.fitted else self.counted())
            columns = [lsa.for_texts(part, self.table, idf) for part in self.fitted(start)]
            return np.hstack([idf[:, None], *columns])
        parts = []
        if start.vectors:
            vectors, rows = self.look_up(start)
            parts.append(look_up(rows, vectors.matrix, self.num_words, self.n_ids))
        if start.shuffled:
            parts = [shuffled(parts[0], generator_for(self.seed, 0, "shuffle"))]
        if not (start.fitted or start.centred):
            return parts[0]
        parts = [lsa.centred(part, self.table) for part in (*parts, *self.fitted(start))]
        return lsa.beside(*parts) if start.vectors and start.fitted else np.hstack(parts)

    def fitted(self, start: Start) -> list[np.ndarray]:
        """Fit the columns of a key of `embed`, (n_ids, fitted) float32 for each weighting."""
        if not start.fitted:
            return []
        kinds = {"plain": (False,), "rare": (True,), "both": (False, True)}[start.weighting]
        draws = partial(generator_for, self.seed, 0, "fitted")
        return [lsa.fit_vectors(self.table, start.fitted, draws(), rare) for rare in kinds]

    def coverage(self, start: Start) -> dict:
        """Count what of the text has a vector in the file that `start` looks words up in."""
        vectors, rows = self.look_up(start)
        found = coverage(self.words, self.counts, rows[:, 0], self.num_words)
        return found | {"warnings": warnings(found["share_of_tokens"], vectors.words, start.match)}


def shuffled(matrix: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Give the words that have a vector each other's: the same numbers, without their meaning."""
    known = np.flatnonzero(matrix.any(axis=1))
    mixed = matrix.copy()
    mixed[known] = matrix[generator.permutation(known)]
    return mixed


def look_up(rows: np.ndarray, vectors: np.ndarray, num_words: int, n_ids: int) -> np.ndarray:
    """Gather the vectors of the vocabulary, (n_ids, dim) float32; reads only their rows.

    rows (n_words, 2) as `find` found them: a word has the mean of the two.
    """
    first, second = rows[: num_words - 1].T
    ids = 1 + np.flatnonzero(first >= 0)
    matrix = np.zeros((n_ids, vectors.shape[1]), dtype=np.float32)
    matrix[ids] = vectors[first[ids - 1]]
    ids = 1 + np.flatnonzero(first != second)
    matrix[ids] = (matrix[ids] + vectors[second[ids - 1]]) / 2
    return matrix
