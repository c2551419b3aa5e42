"""Fit the vocabulary on the train split, and turn every text into a padded sequence of ids.

In:  data/raw/texts.parquet.
Out: data/sequences/train/ and test/: sequences.npy (n_texts, maxlen) int32, 0 is padding;
     labels.npy (n_texts,) int; lengths.npy (n_texts,) int32, the number of tokens of each text.
     With bigrams, maxlen - 1 ids of pairs follow those of the words.
     data/sequences/vocabulary.parquet: every word of the train split and its count, by index.
     data/sequences/bigrams.parquet: the pairs of words that are read too, by index.
Parameters: tokenize.

With tokenize.method: unicode, data/tokenized_with.json, kept by Git, says which software found the
words last.
"""

import json
import platform
import unicodedata
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from stages.shared import artifacts, params
from stages.shared.errors import InputError, run
from stages.shared.files import create_array, reading, remove, whole
from stages.shared.schema import Tokenize
from stages.tokenize.encoding import Vocabulary, encode, fit, width

ROWS_AT_A_TIME = 10_000  # read from the file: some 13 MB of IMDB reviews
# Scripts written without blanks between words, as RE2 names them.
WITHOUT_BLANKS = "".join(
    rf"\p{{{script}}}"
    for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
)
MANY_WITHOUT_BLANKS = 0.2  # of the letters of the train split


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
    """Write the sequences, the labels and the lengths of a split."""
    labels = np.concatenate([piece.to_numpy() for piece in read_column("label", split)])
    with whole(artifacts.split(split)) as folder:
        folder.mkdir()
        np.save(folder / "labels.npy", labels)
        shape = len(labels), width(settings)
        sequences = create_array(folder / "sequences.npy", shape, np.int32)
        lengths = np.empty(len(labels), np.int32)
        start = 0
        for block in encode(read_column("text", split), vocabulary, settings):
            stop = start + len(block.lengths)
            sequences[start:stop], lengths[start:stop] = block
            start = stop
        np.save(folder / "lengths.npy", lengths)


def write_vocabulary(vocabulary: Vocabulary, num_words: int) -> None:
    """Write the words and their counts, and the two words of each pair."""
    words = vocabulary.words
    first, second = np.divmod(vocabulary.pairs.to_numpy(), num_words)
    pairs = {"first": words.take(first - 1), "second": words.take(second - 1)}
    counted = {"word": words, "count": vocabulary.counts}
    for path, columns in ((artifacts.VOCABULARY, counted), (artifacts.BIGRAMS, pairs)):
        with whole(path) as partial_file:
            pq.write_table(pa.table(columns), partial_file, compression="zstd")


def share_without_blanks(words: pa.Array, counts: pa.Array) -> float:
    """Say what share of the letters is of a script without blanks; words and counts (n_words,)."""
    letters, of_these = (
        np.dot(pc.count_substring_regex(words, f"[{kind}]"), counts)
        for kind in (r"\p{L}\p{M}", WITHOUT_BLANKS)
    )
    return of_these / max(letters, 1)


def record(method: str) -> None:
    """Write down what decides which words ICU finds, where no metric and no hash depends on it."""
    if method != "unicode":
        remove(artifacts.TOKENIZED_WITH)
        return
    from icu4py import icu_version

    found = {
        "python": platform.python_version(),
        "python's unicode": unicodedata.unidata_version,  # lower case, NFC, what a letter is
        "icu4py": version("icu4py"),
        "icu": icu_version,
    }
    with whole(artifacts.TOKENIZED_WITH) as partial_file:
        partial_file.write_text(json.dumps(found, indent=2) + "\n")


def main() -> None:
    settings = params.load().tokenize
    vocabulary = fit(partial(read_column, "text", "train"), settings)
    if len(vocabulary.words) == 0:
        raise InputError(f"{artifacts.TEXTS}: the train split holds no words")
    for split in ("train", "test"):
        write_split(split, vocabulary, settings)
    write_vocabulary(vocabulary, settings.num_words)
    record(settings.method)
    n_tokens = pc.sum(vocabulary.counts).as_py()
    print(f"{len(vocabulary.words):,} distinct words, {n_tokens:,} tokens to train on")
    share = share_without_blanks(vocabulary.words, vocabulary.counts)
    if settings.method == "keras" and share > MANY_WITHOUT_BLANKS:
        print(
            f"warning: {100 * share:.0f} % of the train split's letters are of a script that has no"
            " blanks between words: tokenize.method: unicode finds the words"
        )


if __name__ == "__main__":
    run(main, __doc__)
