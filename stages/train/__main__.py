"""Train one variant, once per repeat, two repeats at a time.

    python -m stages.train VARIANT

In:  data/sequences/train/ and the matrix in data/embeddings/ that the variant starts from.
Out: data/models/<variant>/repeat_<r>.weights.h5
     metrics/training/<variant>.csv: repeat, epoch, loss, accuracy, val_loss, val_accuracy.
Parameters: seed, model, train, variants.<variant>, and the key of `embed` that it starts from.

Interrupted, it goes on from the repeats that were finished: they wait in data/unfinished-<variant>/
as long as code, parameters and inputs stay the same. data/trained_on/<variant>.json, kept by Git,
says which software and processor trained the variant last.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from stages.train.backend import THREADS

import numpy as np
from tqdm import tqdm

from stages.shared import artifacts, params
from stages.shared.errors import InputError, command_line, run
from stages.shared.files import reading, remove
from stages.shared.schema import Params
from stages.train.finished import finished_before, gather, keep, key_of, record_machine
from stages.train.loop import Loop
from stages.train.network import build_model
from stages.train.repeats import Variant, validation_samples

# Repeats at once: what a scheduler allots to OpenMP, "2", or "2,1" with a number for each level.
AT_ONCE = int((os.environ.get("OMP_NUM_THREADS") or str(THREADS)).split(",")[0])


def read(settings: Params, name: str) -> Variant:
    """Read what a variant is trained on and starts from, and build its model."""
    folder, train = artifacts.split("train"), settings.train
    start = artifacts.embedding(settings.variants[name].vectors)
    with reading(folder):
        sequences = np.load(folder / "sequences.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy")
    with reading(start):
        matrix = np.load(start)
    n_validation = validation_samples(len(labels), train.samples, train.validation_samples)
    model = build_model(
        settings.model.head,
        *matrix.shape,
        sequences.shape[1],
        settings.model.hidden_units,
        settings.variants[name].trainable,
    )
    loop = Loop(model, train.optimizer, train.learning_rate, train.batch_size)
    return Variant(name, settings, model, loop, matrix, sequences, labels, n_validation)


def main() -> None:
    settings = params.load()
    parser = command_line(__doc__)
    parser.add_argument("variant", choices=settings.variants)
    name, train = parser.parse_args().variant, settings.train
    variant = read(settings, name)
    variant.model.summary()
    inputs = [artifacts.split("train") / file for file in ("sequences.npy", "labels.npy")]
    inputs.append(artifacts.embedding(settings.variants[name].vectors))
    unfinished = artifacts.unfinished(name)
    done = finished_before(unfinished, key_of(settings, name, inputs))
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

        def show(row: dict[str, float]) -> None:
            if stop.is_set():
                raise InterruptedError
            values = {measure: f"{value:.3f}" for measure, value in row.items()}
            bar.set_postfix(values, refresh=False)
            bar.update()

        try:
            results = pool.map(lambda repeat: variant.train(repeat, show), to_do)
            for repeat, (weights, history) in zip(to_do, results, strict=True):
                variant.model.set_weights(weights)
                keep(variant.model, history, unfinished, name, repeat)
        except InputError:  # the next training has other parameters
            remove(unfinished)
            raise
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    gather(unfinished, name, train.repeats)
    record_machine(name)


if __name__ == "__main__":
    run(main)
