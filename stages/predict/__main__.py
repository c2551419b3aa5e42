"""Score the test split with the trained weights of every variant and repeat.

In:  data/models/ and data/sequences/test/.
Out: data/predictions/test.parquet: variant, repeat (int16), row (int32, of the split),
     label (int8; int16 of more than 128) and probability (float32, of label 1; of more than two
     labels a list, of each).
     Models in data/models/ of variants that params.yaml no longer names are removed.
Parameters: model, train.repeats, variants.

All variants are scored in one process: importing TensorFlow takes longer. What scores, and how
texts are laid out for it, is that of `train`: stages.train.network, .batches and .backend, its
.machine, and the .regression of linear variants.
"""

import numpy as np
from tqdm import tqdm

from stages.predict.scoring import predict
from stages.shared import artifacts, params, predictions
from stages.shared.errors import run
from stages.shared.files import reading, remove_all_but
from stages.train import regression


def main() -> None:
    settings = params.load()
    with reading(artifacts.split("test")):
        sequences = np.load(artifacts.split("test") / "sequences.npy", mmap_mode="r")
        labels = np.load(artifacts.split("test") / "labels.npy")
    model, repeats, probabilities = settings.model, settings.train.repeats, {}
    with tqdm(total=len(settings.variants) * repeats, desc="predict", unit="repeat") as bar:
        for name in settings.variants:
            rows = []
            for repeat in range(repeats):
                weights = artifacts.weights(name, repeat)
                if regression.is_linear(weights):
                    rows.append(regression.predict(weights, sequences))
                else:
                    rows.append(predict(weights, sequences, model.head, model.hidden_units))
                bar.update()
            probabilities[name] = np.stack(rows)
    predictions.write(labels, probabilities)
    remove_all_but(artifacts.MODELS, settings.variants)


if __name__ == "__main__":
    run(main, __doc__)
