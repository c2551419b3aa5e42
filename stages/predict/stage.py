"""The DVC stage: the probabilities of the test split, of every variant and repeat."""

import stages.shared.blas  # noqa: F401  before numpy

import numpy as np
from tqdm import tqdm

from stages.predict import models
from stages.shared import artifacts, params, predictions
from stages.shared.files import reading, remove_all_but

TEXTS_AT_A_TIME = 50_000


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
    n_texts, probabilities = len(labels), {}
    with tqdm(total=len(settings.variants) * n_texts, desc="predict", unit="text") as bar:
        for name, variant in settings.variants.items():
            weights = [artifacts.weights(name, r) for r in range(settings.train.repeats)]
            is_of_vectors = models.kind(weights[0]) == "vectors"
            inputs = of_test_split(variant.vectors, n_texts) if is_of_vectors else sequences
            score, parts = models.scorer(weights, settings.model.head), []
            for start in range(0, n_texts, TEXTS_AT_A_TIME):
                scores, _ = score(inputs[start : start + TEXTS_AT_A_TIME])
                parts.append(np.stack(scores))
                bar.update(parts[-1].shape[1])
            probabilities[name] = np.concatenate(parts, axis=1)
    predictions.write(labels, probabilities)
    remove_all_but(artifacts.MODELS, settings.variants)
