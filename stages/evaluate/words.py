"""What training did to the vectors of words: neighbours, movements, and a picture's coordinates.

`matrices` has of each variant the initial and the trained matrix, (n_words, dim) float32; `names`
is (n_words,) of str, the word of each row. Row 0 is padding.
"""

from collections.abc import Iterable

import h5py
import numpy as np
import pandas as pd

from stages.shared import artifacts, weightings
from stages.shared.files import reading
from stages.shared.schema import Params

EMBEDDING = "layers/embedding/vars/0"  # in a file of weights
PHASES = ("initial", "trained")
MOST_LABELS = 8  # of the most texts, whose words are shown
TELLING, PICTURED = 12, 30  # words of all labels together
LEAST_EACH = 3  # words of a label
MOVED, NEIGHBOURS = 10, 6
LEAST_SHARE = 0.005  # of the texts; too little is known about words that fewer texts have
LEAST_DISTANCE = 0.01  # cosine distance: a word that turned less has hardly moved

Matrices = dict[str, tuple[np.ndarray, np.ndarray]]


def read_matrices(settings: Params, n_words: int) -> Matrices:
    """Read the first n_words rows of each variant's matrix, as repeat 0 started and as it ended.

    A linear variant has none. A matrix has more rows where the vocabulary is smaller than
    tokenize.num_words.
    """
    matrices = {}
    for name, variant in settings.variants.items():
        start = artifacts.embedding(variant.vectors)
        with reading(artifacts.weights(name, 0)), h5py.File(artifacts.weights(name, 0)) as file:
            if EMBEDDING not in file:
                continue
            trained = file[EMBEDDING][:]
        with reading(start):
            initial = np.load(start)
        shares = weightings.read(name, 0)
        initial = weightings.multiplied(initial, shares, settings.embed[variant.vectors].fitted)
        matrices[name] = initial[:n_words], trained[:n_words]
    return matrices


def telling_words(parts: Iterable[np.ndarray], labels: np.ndarray, num_words: int) -> pd.DataFrame:
    """Find how surely each word speaks for each label: index `id`, a column of z for each label.

    parts are the sequences of some texts after the other, (any, maxlen) int32; labels (n_texts,)
    int; the columns are the MOST_LABELS labels
    of the most texts, in their order. z is the log odds ratio of the word's being in a text of the
    label and in one of any other, over its standard error (Agresti, Categorical Data Analysis,
    2013, 3.1.1, with half a text added to each count). Words of few texts are left out.
    """
    n_of = np.bincount(labels)
    with_word = np.zeros((len(n_of), num_words))
    start = 0
    for part in parts:
        rows = np.sort(part, axis=1)
        first = np.diff(rows, axis=1, prepend=-1) > 0
        own = labels[start : start + len(rows)]
        start += len(rows)
        for label in np.unique(own):
            ids = rows[own == label][first[own == label]]
            with_word[label] += np.bincount(ids[ids < num_words], minlength=num_words)
    total = with_word.sum(axis=0)
    table = pd.DataFrame(index=pd.RangeIndex(num_words, name="id"))
    for label in np.sort(np.argsort(-n_of, kind="stable")[:MOST_LABELS]):
        of_both = np.stack([total - with_word[label], with_word[label]])
        without = np.array([[len(labels) - n_of[label]], [n_of[label]]]) - of_both
        log_odds = np.log((of_both + 0.5) / (without + 0.5))
        error = np.sqrt((1 / (of_both + 0.5) + 1 / (without + 0.5)).sum(axis=0))
        table[label] = (log_odds[1] - log_odds[0]) / error
    return table[(table.index > 0) & (total >= LEAST_SHARE * len(labels))]


def most_telling(telling: pd.DataFrame, n_words: int) -> dict[int, np.ndarray]:
    """Pick the ids of about n_words words, as many for each label: those that speak most surely.

    A word is picked for the label for which it speaks most surely. The last label comes first.
    """
    n_each = max(n_words // len(telling.columns), LEAST_EACH)
    n_each = min(n_each, len(telling) // len(telling.columns))
    speaks_for = telling.columns.to_numpy()[telling.to_numpy().argmax(axis=1)]
    picked = {}
    for label in telling.columns[::-1]:
        own = telling.loc[speaks_for == label, label].sort_values(ascending=False, kind="stable")
        picked[label] = own.index.to_numpy()[:n_each]
    return picked


def unit(matrix: np.ndarray) -> np.ndarray:
    """Scale each row to length 1; rows of zeros stay."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0)


def nearest(matrix: np.ndarray, ids: np.ndarray, names: np.ndarray) -> list[str]:
    """Name the words with the greatest cosine to each of `ids`, nearest first; zeros have none."""
    rows = unit(matrix)
    lists = []
    for own in ids:
        cosine = rows @ rows[own]
        cosine[[0, own]] = -np.inf
        order = np.argsort(-cosine, kind="stable")[: max(min(NEIGHBOURS, len(rows) - 2), 0)]
        lists.append(", ".join(names[order]) if rows[own].any() else "")
    return lists


def neighbours(
    matrices: Matrices, telling: pd.DataFrame, names: np.ndarray
) -> dict[str, pd.DataFrame]:
    """Tabulate the nearest words of the most telling ones: matrix, word, neighbours."""
    ids = np.concatenate([*most_telling(telling, TELLING).values()])
    return {
        variant: pd.DataFrame(
            {"matrix": phase, "word": names[own], "neighbours": near}
            for phase, matrix in zip(PHASES, pair, strict=True)
            for own, near in zip(ids, nearest(matrix, ids, names), strict=True)
        )
        for variant, pair in matrices.items()
    }


def moved(matrices: Matrices, names: np.ndarray) -> dict[str, pd.DataFrame]:
    """Tabulate the words whose vectors turned most: word, distance, before, after.

    `distance` is 1 minus the cosine of the initial and the trained vector; a word that had no
    vector did not turn. A variant in which no vector turned by LEAST_DISTANCE is left out.
    """
    tables = {}
    for variant, (initial, trained) in matrices.items():
        distance = 1 - (unit(initial) * unit(trained)).sum(axis=1)
        distance[~initial.any(axis=1)] = 0
        ids = np.argsort(-distance, kind="stable")[:MOVED]
        ids = ids[distance[ids] > LEAST_DISTANCE]
        if len(ids):
            columns = {"word": names[ids], "distance": distance[ids].round(4)}
            columns |= {"before": nearest(initial, ids, names)}
            columns |= {"after": nearest(trained, ids, names)}
            tables[variant] = pd.DataFrame(columns)
    return tables


def principal_components(vectors: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Project (n, dim) vectors onto their first two principal components, (n, 2) float64.

    The axes point to where the rows `first`, (n,) bool, lie on average.
    """
    if not len(vectors):
        return np.zeros((0, 2))
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    components = np.linalg.svd(centred, full_matrices=False)[2][:2]
    places = np.zeros((len(vectors), 2))
    places[:, : len(components)] = centred @ components.T
    return places * np.where(places[first].mean(axis=0) < 0, -1, 1)


def pictured(
    matrices: Matrices, telling: pd.DataFrame, names: np.ndarray
) -> dict[str, pd.DataFrame]:
    """Place the most telling words, before and after training: matrix, word, label, x, y.

    `label` is the number of the one that a word speaks for; the words are in the same order
    everywhere.
    """
    picked = most_telling(telling, PICTURED)
    ids = np.concatenate([*picked.values()])
    labels = np.concatenate([np.full(len(of), label) for label, of in picked.items()])
    columns = {"word": names[ids], "label": labels}
    tables = {}
    for variant, pair in matrices.items():
        parts = {}
        for phase, matrix in zip(PHASES, pair, strict=True):
            x, y = principal_components(matrix[ids], labels == labels[:1]).T
            parts[phase] = pd.DataFrame(columns | {"x": x.round(6), "y": y.round(6)})
        tables[variant] = pd.concat(parts, names=["matrix"]).reset_index("matrix")
    return tables
