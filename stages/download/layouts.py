"""How a file of word vectors is written, told from its first bytes."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.download.word2vec import looks_binary
from stages.shared.errors import InputError

MOST = float(np.finfo(np.float32).max)
WIDEST = 100_000  # numbers of a vector, as in params.yaml
ROWS_COMPARED = 10  # with what the header says
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE)
UNPACK = "unpack it, and set the path to the file in it"
OTHER_FORMATS = {  # by how they begin
    b"\xff\xfe": "is UTF-16: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
    b"\xba\x16\x4f\x2f": "is fastText's own model: its vectors are in the .vec file beside it",
    b"\x80\2": "is a pickle: save the vectors with gensim's save_word2vec_format",
    b"\x80\4": "is a pickle: save the vectors with gensim's save_word2vec_format",
    b"\x93NUMPY": "is an array of NumPy without words: write a word and its numbers a line",
    b"\x89HDF": "is HDF5: write a word and its numbers a line",
    b"version https://git-lfs": "is a pointer to a file: git lfs pull fetches it",
    b"\x1f\x8b": f"is compressed twice: {UNPACK}",
    b"\xfd7zXZ": f"is compressed twice: {UNPACK}",
    b"(\xb5/\xfd": f"is compressed by Zstandard: {UNPACK}",
    b"7z\xbc\xaf": f"is a 7z archive: {UNPACK}",
    b"Rar!": f"is a RAR archive: {UNPACK}",
}
HINTS = {  # by what is in a line without numbers
    b"PK\3\4": "is it a zip, damaged or within another?",
    b"\0": "is it UTF-16? save it as UTF-8",
    b",": "write blanks between the numbers",
}


class Layout(NamedTuple):
    """How a file of vectors is written."""

    n_words: int | None  # as the header promises, where there is one
    dim: int
    n_before: int  # lines up to the header
    line_end: bytes
    binary: bool


def sniff(path: Path | str, head: bytes) -> Layout:
    """Find out how a file that begins with `head` is written.

    Raises InputError if it holds no vectors.
    """
    for magic, what in OTHER_FORMATS.items():
        if head.startswith(magic):
            raise InputError(f"{path} {what}")
    if head[257:262] == b"ustar":
        raise InputError(f"{path} is a tar archive: {UNPACK}")
    head = head.removeprefix(BYTE_ORDER_MARK)
    if not head.strip():
        raise InputError(f"{path} is empty")
    n_blank = head.count(b"\n", 0, len(head) - len(head.lstrip()))  # lines before the first
    line, _, rest = head.split(b"\n", n_blank)[-1].partition(b"\n")
    where, fields = f"{path}, line {n_blank + 1}", split_row(line)
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        n_words, dim = map(int, fields)
        if not n_words or not 0 < dim <= WIDEST or not rest.strip():
            raise InputError(f"{where}: promises {n_words} words of {dim} numbers")
        return below_header(path, n_words, dim, n_blank + 1, rest)
    dim = count_numbers(fields)
    if fault := fault_of_first(line, fields, dim):
        raise InputError(f"{where}: {fault}")
    return Layout(None, dim, 0, line_end(line), binary=False)


def below_header(path: Path | str, n_words: int, dim: int, n_before: int, rest: bytes) -> Layout:
    """Find out how the rows under a header are written; raises InputError if it is wrong."""
    lines = rest.split(b"\n", ROWS_COMPARED)[:ROWS_COMPARED]
    numbered = [(number, line) for number, line in enumerate(lines, n_before + 1) if line.strip()]
    n_numbers = [count_numbers(split_row(line)) for _, line in numbered]
    if max(n_numbers) < dim and looks_binary(rest, dim):
        return Layout(n_words, dim, n_before, b"", binary=True)
    if min(n_numbers) > dim:  # a word may end in a number, but not every word does
        raise InputError(
            f"{path}, line {numbered[0][0]}: {n_numbers[0]} numbers after the word,"
            f" but its header says {dim}"
        )
    return Layout(n_words, dim, n_before, line_end(numbered[0][1]), binary=False)


def fault_of_first(line: bytes, fields: list[bytes], dim: int) -> str | None:
    """Say why the first line does not show the number of dimensions, if it does not."""
    word = fields[1 : len(fields) - dim]  # what more it has than its first field
    if any(map(NUMBER.fullmatch, word)) or (word and is_comma_decimal(word[0])):
        return not_a_number(next(field for field in word if not NUMBER.fullmatch(field)))
    if line[:1] in (b" ", b"\t") and dim and NUMBER.fullmatch(fields[0]):
        return "no word before the numbers"
    if not 0 < dim <= WIDEST:
        hints = [f": {hint}" for sign, hint in HINTS.items() if sign in line]
        return "".join(["no word with numbers after it", *hints[:1]])
    return None


def split_row(line: bytes) -> list[bytes]:
    """Split a line at blanks and tabs, and at no other white space, which words may hold."""
    return [f for f in line.rstrip(b" \t\r").replace(b"\t", b" ").split(b" ") if f]


def line_end(line: bytes) -> bytes:
    """What ends a line, with the blanks before that."""
    return line[len(line.rstrip(b" \t\r")) :] + b"\n"


def count_numbers(fields: list[bytes]) -> int:
    """Count the numbers that end a row, at most all but its first field."""
    n = 0
    while n < len(fields) - 1 and NUMBER.fullmatch(fields[-1 - n]):
        n += 1
    return n


def is_number(field: bytes) -> bool:
    """Tell whether a field is a finite float32."""
    return NUMBER.fullmatch(field) is not None and abs(float(field)) <= MOST


def are_numbers(fields: list[bytes]) -> bool:
    """Tell the same of one or more fields together, which is faster."""
    if b"".join(fields).translate(None, b"+-.0123456789Ee"):  # float takes more, as 1_0
        return False
    try:
        return max(map(abs, map(float, fields))) <= MOST
    except ValueError:
        return False


def is_comma_decimal(field: bytes) -> bool:
    return b"," in field and NUMBER.fullmatch(field.replace(b",", b".", 1)) is not None


def not_a_number(field: bytes) -> str:
    """Say that a field is no number, and what would make it one."""
    hint = ": write decimals with a point" if is_comma_decimal(field) else ""
    return f"{field.decode('utf-8', 'replace')[:40]!r} is not a finite number{hint}"
