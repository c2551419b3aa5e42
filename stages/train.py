"""Train one variant, once per repeat, two repeats at a time.

In:  data/sequences/train/ and the matrix in data/embeddings/ that the variant starts from.
Out: data/models/<variant>/repeat_<r>.weights.h5
     metrics/training/<variant>.csv: repeat, epoch, loss, accuracy, val_loss, val_accuracy.
Parameters: seed, model, train, variants.<variant>.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from stages.backend import THREADS

import numpy as np
import pandas as pd
from tqdm import tqdm

from stages.draws import draw_matrix, draw_orders, draw_rows
from stages.model import build_model
from stages.shared import artifacts, params
from stages.shared.artifacts import InputError, reading, run, whole
from stages.training import History, Weights, compile_fit, drop_words, initial_weights


def learning_rates(rate: float, schedule: str, epochs: int) -> Iterator[float]:
    """Give the learning rate of each epoch; `linear` would end at zero after the last one."""
    for epoch in range(epochs):
        yield rate * (1 - epoch / epochs) if schedule == "linear" else rate


def check_enough(n_reviews: int, samples: int, validation_samples: int) -> None:
    """Raise InputError if the train split can't give samples and validation_samples."""
    if samples + validation_samples > n_reviews:
        raise InputError(
            f"params.yaml: train.samples is {samples}, but the train split has {n_reviews} reviews"
            f" and train.validation_samples takes {validation_samples}:"
            f" at most {max(n_reviews - validation_samples, 0)}"
        )


def main() -> None:
    settings = params.load()
    parser = argparse.ArgumentParser(prog="python -m stages.train", description=__doc__)
    parser.add_argument("variant", choices=settings.variants)
    name = parser.parse_args().variant
    variant, train = settings.variants[name], settings.train

    with reading(artifacts.split("train")):
        sequences = np.load(artifacts.split("train") / "sequences.npy", mmap_mode="r")
        labels = np.load(artifacts.split("train") / "labels.npy")
    with reading(artifacts.embedding(variant.vectors)):
        matrix = np.load(artifacts.embedding(variant.vectors))
    check_enough(len(labels), train.samples, train.validation_samples)

    model = build_model(
        settings.model.head,
        *matrix.shape,
        sequences.shape[1],
        settings.model.hidden_units,
        variant.trainable,
    )
    model.summary()
    fit = compile_fit(model, train.optimizer, train.learning_rate, train.batch_size)
    histories = []
    with (
        whole(artifacts.model(name)) as folder,
        tqdm(total=train.repeats * train.epochs, desc=f"train {name}", unit="epoch") as bar,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        folder.mkdir()

        def show(epoch: dict[str, float]) -> None:
            values = {measure: f"{value:.3f}" for measure, value in epoch.items()}
            bar.set_postfix(values, refresh=False)
            bar.update()

        def train_repeat(repeat: int) -> tuple[Weights, History]:
            seed = settings.seed + repeat
            rows, val_rows = draw_rows(len(labels), train.samples, train.validation_samples, seed)
            start = draw_matrix(*matrix.shape, seed) if variant.vectors == "random" else matrix
            return fit(
                initial_weights(model, seed, start),
                sequences[rows],
                labels[rows],
                sequences[val_rows],
                labels[val_rows],
                draw_orders(train.samples, train.epochs, seed),
                show,
                partial(drop_words, train.word_dropout, np.random.default_rng((seed, 2))),
                learning_rates(train.learning_rate, train.schedule, train.epochs),
            )

        for repeat, (weights, history) in enumerate(pool.map(train_repeat, range(train.repeats))):
            model.set_weights(weights)
            model.save_weights(folder / artifacts.weights(name, repeat).name)
            histories += [{"repeat": repeat, "epoch": e, **row} for e, row in enumerate(history, 1)]
    with whole(artifacts.training(name)) as unfinished:
        pd.DataFrame(histories).round(6).to_csv(unfinished, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
