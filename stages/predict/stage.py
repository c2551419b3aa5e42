"""The DVC stage: the probabilities of the test split, of every variant and repeat.

All variants are scored in one process: importing TensorFlow takes longer.
"""

import stages.shared.blas  # noqa: F401  before numpy

import numpy as np
from tqdm import tqdm

from stages.predict.scoring import predict
from stages.shared import artifacts, params, predictions
from stages.shared.files import reading, remove_all_but
from stages.train import regression


def of_test_split(start: str, n_texts: int) -> np.ndarray:
    """Read the vectors of the test split's texts, (n_texts, dim) float32, the last of a start."""
    with reading(artifacts.embedding(start)):
        return np.load(artifacts.embedding(start), mmap_mode="r")[-n_texts:]


def score_test_split() -> None:
    """Write the probabilities of the test split, and remove models that are no variant's."""
    settings = params.load()
    with reading(artifacts.split("test")):
        sequences = np.load(artifacts.split("test") / "sequences.npy", mmap_mode="r")
        labels = np.load(artifacts.split("test") / "labels.npy")
    model, repeats, probabilities = settings.model, settings.train.repeats, {}
    with tqdm(total=len(settings.variants) * repeats, desc="predict", unit="repeat") as bar:
        for name, variant in settings.variants.items():
            rows = []
            for repeat in range(repeats):
                weights = artifacts.weights(name, repeat)
                if regression.is_linear(weights):
                    rows.append(regression.predict(weights, sequences))
                elif regression.is_of_vectors(weights):
                    vectors = of_test_split(variant.vectors, len(labels))
                    rows.append(regression.predict_vectors(weights, vectors))
                else:
                    rows.append(predict(weights, sequences, model.head, model.hidden_units))
                bar.update()
            probabilities[name] = np.stack(rows)
    predictions.write(labels, probabilities)
    remove_all_but(artifacts.MODELS, settings.variants)
