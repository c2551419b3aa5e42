"""One repeat of a linear variant: what it is fitted to, its penalty, which columns it has."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.special import logsumexp

from stages.shared import tf_idf, weightings
from stages.shared.draws import generator_for
from stages.shared.history import MEASURES
from stages.shared.schema import Params, Start
from stages.train import regression, tuning
from stages.train.regression import Weights
from stages.train.texts import Texts
from stages.train.tuning import Measures, Part, Tried

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# The inverse strength of the penalty, where nothing is tuned: scikit-learn's default; with naive
# Bayes the better of 1 and 10, beside fitted columns; of vectors, of powers of the root of 10, that
# of the least log loss at 200 and 1,000 labels. Both on reviews held out of the train split.
C, BAYES_C, VECTORS_C = 1.0, 10.0, 3.0
CANDIDATES = [round(10 ** (power / 2), 4) for power in range(-2, 7)]  # 0.1, 0.3162 … 1000
MOST_ITERATIONS = 1000  # of L-BFGS
# Candidates go on from each other's weights, weak penalties last. At this tolerance it takes 0.6 of
# the time that fits from zero take at scikit-learn's 1e-4, and comes closer to the optimum.
TOLERANCE = 1e-5
LEAST = 1e-7  # of a probability, as Keras clips it before it takes the logarithm


def log_count_ratios(table: csr_array, is_label: np.ndarray) -> np.ndarray:
    """Say how surely each word speaks for a label: (n_ids,) float64, of table (n_texts, n_ids).

    The logarithm of its share of the label's words over its share of all others', where a text has
    a word or not, and each word one text more (Wang and Manning, "Baselines and bigrams: simple,
    good sentiment and topic classification", ACL 2012, 90-94, equation 2).
    """
    n_with = partial(np.bincount, minlength=table.shape[1])
    counts = [1 + n_with(table[rows].indices) for rows in (is_label, ~is_label)]
    of_label, others = (tf_idf.each(math.log, of) for of in counts)
    of_all_words, in_others = (math.log(of.sum()) for of in counts)
    return of_label - others - (of_all_words - in_others)


class Sample(NamedTuple):
    """What is fitted to: all that no penalty changes."""

    labels: np.ndarray  # (n,) int
    table: csr_array | np.ndarray  # (n, n_words) float64: TF-IDF, or (n, dim) vectors
    words: np.ndarray  # (n_words,) int: which ids these are
    columns: np.ndarray  # (n_ids, n_columns) float64
    beside: csr_array  # (n, n_columns) float64: what the texts have in the columns
    ratios: dict[int, np.ndarray]  # (n_words,) float64 of a label: naive Bayes' weights


class Linear:
    """What the repeats of a linear variant have in common."""

    packages = ("scikit-learn", "scipy", "numpy")
    chooses: tuple[str, ...] = ("C",)
    shares: Sequence[tuple[float, ...]] = [()]
    fitted: int | None = None

    def __init__(self, settings: Params, matrix: np.ndarray, texts: Texts, start: Start):
        """Weigh the texts that are drawn by idf, the first column of matrix (n_ids, 1 + n_fitted).

        matrix is float32; the others are columns beside idf, for texts in TF-IDF.
        """
        self.settings, self.texts, self.labels = settings, texts, texts.labels
        self.idf, self.columns = matrix[:, 0], matrix[:, 1:]
        self.is_bayes = start.texts == "naive-bayes"
        # The rows that some repeat reads, in ascending order: a train split may be a hundred times
        # as large.
        draws = [texts.draw(settings, repeat) for repeat in range(settings.train.repeats)]
        self.rows = np.unique(np.concatenate([rows for draw in draws for rows in draw]))
        self.table = regression.weighed(texts.sequences[self.rows], self.idf)
        self.default = BAYES_C if self.is_bayes else C
        # Of naive Bayes each label has word weights of its own.
        self.one_by_one = self.is_bayes and texts.n_labels > 2
        names, self.shares = weightings.to_choose(start)
        self.chooses, self.fitted = ("C", *names), start.fitted

    def train(
        self, repeat: int, on_epoch: Callable[[dict[str, float]], None]
    ) -> tuple[Weights, list[dict[str, float]], list[Tried]]:
        """Train repeat r on its own draw: weights, a history of one epoch, and what was tried."""
        train, seed = self.settings.train, self.settings.seed
        rows, val_rows = self.texts.draw(self.settings, repeat)
        value, shares, tried = self.default, self.shares[0], []
        if train.tune:
            own = self.labels[rows]
            parts = tuning.parts_of(own, train.tune, generator_for(seed, repeat, "folds"))
            tried = [*self.try_out(rows, parts)]
            value, *shares = tuning.choose(tried).values  # of a regression, no candidate diverges
        weights = self.fit(self.sample(rows, shares), self.solvers(C=value))
        of_both = *self.measures(weights, rows), *self.measures(weights, val_rows)
        history = [dict(zip(MEASURES, of_both, strict=True))]
        on_epoch(history[0])
        return self.stored(weights), history, tried

    def stored(self, weights: Weights) -> Weights:
        """Put beside the weights what else it takes to score a text."""
        return [self.idf, *weights]

    def try_out(self, rows: np.ndarray, parts: list[Part]) -> Iterator[Tried]:
        """Try each share with one C after the other, as a network one epoch after the other."""

        def held_out(shares: tuple[float, ...], _: int, part: Part) -> Iterator[Measures]:
            fitted, scored = (rows[of] for of in part)
            sample = self.sample(fitted, shares, of_a_candidate=True)
            solvers = self.solvers(tol=TOLERANCE, warm_start=True)
            for value in CANDIDATES:
                solvers = [solver.set_params(C=value) for solver in solvers]
                yield self.measures(self.fit(sample, solvers), scored)

        for of in tuning.try_out(self.shares, parts, held_out):
            yield of._replace(values=(CANDIDATES[of.epoch - 1], *of.values), epoch=1)

    def save(self, weights: Weights, path: Path) -> None:
        """Write the weights of a repeat."""
        regression.save(weights, path)

    def features(self, rows: np.ndarray) -> csr_array | np.ndarray:
        """Take the texts of some rows, as they are fitted to: (n, n_ids) or (n, dim) float64."""
        return self.table[np.searchsorted(self.rows, rows)]

    def solvers(self, **settings) -> list["LogisticRegression"]:
        """Make what fits: one for all labels, or one for each."""
        from sklearn.linear_model import LogisticRegression  # takes a second

        n_solvers = self.texts.n_labels if self.one_by_one else 1
        return [LogisticRegression(max_iter=MOST_ITERATIONS, **settings) for _ in range(n_solvers)]

    def sample(
        self, rows: np.ndarray, shares: weightings.Shares, of_a_candidate: bool = False
    ) -> Sample:
        """Take the texts of some rows to fit to.

        A candidate leaves out the words that these texts lack: they weigh nothing, and where pairs
        are read most are such.
        """
        table, labels = self.features(rows), self.labels[rows]
        columns = weightings.multiplied(np.float64(self.columns), shares, self.fitted)
        words = np.arange(len(columns))
        if of_a_candidate and isinstance(table, csr_array):
            words = np.unique(table.indices)
        weighed: Iterable[int] = ()
        if self.is_bayes:
            weighed = np.unique(labels).tolist() if self.one_by_one else [labels.max()]
        ratios = {of: log_count_ratios(table, labels == of)[words] for of in weighed}
        beside = csr_array(table @ columns)
        return Sample(labels, table[:, words], words, columns, beside, ratios)

    def fit(self, sample: Sample, solvers: list["LogisticRegression"]) -> Weights:
        """Fit to a sample: coefficients (n_ids,) and intercept (1,), float32.

        Of more than two labels (n_ids, n_labels) and (n_labels,), a softmax regression; of naive
        Bayes one against the rest for each, which meet in the softmax. A label that the sample
        lacks counts as half a text. If it has one label only, it counts as half a text more, and
        the words as nothing.
        """
        n_labels, n_ids = self.texts.n_labels, self.table.shape[1]
        counts = np.bincount(sample.labels, minlength=n_labels)
        present = counts.nonzero()[0]
        coefficients, intercept = np.zeros((n_ids, n_labels)), np.log(counts + 0.5)
        if len(present) > 1 and self.one_by_one:
            intercept -= np.log(len(sample.labels))
            for label in present:
                own, [intercept[label]] = self.fit_one(sample, solvers[label], label)
                coefficients[:, label] = own[0]
        elif len(present) > 1:
            own, of_own = self.fit_one(sample, solvers[0])
            if n_labels == 2:
                return [np.float32(own[0]), np.float32(of_own)]
            if len(present) == 2:  # scikit-learn gives the second less the first
                own, of_own = np.concatenate([-own, own]) / 2, np.append(-of_own, of_own) / 2
            coefficients[:, present] = own.T
            intercept[present] = of_own + np.log(len(sample.labels)) - logsumexp(of_own)
        elif n_labels == 2:
            coefficients, intercept = coefficients[:, 0], np.diff(intercept)
        return [np.float32(coefficients), np.float32(intercept)]

    def fit_one(
        self, sample: Sample, solver: "LogisticRegression", label: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fit one label against the rest, or all: coefficients (1 or n_labels, n_ids), intercepts.

        What stands beside TF-IDF is a sum over its words too, so its coefficients are added to
        those of the words.
        """
        labels = sample.labels if label is None else sample.labels == label
        words, features = sample.words, sample.table
        weight = np.ones(len(words))
        if sample.ratios:
            weight = sample.ratios[sample.labels.max() if label is None else label]
            features = features.copy()
            features.data *= weight[features.indices]
        if sample.beside.shape[1]:
            features = hstack([features, sample.beside], format="csr")
        fitted = solver.fit(features, labels)
        own = np.zeros((len(fitted.coef_), len(sample.columns)))
        own[:, words] = fitted.coef_[:, : len(words)] * weight
        return own + fitted.coef_[:, len(words) :] @ sample.columns.T, fitted.intercept_

    def measures(self, weights: Weights, rows: np.ndarray) -> Measures:
        """Score rows: log loss and accuracy; NaN without any."""
        if not len(rows):
            return np.nan, np.nan
        probability, labels = regression.score(weights, self.features(rows)), self.labels[rows]
        if probability.ndim == 1:
            probability = np.stack([1 - probability, probability], axis=1)
        right = probability[np.arange(len(rows)), labels]
        loss = -np.log(np.clip(right, LEAST, 1)).mean()
        return float(loss), float((probability.argmax(axis=1) == labels).mean())


class LinearOnVectors(Linear):
    """The same, of texts that have a vector each, as an encoder makes it."""

    def __init__(self, settings: Params, vectors: np.ndarray, texts: Texts):
        """Standardise vectors (n_texts, dim) float32, the train split's, labels unseen.

        All columns are divided by one number, so that the mean square distance of a text to the
        mean text is 1: what varies little in the vectors counts little.
        """
        self.settings, self.texts, self.labels = settings, texts, texts.labels
        self.is_bayes, self.one_by_one, self.default = False, False, VECTORS_C
        self.columns = np.empty((vectors.shape[1], 0))
        self.mean = vectors.mean(axis=0, dtype=np.float64)
        away = vectors - self.mean
        self.spread = float(np.sqrt((away**2).sum(axis=1).mean())) or 1.0
        self.rows, self.table = np.arange(len(vectors)), away / self.spread

    def stored(self, weights: Weights) -> Weights:
        """Give the weights of the vectors as they come, not standardised."""
        coefficients = np.float64(weights[0]) / self.spread
        intercept = weights[1] - self.mean @ coefficients
        return [np.float32(coefficients), np.float32(intercept)]
