"""One repeat of a linear variant: what it is fitted to, and its penalty."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from stages.shared.draws import generator_for
from stages.shared.history import MEASURES
from stages.shared.schema import Params
from stages.train import regression, tuning
from stages.train.regression import Weights
from stages.train.texts import Texts
from stages.train.tuning import Measures, Part, Tried

C = 1.0  # inverse strength of the penalty, where nothing is tuned: scikit-learn's default
CANDIDATES = [round(10 ** (power / 2), 4) for power in range(-2, 7)]  # 0.1, 0.3162 … 1000
MOST_ITERATIONS = 1000  # of L-BFGS
LEAST = 1e-7  # of a probability, as Keras clips it before it takes the logarithm


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

            def held_out(value: float, _: int, part: Part) -> Iterator[Measures]:
                fitted, scored = (rows[of] for of in part)
                yield self.measures(self.fit(fitted, value), scored)

            tried = [*tuning.try_out(CANDIDATES, parts, held_out)]
            value = tuning.choose(tried).value  # of a regression, no candidate diverges
        weights = self.fit(rows, value)
        of_both = *self.measures(weights, rows), *self.measures(weights, val_rows)
        history = [dict(zip(MEASURES, of_both, strict=True))]
        on_epoch(history[0])
        return [self.idf, *weights], history, tried

    def save(self, weights: Weights, path: Path) -> None:
        """Write the weights of a repeat."""
        regression.save(weights, path)

    def fit(self, rows: np.ndarray, value: float) -> Weights:
        """Fit to the texts of some rows: coefficients (n_ids,) and intercept (1,), float32.

        If all have one label, what is left is its share, with half a text added to each label.
        """
        n_positive, n_rows = int(self.labels[rows].sum()), len(rows)
        if n_positive in (0, n_rows):
            odds = (n_positive + 0.5) / (n_rows - n_positive + 0.5)
            return [np.zeros(self.table.shape[1], np.float32), np.float32([np.log(odds)])]
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            regression = LogisticRegression(C=value, max_iter=MOST_ITERATIONS)
            regression.fit(self.table[rows], self.labels[rows])
        return [np.float32(regression.coef_[0]), np.float32(regression.intercept_)]

    def measures(self, weights: Weights, rows: np.ndarray) -> Measures:
        """Score rows: log loss and accuracy; NaN without any."""
        if not len(rows):
            return np.nan, np.nan
        probability = regression.score(weights, self.table[rows])
        is_positive = self.labels[rows] == 1
        right = np.where(is_positive, probability, 1 - probability)
        loss = -np.log(np.clip(right, LEAST, 1)).mean()
        return float(loss), float(((probability > 0.5) == is_positive).mean())
