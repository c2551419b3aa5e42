"""Land what params.yaml names under download in the one form that later stages know.

In:  an installed package, or the file or folder at download.<what>.path.
Out: reviews: data/raw/reviews.parquet, columns split (train, test), label (int8) and text.
     vectors: data/raw/vectors/, words.txt (a word a line) and matrix.npy (n_words, dim) float32.
Parameters: download.reviews or download.vectors.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages import params, paths, reviews, vectors
from stages.artifacts import run, whole

ROWS_PER_GROUP = 10_000  # what a later stage reads at a time: some 13 MB of IMDB reviews


def land_reviews(source: str, path: Path | None) -> None:
    """Write the reviews of a source to data/raw/reviews.parquet, the train split first."""
    table = reviews.SOURCES[source](path)
    with whole(paths.REVIEWS) as partial:
        pq.write_table(table, partial, compression="zstd", row_group_size=ROWS_PER_GROUP)
    n_train = pc.sum(pc.equal(table["split"], "train")).as_py()
    print(f"{paths.REVIEWS}: {n_train:,} train and {table.num_rows - n_train:,} test reviews")


def land_vectors(source: str, path: Path | None) -> None:
    """Write the vectors of a source to data/raw/vectors/."""
    with whole(paths.VECTORS) as partial:
        partial.mkdir()
        words, matrix = (partial / file.name for file in (paths.VECTOR_WORDS, paths.VECTOR_MATRIX))
        vectors.SOURCES[source](path, words, matrix)
        n_words, dim = np.load(matrix, mmap_mode="r").shape
    print(f"{paths.VECTORS}: {n_words:,} words, {dim} dimensions")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.download", description=__doc__)
    parser.add_argument("what", choices=["reviews", "vectors"])
    download = params.load().download
    if parser.parse_args().what == "reviews":
        land_reviews(download.reviews.source, download.reviews.path)
    else:
        land_vectors(download.vectors.source, download.vectors.path)


if __name__ == "__main__":
    run(main)
