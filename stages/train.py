"""Train one variant, once per repeat, two repeats at a time.

In:  data/sequences/train/ and the matrix in data/embeddings/ that the variant starts from.
Out: data/models/<variant>/repeat_<r>.weights.h5
     metrics/training/<variant>.csv: repeat, epoch, loss, accuracy, val_loss, val_accuracy.
Parameters: seed, model, train, variants.<variant>.

Interrupted, it goes on from the repeats that were finished: they wait in data/unfinished-<variant>/
as long as code, parameters and inputs stay the same. data/trained_on/<variant>.json, kept by Git,
says which software and processor trained the variant last.
"""

import hashlib
import json
import math
import os
import platform
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from threading import Event

from stages.backend import THREADS

import numpy as np
import pandas as pd
from keras import Model
from tqdm import tqdm

from stages.draws import draw_matrix, draw_orders, draw_rows
from stages.model import build_model
from stages.shared import artifacts, params
from stages.shared.artifacts import (
    InputError,
    command_line,
    reading,
    remove,
    run,
    sha256_of,
    whole,
)
from stages.training import History, Weights, compile_fit, drop_words, initial_weights

MOST_LOSS = 10 * math.log(2)  # nats a review after the last epoch; not to know gives log 2
# Repeats at once: what a scheduler allots, as OpenMP reads it, "2" or, for each level, "2,1".
AT_ONCE = int((os.environ.get("OMP_NUM_THREADS") or str(THREADS)).split(",")[0])


def learning_rates(rate: float, schedule: str, epochs: int) -> Iterator[float]:
    """Give the learning rate of each epoch; `linear` would end at zero after the last one."""
    for epoch in range(epochs):
        yield rate * (1 - epoch / epochs) if schedule == "linear" else rate


def validation_samples(n_reviews: int, samples: int, wanted: int) -> int:
    """Say how many reviews are validated on: as many as wanted, or all that training leaves.

    Raises InputError if the train split can't even give the samples to train on.
    """
    if samples > n_reviews:
        raise InputError(
            f"params.yaml: train.samples is {samples:,}, but the train split has only"
            f" {n_reviews:,} reviews: set train.samples to at most {n_reviews}"
        )
    if wanted > n_reviews - samples:
        print(f"validating on the {n_reviews - samples:,} reviews that training leaves")
    return min(wanted, n_reviews - samples)


def has_diverged(loss: float, is_last: bool) -> bool:
    """Tell by the loss of an epoch that training does not find to its aim any more."""
    return not math.isfinite(loss) or (is_last and loss > MOST_LOSS)


def diverged(where: str, what: str, learning_rate: float) -> InputError:
    return InputError(
        f"{where}: training diverged at learning rate {learning_rate:g} ({what}):"
        " set a smaller train.learning_rate"
    )


def key_of(settings: params.Params, variant: str, inputs: list[Path]) -> str:
    """Hash all that decides a variant's weights: code, parameters, content of the inputs."""
    code = sorted(Path(__file__).parent.rglob("*.py"))
    chosen = settings.seed, settings.model, settings.train, settings.variants[variant]
    content = [repr(chosen), *map(sha256_of, [*code, *inputs])]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def finished_before(folder: Path, key: str) -> list[int]:
    """List the repeats that an interrupted run with the same key has left in `folder`, and keep it.

    What a run with another key has left is removed.
    """
    if not (folder / key).exists():
        remove(folder)
        folder.mkdir(parents=True)
        (folder / key).touch()
    return sorted(
        int(path.stem.removeprefix("repeat_"))
        for path in folder.glob("repeat_*.sha256")
        if path.read_text() == sums_of(path)
    )


def sums_of(path: Path) -> str:
    """Give the SHA-256 of weights and history of a repeat, next to its `path`."""
    return "\n".join(sha256_of(path.with_suffix(end)) for end in (".weights.h5", ".csv"))


def keep(model: Model, history: History, folder: Path, variant: str, repeat: int) -> None:
    """Write weights and history of a finished repeat, then their sums: these say it is finished."""
    model.save_weights(folder / artifacts.weights(variant, repeat).name)
    rows = [{"repeat": repeat, "epoch": epoch, **row} for epoch, row in enumerate(history, 1)]
    path = folder / f"repeat_{repeat}.csv"
    pd.DataFrame(rows).round(6).to_csv(path, index=False)
    with whole(path.with_suffix(".sha256")) as partial_file:
        partial_file.write_text(sums_of(path))


def record_machine(variant: str) -> None:
    """Write down what trained a variant, where no metric and no hash depends on it."""
    cpu_info = Path("/proc/cpuinfo")
    named = re.search("model name\\s*: (.*)", cpu_info.read_text()) if cpu_info.exists() else None
    record = {
        "python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "processor": f"{named[1] if named else platform.processor()}, {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": THREADS,
    }
    with whole(artifacts.trained_on(variant)) as partial_file:
        partial_file.write_text(json.dumps(record, indent=2) + "\n")


def gather(folder: Path, variant: str, repeats: int) -> None:
    """Make the outputs of a variant from its finished repeats, which are removed."""
    with whole(artifacts.model(variant)) as models:
        models.mkdir()
        for repeat in range(repeats):
            shutil.copy(folder / artifacts.weights(variant, repeat).name, models)
    histories = [pd.read_csv(folder / f"repeat_{repeat}.csv") for repeat in range(repeats)]
    with whole(artifacts.training(variant)) as partial_file:
        pd.concat(histories).to_csv(partial_file, index=False, lineterminator="\n")
    remove(folder)


def main() -> None:
    settings = params.load()
    parser = command_line(__doc__)
    parser.add_argument("variant", choices=settings.variants)
    name = parser.parse_args().variant
    variant, train = settings.variants[name], settings.train

    with reading(artifacts.split("train")):
        sequences = np.load(artifacts.split("train") / "sequences.npy", mmap_mode="r")
        labels = np.load(artifacts.split("train") / "labels.npy")
    with reading(artifacts.embedding(variant.vectors)):
        matrix = np.load(artifacts.embedding(variant.vectors))
    n_validation = validation_samples(len(labels), train.samples, train.validation_samples)

    model = build_model(
        settings.model.head,
        *matrix.shape,
        sequences.shape[1],
        settings.model.hidden_units,
        variant.trainable,
    )
    model.summary()
    fit = compile_fit(model, train.optimizer, train.learning_rate, train.batch_size)
    inputs = [artifacts.split("train") / name for name in ("sequences.npy", "labels.npy")]
    unfinished = artifacts.unfinished(name)
    done = finished_before(
        unfinished, key_of(settings, name, [*inputs, artifacts.embedding(variant.vectors)])
    )
    if done:
        print(f"{len(done)} of {train.repeats} repeats were finished before: going on")
    to_do = [repeat for repeat in range(train.repeats) if repeat not in done]
    stop = Event()
    with (
        tqdm(
            total=train.repeats * train.epochs, initial=len(done) * train.epochs,
            desc=f"train {name}", unit="epoch",
        ) as bar,
        ThreadPoolExecutor(min(THREADS, AT_ONCE)) as pool,
    ):  # fmt: skip

        def show(place: str, epochs: Iterator[int], row: dict[str, float]) -> None:
            if stop.is_set():
                raise InterruptedError
            epoch = next(epochs)
            if has_diverged(row["loss"], epoch == train.epochs):
                what = f"training loss {row['loss']:.4g}"
                raise diverged(f"{place}, epoch {epoch}", what, train.learning_rate)
            values = {measure: f"{value:.3f}" for measure, value in row.items()}
            bar.set_postfix(values, refresh=False)
            bar.update()

        def train_repeat(repeat: int) -> tuple[Weights, History]:
            seed = settings.seed + repeat
            rows, val_rows = draw_rows(len(labels), train.samples, n_validation, seed)
            start = draw_matrix(*matrix.shape, seed) if variant.vectors == "random" else matrix
            place = f"variants.{name}, repeat {repeat}"
            weights, history = fit(
                initial_weights(model, seed, start),
                sequences[rows],
                labels[rows],
                sequences[val_rows],
                labels[val_rows],
                draw_orders(train.samples, train.epochs, seed),
                partial(show, place, count(1)),
                partial(drop_words, train.word_dropout, np.random.default_rng((seed, 2))),
                learning_rates(train.learning_rate, train.schedule, train.epochs),
            )
            if not all(np.isfinite(weight).all() for weight in weights):
                where = f"{place}, epoch {train.epochs}"
                raise diverged(where, "a weight is no finite number", train.learning_rate)
            return weights, history

        try:
            for repeat, result in zip(to_do, pool.map(train_repeat, to_do), strict=True):
                model.set_weights(result[0])
                keep(model, result[1], unfinished, name, repeat)
        except InputError:  # of no use when it goes on
            remove(unfinished)
            raise
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)

    gather(unfinished, name, train.repeats)
    record_machine(name)


if __name__ == "__main__":
    run(main)
