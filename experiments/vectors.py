"""Write the vectors of words, before and after training, as other programs read them.

    python -m experiments.vectors --out vectors/

In:  the vocabulary, the matrices, the models and metrics/tuning/ of the last `dvc repro`.
Out: of each variant with an embedding, as its repeat 0 started and as it ended,
     <variant>_<before or after>.txt (word2vec's text format), .bin (its binary format) and .npy
     (n_words, dim) float32, with the word of each row in .words.txt.

gensim reads them, and so does `download` (download.vectors.<name>.source: word2vec). Words without
a vector and pairs of words are left out.
"""

import argparse
from pathlib import Path

import numpy as np

from stages.evaluate.words import read_matrices
from stages.predict.labeller import read_vocabulary
from stages.shared import params
from stages.shared.errors import InputError, run

PHASES = ("before", "after")


def write(base: Path, words: list[str], matrix: np.ndarray) -> None:
    """Write words and their vectors, (n_words, dim) float32, in each format; all digits stay."""
    header = f"{len(words)} {matrix.shape[1]}\n".encode()
    rows = [(word.encode(), row) for word, row in zip(words, matrix, strict=True)]
    with base.with_suffix(".txt").open("wb") as file:
        file.write(header)
        file.writelines(b"%b %b\n" % (w, " ".join(map(str, row)).encode()) for w, row in rows)
    with base.with_suffix(".bin").open("wb") as file:
        file.write(header)
        file.writelines(b"%b %b\n" % (w, row.astype("<f4").tobytes()) for w, row in rows)
    np.save(base.with_suffix(".npy"), matrix)
    base.with_suffix(".words.txt").write_bytes(b"".join(word + b"\n" for word, _ in rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.vectors", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--variant", help="default: each that has an embedding")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    arguments = parser.parse_args()
    settings = params.load()
    num_words = settings.tokenize.num_words
    words = read_vocabulary(num_words).words[: num_words - 1].to_pylist()
    found = read_matrices(settings, len(words) + 1)
    if arguments.variant not in (None, *found):
        known = ", ".join(found)
        raise InputError(f"variant {arguments.variant!r} has no vectors of words: {known} have")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for variant in [arguments.variant] if arguments.variant else found:
        for phase, matrix in zip(PHASES, found[variant], strict=True):
            kept = np.flatnonzero(matrix.any(axis=1))
            kept = kept[kept > 0]  # row 0 is padding
            base = arguments.out / f"{variant}_{phase}"
            write(base, [words[i - 1] for i in kept], matrix[kept])
            print(f"{base}: {len(kept):,} words, {matrix.shape[1]} dimensions")


if __name__ == "__main__":
    run(main)
