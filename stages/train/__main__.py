"""Train one variant, once per repeat, two repeats at a time.

    python -m stages.train VARIANT

In:  data/sequences/train/ and the matrix in data/embeddings/ that the variant starts from.
Out: data/models/<variant>/repeat_<r>.weights.h5
     metrics/training/<variant>.csv: repeat, epoch, loss, accuracy, val_loss, val_accuracy.
     metrics/tuning/<variant>.csv: repeat, learning_rate (of a linear variant: C), of both
     weightings their shares, epoch, loss and accuracy on held-out parts of the samples, chosen;
     without train.tune, no row.
Parameters: seed, model, train, variants.<variant>, and the key of `embed` that it starts from.

Interrupted, it goes on from the repeats that were finished: they wait in data/unfinished-<variant>/
as long as code, parameters and inputs stay the same. data/trained_on/<variant>.json, kept by Git,
says which software and processor trained the variant last.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import stages.shared.blas  # noqa: F401  before numpy

import numpy as np
from tqdm import tqdm

from stages.shared import artifacts, params, weightings
from stages.shared.errors import InputError, command_line, run
from stages.shared.files import reading, remove
from stages.shared.schema import Params
from stages.train import finished, machine, tuning
from stages.train.texts import Texts


class Output:
    """Standard error for a bar that threads write to: once its reader is gone, it says nothing.

    An error would leave tqdm's lock held by the thread, and who closes the bar waits for that.
    """

    def write(self, text: str) -> None:
        with suppress(BrokenPipeError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


class Variant(Protocol):
    """What trains the repeats of a variant: a network, or a linear model."""

    chooses: tuple[str, ...]  # columns of metrics/tuning/ that say what `train.tune` chooses
    packages: tuple[str, ...]  # that train it, by their names on PyPI

    def train(
        self, repeat: int, on_epoch: Callable[[dict[str, float]], None]
    ) -> tuple[list[np.ndarray], list[dict[str, float]], list[tuning.Tried]]:
        """Train a repeat: its weights, its history, and what it has tried."""

    def save(self, weights: list[np.ndarray], path: Path) -> None:
        """Write the weights of a repeat."""


def validation_samples(n_texts: int, samples: int, wanted: int) -> int:
    """Say how many texts are validated on: as many as wanted, or all that training leaves.

    Raises InputError if the train split can't even give the samples to train on.
    """
    if samples > n_texts:
        raise InputError(
            f"params.yaml: train.samples is {samples:,}, but the train split has only"
            f" {n_texts:,} texts: set train.samples to at most {n_texts}"
        )
    if wanted > n_texts - samples:
        print(f"validating on the {n_texts - samples:,} texts that training leaves")
    return min(wanted, n_texts - samples)


def read(settings: Params, name: str) -> Variant:
    """Read what a variant is trained on and starts from."""
    folder, train, own = artifacts.split("train"), settings.train, settings.variants[name]
    with reading(folder):
        sequences = np.load(folder / "sequences.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy")
    with reading(artifacts.embedding(own.vectors)):
        matrix = np.load(artifacts.embedding(own.vectors))
    n_validation = validation_samples(len(labels), train.samples, train.validation_samples)
    texts = Texts(sequences, labels, n_validation)
    if (n_lacking := texts.n_labels - train.samples) > 0:
        print(f"each draw lacks {n_lacking} of the {texts.n_labels} labels")
    if (start := settings.embed[own.vectors]).texts:
        from stages.train.linear import Linear, LinearOnVectors

        if start.texts == "encoder":
            return LinearOnVectors(settings, matrix[: len(labels)], texts)
        return Linear(settings, matrix, texts, start)
    from stages.train.repeats import Network  # imports TensorFlow, which takes seconds

    return Network(name, settings, matrix, texts)


def main() -> None:
    settings = params.load()
    parser = command_line(__doc__)
    parser.add_argument("variant", choices=settings.variants)
    name, train = parser.parse_args().variant, settings.train
    variant = read(settings, name)
    inputs = [artifacts.split("train") / file for file in ("sequences.npy", "labels.npy")]
    inputs.append(artifacts.embedding(settings.variants[name].vectors))
    unfinished = artifacts.unfinished(name)
    done = finished.before(unfinished, finished.key_of(settings, name, inputs))
    if done:
        print(f"{len(done)} of {train.repeats} repeats were finished before: going on")
    to_do = [repeat for repeat in range(train.repeats) if repeat not in done]
    stop, n_epochs = Event(), most_epochs(settings, name)
    with (
        tqdm(
            total=train.repeats * n_epochs, initial=len(done) * n_epochs, desc=f"train {name}",
            unit="epoch", file=Output(), dynamic_ncols=True,
        ) as bar,
        ThreadPoolExecutor(machine.AT_ONCE) as pool,
    ):  # fmt: skip

        def train_repeat(repeat: int):
            left = n_epochs

            def show(row: dict[str, float]) -> None:
                nonlocal left
                if stop.is_set():
                    raise InterruptedError
                values = {measure: f"{value:.3f}" for measure, value in row.items()}
                bar.set_postfix(values, refresh=False)
                left -= 1
                bar.update()

            result = variant.train(repeat, show)
            bar.update(left)  # what candidates that were given up have left out
            return result

        try:
            results = pool.map(train_repeat, to_do)
            for repeat, (weights, history, tried) in zip(to_do, results, strict=True):
                path = unfinished / artifacts.weights(name, repeat).name
                variant.save(weights, path)
                finished.keep(unfinished, repeat, history, tried, variant.chooses)
        except InputError:  # of no use when it goes on
            remove(unfinished)
            raise
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    finished.gather(unfinished, name, train.repeats)
    machine.record(name, variant.packages)


def most_epochs(settings: Params, name: str) -> int:
    """Say how many epochs a repeat of a variant takes at most, those of all candidates included."""
    train = settings.train
    if not train.tune:
        return train.epochs
    n_parts = tuning.n_parts(train.samples, train.tune)
    _, shares = weightings.to_choose(settings.embed[settings.variants[name].vectors])
    return train.epochs * (1 + n_parts * len(train.tune.learning_rates) * len(shares))


if __name__ == "__main__":
    run(main)
