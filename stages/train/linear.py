"""One repeat of a linear variant: what it is fitted to, and its penalty."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from stages.shared.draws import generator_for
from stages.shared.history import MEASURES
from stages.shared.schema import Params
from stages.train import regression, tuning
from stages.train.regression import Weights
from stages.train.texts import Texts
from stages.train.tuning import Measures, Part, Tried

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

C = 1.0  # inverse strength of the penalty, where nothing is tuned: scikit-learn's default
CANDIDATES = [round(10 ** (power / 2), 4) for power in range(-2, 7)]  # 0.1, 0.3162 … 1000
MOST_ITERATIONS = 1000  # of L-BFGS
# Candidates go on from each other's weights, weak penalties last. At this tolerance it takes 0.6 of
# the time that fits from zero take at scikit-learn's 1e-4, and comes closer to the optimum.
TOLERANCE = 1e-5
LEAST = 1e-7  # of a probability, as Keras clips it before it takes the logarithm


def solver(**settings) -> "LogisticRegression":
    """Make what fits a regression."""
    from sklearn.linear_model import LogisticRegression  # takes a second

    return LogisticRegression(max_iter=MOST_ITERATIONS, **settings)


class Linear:
    """What the repeats of a linear variant have in common."""

    chooses = "C"
    packages = ("scikit-learn", "scipy", "numpy")

    def __init__(self, settings: Params, idf: np.ndarray, texts: Texts):
        """Weigh the texts by idf, (n_ids,) float32."""
        self.settings, self.idf, self.texts, self.labels = settings, idf, texts, texts.labels
        self.table = regression.weighed(texts.sequences, idf)

    def train(
        self, repeat: int, on_epoch: Callable[[dict[str, float]], None]
    ) -> tuple[Weights, list[dict[str, float]], list[Tried]]:
        """Train repeat r on its own draw: weights, a history of one epoch, and what was tried."""
        train, seed = self.settings.train, self.settings.seed
        rows, val_rows = self.texts.draw(self.settings, repeat)
        value, tried = C, []
        if train.tune:
            own = self.labels[rows]
            parts = tuning.parts_of(own, train.tune, generator_for(seed, repeat, "folds"))
            of_parts = [solver(tol=TOLERANCE, warm_start=True) for _ in parts]

            def held_out(value: float, i: int, part: Part) -> Iterator[Measures]:
                fitted, scored = (rows[of] for of in part)
                yield self.measures(self.fit(fitted, of_parts[i].set_params(C=value)), scored)

            tried = [*tuning.try_out(CANDIDATES, parts, held_out)]
            value = tuning.choose(tried).value  # of a regression, no candidate diverges
        weights = self.fit(rows, solver(C=value))
        of_both = *self.measures(weights, rows), *self.measures(weights, val_rows)
        history = [dict(zip(MEASURES, of_both, strict=True))]
        on_epoch(history[0])
        return [self.idf, *weights], history, tried

    def save(self, weights: Weights, path: Path) -> None:
        """Write the weights of a repeat."""
        regression.save(weights, path)

    def fit(self, rows: np.ndarray, model: "LogisticRegression") -> Weights:
        """Fit to the texts of some rows: coefficients (n_ids,) and intercept (1,), float32.

        Of more than two labels (n_ids, n_labels) and (n_labels,), a softmax regression. A label
        that the rows lack counts as half a text. If they have one label only, it counts as half a
        text more, and the words as nothing.
        """
        n_labels, n_ids = self.texts.n_labels, self.table.shape[1]
        counts = np.bincount(self.labels[rows], minlength=n_labels)
        present = counts.nonzero()[0]
        coefficients, intercept = np.zeros((n_ids, n_labels)), np.log(counts + 0.5)
        if len(present) > 1:
            from threadpoolctl import threadpool_limits

            with threadpool_limits(1):
                fitted = model.fit(self.table[rows], self.labels[rows])
            if n_labels == 2:
                return [np.float32(fitted.coef_[0]), np.float32(fitted.intercept_)]
            own, of_own = fitted.coef_, fitted.intercept_
            if len(present) == 2:  # scikit-learn gives the second less the first
                own, of_own = np.concatenate([-own, own]) / 2, np.append(-of_own, of_own) / 2
            coefficients[:, present] = own.T
            intercept[present] = of_own + np.log(len(rows)) - logsumexp(of_own)
        elif n_labels == 2:
            coefficients, intercept = coefficients[:, 0], np.diff(intercept)
        return [np.float32(coefficients), np.float32(intercept)]

    def measures(self, weights: Weights, rows: np.ndarray) -> Measures:
        """Score rows: log loss and accuracy; NaN without any."""
        if not len(rows):
            return np.nan, np.nan
        probability, labels = regression.score(weights, self.table[rows]), self.labels[rows]
        if probability.ndim == 1:
            probability = np.stack([1 - probability, probability], axis=1)
        right = probability[np.arange(len(rows)), labels]
        loss = -np.log(np.clip(right, LEAST, 1)).mean()
        return float(loss), float((probability.argmax(axis=1) == labels).mean())
