"""The train split as a variant is trained on it, and what a repeat draws from it."""

from typing import NamedTuple

import numpy as np

from stages.shared.draws import draw_rows, generator_for
from stages.shared.schema import Params


class Texts(NamedTuple):
    """The train split, and how many of its texts are left to validate on."""

    sequences: np.ndarray  # (n_texts, maxlen) int32
    labels: np.ndarray  # (n_texts,) int
    n_validation: int

    @property
    def n_labels(self) -> int:
        """How many labels there are: each has a text in the train split."""
        return int(self.labels.max()) + 1

    def draw(self, settings: Params, repeat: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw the rows that every variant trains and validates on in a repeat: both (n,) int."""
        train, generator = settings.train, generator_for(settings.seed, repeat, "texts")
        is_balanced = train.draw == "balanced"
        return draw_rows(self.labels, train.samples, self.n_validation, generator, is_balanced)
