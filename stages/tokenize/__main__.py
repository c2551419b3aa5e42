"""Fit the vocabulary on the train split, and turn every text into a padded sequence of ids.

In:  data/raw/texts.parquet.
Out: data/sequences/train/ and test/: sequences.npy (n_texts, maxlen) int32, 0 is padding, and
     labels.npy (n_texts,) int8. With bigrams, maxlen - 1 ids of pairs follow those of the words.
     data/sequences/vocabulary.parquet: every word of the train split and its count, by index.
     data/sequences/bigrams.parquet: the pairs of words that are read too, by index.
Parameters: tokenize.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from stages.shared import artifacts, params
from stages.shared.errors import InputError, run
from stages.shared.files import create_array, reading, whole
from stages.shared.schema import Tokenize
from stages.tokenize.encoding import Vocabulary, encode, fit, width

ROWS_AT_A_TIME = 10_000  # read from the file: some 13 MB of IMDB reviews


def read_column(name: str, split: str) -> Iterator[pa.Array]:
    """Yield a column of the texts of a split, piece by piece."""
    with (
        reading(artifacts.TEXTS),
        pq.ParquetFile(artifacts.TEXTS) as texts,
        tqdm(total=texts.metadata.num_rows, desc=f"{name}s, {split} split", delay=2) as bar,
    ):
        for batch in texts.iter_batches(ROWS_AT_A_TIME, columns=["split", name]):
            bar.update(len(batch))
            yield batch[name].filter(pc.equal(batch["split"], split))


def write_split(split: str, vocabulary: Vocabulary, settings: Tokenize) -> None:
    """Write the sequences and the labels of a split."""
    labels = np.concatenate([piece.to_numpy() for piece in read_column("label", split)])
    with whole(artifacts.split(split)) as folder:
        folder.mkdir()
        np.save(folder / "labels.npy", labels)
        shape = len(labels), width(settings)
        sequences = create_array(folder / "sequences.npy", shape, np.int32)
        start = 0
        for block in encode(read_column("text", split), vocabulary, settings):
            sequences[start : start + len(block)] = block
            start += len(block)


def write_vocabulary(vocabulary: Vocabulary, num_words: int) -> None:
    """Write the words and their counts, and the two words of each pair."""
    words = vocabulary.words
    first, second = np.divmod(vocabulary.pairs.to_numpy(), num_words)
    pairs = {"first": words.take(first - 1), "second": words.take(second - 1)}
    counted = {"word": words, "count": vocabulary.counts}
    for path, columns in ((artifacts.VOCABULARY, counted), (artifacts.BIGRAMS, pairs)):
        with whole(path) as partial_file:
            pq.write_table(pa.table(columns), partial_file, compression="zstd")


def main() -> None:
    settings = params.load().tokenize
    vocabulary = fit(partial(read_column, "text", "train"), settings)
    if len(vocabulary.words) == 0:
        raise InputError(f"{artifacts.TEXTS}: the train split holds no words")
    for split in ("train", "test"):
        write_split(split, vocabulary, settings)
    write_vocabulary(vocabulary, settings.num_words)
    n_tokens = pc.sum(vocabulary.counts).as_py()
    print(f"{len(vocabulary.words):,} distinct words, {n_tokens:,} tokens to train on")


if __name__ == "__main__":
    run(main, __doc__)
