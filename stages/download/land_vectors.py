"""Land a file of vectors in the one form that later stages know."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stages.download import vectors
from stages.download.location import local_copy
from stages.shared import artifacts
from stages.shared.files import whole
from stages.shared.schema import VectorSource
from stages.shared.text import count_of


def land_vectors(name: str, source: VectorSource) -> None:
    """Write the vectors of a source to a folder of their name: words.txt and matrix.npy."""
    choose = partial(vectors.choose_member, source.location or "", source.dim)
    path = local_copy(f"vectors.{name}", source, choose)
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
