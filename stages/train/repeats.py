"""One repeat of a network: what it is trained on, its learning rates, when it has diverged."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from stages.shared import weightings
from stages.shared.draws import draw_matrix, draw_orders, generator_for
from stages.shared.errors import InputError
from stages.shared.schema import Params
from stages.train import tuning
from stages.train.batches import drop_words
from stages.train.loop import History, Loop, Weights, initial_weights
from stages.train.network import build_model
from stages.train.texts import Texts
from stages.train.tuning import Measures, Part, Tried

MOST_LOSS = 10  # times that of guessing, log n_labels nats a text, after the last epoch


def learning_rates(rate: float, schedule: str, epochs: int) -> Iterator[float]:
    """Give the learning rate of each epoch; `linear` would end at zero after the last one."""
    for epoch in range(epochs):
        yield rate * (1 - epoch / epochs) if schedule == "linear" else rate


def has_diverged(loss: float, is_last: bool, n_labels: int = 2) -> bool:
    """Tell by the loss of an epoch whether training has diverged."""
    return not math.isfinite(loss) or (is_last and loss > MOST_LOSS * math.log(n_labels))


def diverged(where: str, what: str, learning_rate: float) -> InputError:
    return InputError(
        f"{where}: training diverged at learning rate {learning_rate:g} ({what}):"
        " set a smaller train.learning_rate"
    )


class Network:
    """What the repeats of a variant have in common."""

    packages = ("tensorflow", "keras", "numpy")

    def __init__(self, name: str, settings: Params, matrix: np.ndarray, texts: Texts):
        """Build the model, which starts from matrix (n_ids, dim) float32."""
        self.name, self.settings, self.matrix, self.texts = name, settings, matrix, texts
        train, head = settings.train, settings.model
        self.start = settings.embed[settings.variants[name].vectors]
        names, self.shares = weightings.to_choose(self.start)
        self.chooses = ("learning_rate", *names)
        self.model = build_model(
            head.head, *matrix.shape, texts.sequences.shape[1], head.hidden_units,
            settings.variants[name].trainable, texts.n_labels,
        )  # fmt: skip
        self.model.summary()
        self.loop = Loop(self.model, train.optimizer, train.learning_rate, train.batch_size)

    def starting_from(self, initial: Weights, shares: weightings.Shares) -> Weights:
        """Multiply the fitted columns of the matrix to start from by their shares."""
        matrix, *layers = initial
        return [weightings.multiplied(matrix, shares, self.start.fitted), *layers]

    def save(self, weights: Weights, path: Path) -> None:
        """Write the weights of a repeat as Keras does."""
        self.model.set_weights(weights)
        self.model.save_weights(path)

    def train(
        self, repeat: int, on_epoch: Callable[[dict[str, float]], None]
    ) -> tuple[Weights, History, list[Tried]]:
        """Train repeat r on its own draw, from its own weights, in its own order.

        With `train.tune` it first chooses its learning rate, its number of epochs and, of fitted
        columns in both weightings, which it starts from; it returns what it has tried. Raises
        InputError once it diverges.
        """
        train = self.settings.train
        draws = partial(generator_for, self.settings.seed, repeat)
        matrix = self.matrix
        if self.start.is_drawn:
            matrix = draw_matrix(*self.matrix.shape, draws("embedding"))
        rows, val_rows = self.texts.draw(self.settings, repeat)
        sequences, labels = self.texts.sequences, self.texts.labels
        initial = initial_weights(self.model, int(draws("layers").integers(2**32)), matrix)
        place = f"variants.{self.name}, repeat {repeat}"
        rate, epochs, tried = train.learning_rate, train.epochs, []
        if train.tune:
            tried = [*self.try_out(initial, rows, draws, on_epoch)]
            chosen = tuning.choose(tried)
            if chosen is None:
                raise InputError(
                    f"{place}: training diverged at every rate: set smaller ones in"
                    " train.tune.learning_rates"
                )
            (rate, *shares), epochs = chosen.values, chosen.epoch
            initial = self.starting_from(initial, shares)
        epoch = count(1)

        def watch(row: dict[str, float]) -> None:
            now = next(epoch)
            is_last = now == epochs and not tried
            if has_diverged(row["loss"], is_last, self.texts.n_labels):
                raise diverged(f"{place}, epoch {now}", f"training loss {row['loss']:.4g}", rate)
            on_epoch(row)

        weights, history = self.loop.fit(
            initial,
            sequences[rows],
            labels[rows],
            sequences[val_rows],
            labels[val_rows],
            draw_orders(train.samples, epochs, draws("orders")),
            on_epoch=watch,
            drop=partial(drop_words, train.word_dropout, draws("dropout")),
            rates=learning_rates(rate, train.schedule, train.epochs),
        )
        if not all(np.isfinite(weight).all() for weight in weights):
            raise diverged(f"{place}, epoch {epochs}", "a weight is no finite number", rate)
        return weights, history, tried

    def try_out(
        self,
        initial: Weights,
        rows: np.ndarray,
        draws: Callable[..., np.random.Generator],
        on_epoch: Callable[[dict[str, float]], None],
    ) -> Iterator[Tried]:
        """Try what there is to choose, epoch by epoch, on parts of the rows drawn."""
        train = self.settings.train
        assert train.tune
        x, y = self.texts.sequences[rows], self.texts.labels[rows]

        def held_out(values: tuple[float, ...], fold: int, part: Part) -> Iterator[Measures]:
            (rate, *shares), (fitted, scored) = values, part
            for row, _ in self.loop.epochs(
                starts[tuple(shares)], x[fitted], y[fitted], x[scored], y[scored],
                draw_orders(len(fitted), train.epochs, draws("orders", 1 + fold)),
                partial(drop_words, train.word_dropout, draws("dropout", 1 + fold)),
                learning_rates(rate, train.schedule, train.epochs),
            ):  # fmt: skip
                on_epoch(row)
                yield row["val_loss"], row["val_accuracy"]

        starts = {of: self.starting_from(initial, of) for of in self.shares}
        parts = tuning.parts_of(y, train.tune, draws("folds"))
        candidates = [(rate, *of) for of in self.shares for rate in train.tune.learning_rates]
        yield from tuning.try_out(candidates, parts, held_out)
