"""One repeat of a variant: what it is trained on, its learning rates, when it has diverged."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import NamedTuple

from stages.train.backend import keras

import numpy as np

from stages.shared.draws import draw_matrix, draw_orders, draw_rows
from stages.shared.errors import InputError
from stages.shared.schema import Params
from stages.train.batches import drop_words
from stages.train.loop import History, Loop, Weights, initial_weights

MOST_LOSS = 10 * math.log(2)  # nats a text after the last epoch; guessing gives log 2


def learning_rates(rate: float, schedule: str, epochs: int) -> Iterator[float]:
    """Give the learning rate of each epoch; `linear` would end at zero after the last one."""
    for epoch in range(epochs):
        yield rate * (1 - epoch / epochs) if schedule == "linear" else rate


def validation_samples(n_texts: int, samples: int, wanted: int) -> int:
    """Say how many texts are validated on: as many as wanted, or all that training leaves.

    Raises InputError if the train split has fewer texts than the samples to train on.
    """
    if samples > n_texts:
        raise InputError(
            f"params.yaml: train.samples is {samples:,}, but the train split has only"
            f" {n_texts:,} texts: set train.samples to at most {n_texts}"
        )
    if wanted > n_texts - samples:
        print(f"validating on the {n_texts - samples:,} texts that training leaves")
    return min(wanted, n_texts - samples)


def has_diverged(loss: float, is_last: bool) -> bool:
    """Tell by the loss of an epoch whether training has diverged."""
    return not math.isfinite(loss) or (is_last and loss > MOST_LOSS)


def diverged(where: str, what: str, learning_rate: float) -> InputError:
    return InputError(
        f"{where}: training diverged at learning rate {learning_rate:g} ({what}):"
        " set a smaller train.learning_rate"
    )


class Variant(NamedTuple):
    """What the repeats of a variant have in common; the arrays are of the whole train split."""

    name: str
    settings: Params
    model: keras.Model
    loop: Loop
    matrix: np.ndarray  # (n_ids, dim) float32, to start from
    sequences: np.ndarray  # (n_texts, maxlen) int32
    labels: np.ndarray  # (n_texts,) int8
    n_validation: int

    def train(
        self, repeat: int, on_epoch: Callable[[dict[str, float]], None]
    ) -> tuple[Weights, History]:
        """Train repeat r on its own draw, from its own weights, in its own order.

        Raises InputError once it diverges.
        """
        train, seed = self.settings.train, self.settings.seed + repeat
        start = self.settings.embed[self.settings.variants[self.name].vectors]
        matrix = draw_matrix(*self.matrix.shape, seed) if start.is_drawn else self.matrix
        rows, val_rows = draw_rows(len(self.labels), train.samples, self.n_validation, seed)
        place = f"variants.{self.name}, repeat {repeat}"
        epochs = count(1)

        def watch(row: dict[str, float]) -> None:
            epoch = next(epochs)
            if has_diverged(row["loss"], epoch == train.epochs):
                what = f"training loss {row['loss']:.4g}"
                raise diverged(f"{place}, epoch {epoch}", what, train.learning_rate)
            on_epoch(row)

        weights, history = self.loop.fit(
            initial_weights(self.model, seed, matrix),
            self.sequences[rows],
            self.labels[rows],
            self.sequences[val_rows],
            self.labels[val_rows],
            draw_orders(train.samples, train.epochs, seed),
            watch,
            partial(drop_words, train.word_dropout, np.random.default_rng((seed, 2))),
            learning_rates(train.learning_rate, train.schedule, train.epochs),
        )
        if not all(np.isfinite(weight).all() for weight in weights):
            where = f"{place}, epoch {train.epochs}"
            raise diverged(where, "a weight is no finite number", train.learning_rate)
        return weights, history
