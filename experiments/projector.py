"""Write the trained vectors for TensorBoard's embedding projector: python -m experiments.projector.

In:  the vocabulary, the matrices, the models and metrics/tuning/ of the last `dvc repro`.
Out: a folder that `tensorboard --logdir` opens: of each variant the vectors of the most frequent
     words before and after the training of repeat 0, and their words and counts.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from stages.evaluate.words import read_matrices
from stages.shared import artifacts, params
from stages.shared.errors import run
from stages.shared.files import reading

TENSOR = """embeddings {{
  tensor_name: "{name}"
  tensor_path: "{name}.tsv"
  metadata_path: "words.tsv"
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.projector", description=__doc__)
    parser.add_argument("--words", type=int, default=5000, help="so many of the most frequent")
    parser.add_argument("--out", type=Path, default=Path("data/projector"))
    arguments = parser.parse_args()
    settings = params.load()
    with reading(artifacts.VOCABULARY):
        vocabulary = pq.read_table(artifacts.VOCABULARY).to_pandas()
    n_words = min(arguments.words, settings.tokenize.num_words - 1, len(vocabulary))
    arguments.out.mkdir(parents=True, exist_ok=True)
    vocabulary[:n_words].to_csv(arguments.out / "words.tsv", sep="\t", index=False)
    config = []
    for variant, matrices in read_matrices(settings, n_words + 1).items():
        for phase, matrix in zip(("before", "after"), matrices, strict=True):
            name = f"{variant}_{phase}"
            rows = matrix[1 : n_words + 1]
            np.savetxt(arguments.out / f"{name}.tsv", rows, fmt="%.6g", delimiter="\t")
            config.append(TENSOR.format(name=name))
    (arguments.out / "projector_config.pbtxt").write_text("".join(config))
    print(f"tensorboard --logdir {arguments.out}")


if __name__ == "__main__":
    run(main)
