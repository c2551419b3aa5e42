"""Land texts, or a file of vectors, in the one form that later stages know."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from json import dumps, loads
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.download import equal_texts, texts, vectors
from stages.download.labelled import check_each_label, shown
from stages.shared import artifacts
from stages.shared.errors import InputError
from stages.shared.files import sha256_of, whole
from stages.shared.schema import Source, TextSource, VectorSource
from stages.shared.text import count_of

ROWS_PER_GROUP = 10_000  # what a later stage reads at a time: some 13 MB of IMDB texts
NOT_UTF8 = "\ufffd"  # what stands where bytes were not UTF-8


def local_copy(key: str, source: Source) -> Path | None:
    """Find what a source names: fetch it if it is a URL, and check its SHA-256 where one is given.

    `key` is its place below `download`. Raises InputError if there is nothing, or something else
    than `sha256` asks for.
    """
    if source.location is None:
        return None
    if source.is_url:
        from stages.download.fetch import fetch, fetch_zip_member

        if isinstance(source, VectorSource) and source.location.endswith(".zip"):
            choose = partial(vectors.choose_member, source.location, source.dim)
            return fetch_zip_member(source.location, choose, source.checksum)
        return fetch(source.location, source.checksum)
    path = at_home(Path(source.location))
    if not path.exists():
        is_relative = not Path(source.location).is_absolute()
        looked = f", looked for at {path.absolute()}" if is_relative else ""
        raise InputError(
            f"download.{key}.path: there is no {source.location}{looked}; an absolute path always"
            " works"
        )
    if source.sha256 and path.is_file() and (found := sha256_of(path)) != source.sha256:
        raise InputError(f"download.{key}.sha256: {path} has SHA-256 {found}, not {source.sha256}")
    return path


def at_home(path: Path) -> Path:
    """Find a relative path where the stage runs, or in the project that an experiment belongs to.

    DVC runs queued and --temp experiments in folders of their own, below .dvc/tmp/exps/, where
    nothing is that Git ignores.
    """
    home, _, below = Path.cwd().as_posix().partition("/.dvc/tmp/exps/")
    return path if path.exists() or not below else Path(home) / path


def read_texts(source: TextSource) -> pa.Table:
    """Read the texts of a source: split, label, text; what is equal is counted, or dropped.

    The metadata has `labels`, their names, and `equal_texts`, the counts; both are JSON.
    """
    table = texts.SOURCES[source.source](local_copy("texts", source), source)
    ids = equal_texts.text_ids(table["text"])
    if source.duplicates == "drop":
        n_before = table.num_rows
        table = equal_texts.drop(table, ids)
        print(f"{count_of(n_before - table.num_rows, 'text')} dropped, of equal texts")
        ids = equal_texts.text_ids(table["text"])
        check_each_label(source.name, table)
    is_test = pc.equal(table["split"], "test").to_numpy()
    counts = equal_texts.count(is_test, table["label"].to_numpy(), ids)
    return table.replace_schema_metadata(table.schema.metadata | {"equal_texts": dumps(counts)})


def land_texts(source: TextSource) -> None:
    """Write the texts of a source to data/raw/texts.parquet, the train split first."""
    table = read_texts(source)
    with whole(artifacts.TEXTS) as partial:
        pq.write_table(table, partial, compression="zstd", row_group_size=ROWS_PER_GROUP)
    print(f"{artifacts.TEXTS}: {count_of(table.num_rows, 'text')}")
    for line in described(table):
        print(line)


def described(table: pa.Table) -> Iterator[str]:
    """Say of landed texts what a user should know: labels, splits, what is odd, what is equal."""
    names = loads(table.schema.metadata[b"labels"])
    yield f"label 0 is {shown(names[0])}, label 1 is {shown(names[1])}"
    for split in ("train", "test"):
        label = table["label"].filter(pc.equal(table["split"], split)).to_numpy()
        counts = zip(np.bincount(label, minlength=len(names)), names, strict=True)
        of_each = ", ".join(f"{count:,} {shown(name)}" for count, name in counts)
        yield f"{split} split: {count_of(len(label), 'text')} ({of_each})"
    n_empty = pc.sum(pc.equal(pc.binary_length(table["text"]), 0)).as_py()
    if n_empty:
        yield f"empty: {count_of(n_empty, 'text')}"
    n_replaced = pc.sum(pc.match_substring(table["text"], NOT_UTF8)).as_py()
    if n_replaced:
        yield (
            f"with U+FFFD, for what is not UTF-8: {count_of(n_replaced, 'text')};"
            " if the file is in another encoding, set download.texts.encoding, as to cp1252"
        )
    equal = loads(table.schema.metadata[b"equal_texts"])
    mend = "download.texts.duplicates: drop leaves them out"
    if equal["test_in_train"]:
        n_equal = count_of(equal["test_in_train"], "test text")
        yield f"in train too, but for capitals and white space: {n_equal}; {mend}"
    if equal["two_labels"]:
        yield f"with both labels: {count_of(equal['two_labels'], 'text')}; {mend}"


def land_vectors(name: str, source: VectorSource) -> None:
    """Write the vectors of a source to a folder of their name: words.txt and matrix.npy."""
    path = local_copy(f"vectors.{name}", source)
    target = artifacts.vectors(name)
    with (
        whole(target) as folder,
        closing(vectors.SOURCES[source.source](path, source.dim)) as blocks,
    ):
        folder.mkdir()
        n_words, dim, n_zero = write_vectors(
            blocks, folder / "words.txt", folder / "matrix.npy", source.vocabulary_limit
        )
    print(f"{target}: {n_words:,} words, {dim} dimensions")
    if n_zero:
        print(f"zero: {count_of(n_zero, 'vector')}")


def write_vectors(
    blocks: Iterator[vectors.Block], words: Path, matrix: Path, limit: int | None = None
) -> tuple[int, int, int]:
    """Write the first `limit` vectors; returns their number, their width, and how many are zero."""
    n_words = dim = n_zero = 0
    with (
        words.open("w", encoding="utf-8", newline="\n") as word_file,
        matrix.open("wb") as matrix_file,
    ):
        for block in blocks:
            if n_words == 0:
                dim = block.matrix.shape[1]
                write_header(matrix_file, 0, dim)
            keep = slice(None if limit is None else limit - n_words)
            part = np.ascontiguousarray(block.matrix[keep])
            word_file.writelines(f"{word}\n" for word in block.words[keep])
            matrix_file.write(part.data)
            n_words += len(part)
            n_zero += len(part) - int(np.count_nonzero(part.any(axis=1)))
            if n_words == limit:
                break
        matrix_file.seek(0)
        write_header(matrix_file, n_words, dim)
    return n_words, dim, n_zero


def write_header(file: BinaryIO, n_words: int, dim: int) -> None:
    """Write the header of a .npy file that holds `(n_words, dim) float32` in C order.

    Its length does not depend on n_words, so it can be written again when n_words is known.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (n_words, dim)}
    np.lib.format.write_array_header_1_0(file, header)
