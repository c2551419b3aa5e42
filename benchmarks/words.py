"""Time what a word is: `python -m benchmarks.words`, or with Parquet files beside IMDB.

Tokenizes with `tokenize.method` keras and unicode in turns, in one process: fits the vocabulary on
all texts and encodes them. Prints the processor time of each, the median of five, and their ratio.
A file has a column text.
"""

import statistics
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.download.texts import imdb_package
from stages.report.markdown import lines_of
from stages.shared.errors import command_line
from stages.shared.schema import Tokenize
from stages.tokenize.encoding import encode, fit

ROUNDS = 5
METHODS = ("keras", "unicode")
SIZES = {"num_words": 10_000, "num_bigrams": 0, "maxlen": 100}  # the defaults


def seconds(texts: list[pa.Array], settings: Tokenize) -> float:
    """Measure the processor time of fitting to texts and encoding them."""
    start = time.process_time()
    vocabulary = fit(lambda: texts, settings)
    for _ in encode(texts, vocabulary, settings):
        pass
    return time.process_time() - start


def compare(texts: list[pa.Array]) -> list[str]:
    """Time both methods in turns: megabytes, seconds of each, and how many times longer it took."""
    settings = [Tokenize(method=method, lowercase=True, **SIZES) for method in METHODS]
    measured = [[seconds(texts, of) for of in settings] for _ in range(ROUNDS)]
    keras, unicode = map(statistics.median, zip(*measured, strict=True))
    megabytes = sum(pc.sum(pc.binary_length(piece)).as_py() for piece in texts) / 1e6
    return [f"{megabytes:.1f}", f"{keras:.2f} s", f"{unicode:.2f} s", f"{unicode / keras:.1f}"]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    texts = {"IMDB": imdb_package()["text"].chunks}
    for path in parser.parse_args().files:
        texts[path.stem] = pq.read_table(path)["text"].chunks
    rows = [[name, *compare(pieces)] for name, pieces in texts.items()]
    print(lines_of(["texts", "MB", *METHODS, "ratio"], rows))


if __name__ == "__main__":
    main()
