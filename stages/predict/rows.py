"""The texts that a user wants a label for, row by row: arguments, standard input or a table.

A row is its number, from 1 on, and its text; or what is wrong with it, where it has none. Nothing
holds more than a piece of them, but of an array of JSON and of Parquet in an archive.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import pyarrow as pa

from stages.shared.errors import InputError
from stages.shared.files import reading_input
from stages.shared.schema import TextSource
from stages.shared.text import count_of

if TYPE_CHECKING:
    from stages.download.delimited import Dialect

ROWS_AT_A_TIME = 10_000
CHARACTERS_AT_A_TIME = 1 << 24  # some 13,000 reviews; of longer texts a piece has fewer
HEAD_BYTES = 1 << 20  # of a table, to find out how it is written
ESCAPED = "surrogateescape"  # makes half a character of a wrong byte, so that its row can be told
NOT_DECODED = re.compile("[\ud800-\udfff]")


class FaultError(Exception):
    """What is wrong with a row."""


class Row(NamedTuple):
    """A row of the input: its text, or None and what is wrong."""

    number: int
    text: str | None
    fault: str = ""


class Piece(NamedTuple):
    """Consecutive rows: the numbers of those that have a text, their texts, and the others."""

    numbers: list[int]
    texts: pa.Array
    faulty: list[Row]


def pieces(rows: Iterable[Row]) -> Iterator[Piece]:
    """Gather rows into pieces that fit into memory."""
    numbers, texts, faulty, n_characters = [], [], [], 0
    for number, text, fault in rows:
        if text is None:
            faulty.append(Row(number, None, fault))
        else:
            numbers.append(number)
            texts.append(text)
            n_characters += len(text)
        is_full = len(texts) + len(faulty) >= ROWS_AT_A_TIME
        if is_full or n_characters >= CHARACTERS_AT_A_TIME:
            yield Piece(numbers, pa.array(texts, pa.string()), faulty)
            numbers, texts, faulty, n_characters = [], [], [], 0
    if texts or faulty:
        yield Piece(numbers, pa.array(texts, pa.string()), faulty)


def checked(values: Iterable[object]) -> Iterator[Row]:
    """Number values from 1 on; a value is a text, None, or a FaultError that says what is wrong."""
    for number, value in enumerate(values, 1):
        if isinstance(value, FaultError):
            yield Row(number, None, str(value))
        elif value is None:
            yield Row(number, None, "has no text")
        elif not (text := str(value)).strip():
            yield Row(number, None, "has an empty text")
        elif not text.isascii() and NOT_DECODED.search(text):
            yield Row(number, None, "holds a byte, or half a character, that is no text")
        else:
            yield Row(number, text)


def lines(file: IO[bytes]) -> Iterator[str]:
    """Yield the lines of UTF-8, without their ends."""
    for number, line in enumerate(file):
        text = line.decode("utf-8", ESCAPED).rstrip("\r\n")
        yield text if number else text.removeprefix("\ufeff")


def table(path: Path, source: TextSource) -> Iterator[object]:
    """Yield the texts of a table of any kind that `download` reads, its column by parameters.

    Raises InputError if there is no such table or column.
    """
    from stages.download import tables

    try:
        with reading_input(path), tables.opened(path) as (suffix, file):
            if suffix == ".parquet":
                is_plain = path.suffix.lower() == suffix
                content = path if is_plain else pa.BufferReader(tables.read_all(path, file))
                yield from parquet_texts(path, content, source)
                return
            tables.decoded(path, b"", source.encoding)  # which may not be known
            head = read(file, HEAD_BYTES)
            encoding = source.encoding or tables.found_encoding(path, head)
            whole = io.BufferedReader(Rejoined(head, file))
            if suffix in tables.JSON:
                yield from json_texts(path, whole, encoding, source.text)
            else:
                yield from delimited_texts(path, head, whole, encoding, source)
    except (RuntimeError, tables.lzma.LZMAError, tables.struct.error) as error:  # of archives
        raise InputError(f"{path} can't be read: {error}") from None


def read(file: IO[bytes], n_bytes: int) -> bytes:
    """Read so many bytes, or all that there are; an archive's file gives fewer at a time."""
    content = b""
    while len(content) < n_bytes and (block := file.read(n_bytes - len(content))):
        content += block
    return content


class Rejoined(io.RawIOBase):
    """A file whose beginning was read before."""

    def __init__(self, head: bytes, rest: IO[bytes]):
        self.head, self.rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        block = self.head.read(len(buffer)) or self.rest.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


def decoded(file: io.BufferedReader, encoding: str) -> io.TextIOWrapper:
    """Decode a file; what is wrong in it is told row by row."""
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(file, encoding, ESCAPED, newline="")


def parquet_texts(path: Path, content: Path | pa.BufferReader, source: TextSource) -> Iterator:
    """Yield a column of Parquet."""
    import pyarrow.parquet as pq

    from stages.download import tables

    names = {"text": source.text}
    with pq.ParquetFile(content) as file:
        if not tables.has_columns(path, file.schema_arrow.names, names):
            raise tables.lacking(path, file.schema_arrow.names, names)
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=[source.text]):
            column = batch.column(0)
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            if tables.is_one_of(column.type, tables.TEXTS + tables.BYTES):
                encoding = source.encoding if tables.is_one_of(column.type, tables.BYTES) else None
                content = column.cast(pa.large_binary())
                for value in content.to_numpy(zero_copy_only=False):  # four times as fast as a list
                    yield value if value is None else value.decode(encoding or "utf-8", ESCAPED)
            elif tables.is_one_of(column.type, tables.NUMBERS):
                yield from (single(value) for value in column.to_pylist())
            else:
                raise InputError(
                    f"download.texts.text: column {source.text!r} of {path} is of type"
                    f" {str(column.type)[:60]}, but should hold one text a row"
                )


def single(value: object) -> object:
    """Make what is no text one, as `download` does; a missing value is None."""
    from stages.download.tables import plain

    if isinstance(value, list | dict):
        return FaultError(f"has a {type(value).__name__} in place of a text")
    return value if value is None or isinstance(value, str) else plain("text", value) or None


def json_texts(path: Path, file: io.BufferedReader, encoding: str, name: str) -> Iterator:
    """Yield a key of each object, of an array or of one object a line."""
    with decoded(file, encoding) as text:
        objects = (line for line in text if line.strip())
        first = next(objects, "")
        if first.lstrip().startswith("["):
            try:
                rows = json.loads(first + text.read(), strict=False)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path} can't be read: as json: {error}") from None
            yield from (text_of(row, name) for row in rows)
            return
        for line in chain([first], objects):
            try:
                yield text_of(json.loads(line, strict=False), name)
            except (ValueError, RecursionError):
                yield FaultError("is not valid JSON")


def text_of(row: object, name: str) -> object:
    """Take the text out of an object of JSON."""
    if not isinstance(row, dict):
        return FaultError(f"is no object with {name!r}")
    return single(row[name]) if name in row else FaultError(f"has no {name!r}")


def delimited_texts(
    path: Path, head: bytes, file: io.BufferedReader, encoding: str, source: TextSource
) -> Iterator:
    """Yield a column of CSV and its like, which is written as its head shows."""
    from stages.download import delimited

    names, dialect = {"text": source.text}, dialect_of(path, head, encoding, source)
    with decoded(file, encoding) as text:
        rows = csv.reader(
            mended(text, dialect),
            delimiter=dialect.separator,
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
            escapechar=dialect.escape or None,
            strict=True,
        )
        header = next((row for row in rows if any(row)), [])
        if not delimited.has_columns(path, header, names):
            raise delimited.lacking(path, header, names)
        place = header.index(source.text)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                is_open = "end of data" in str(error)
                said = "opens a quote that isn't closed: what follows it was not read"
                yield FaultError(said if is_open else f"can't be read: {error}")
                continue
            if row and len(row) == len(header):
                yield row[place]
            elif any(field.strip() for field in row):
                yield FaultError(f"has {count_of(len(row), 'field')}, but the header {len(header)}")


def dialect_of(path: Path, head: bytes, encoding: str, source: TextSource) -> "Dialect":
    """Find out how a table is written, as `download` does, but from its head.

    Where `download` would refuse a row of it, the dialect is the one that fits most rows. Raises
    InputError if the table is empty, lacks the column, or can be read in several ways.
    """
    from stages.download import delimited

    is_all, names = len(head) < HEAD_BYTES, {"text": source.text}
    text = head[: len(head) // 4 * 4 if encoding != "utf-8" and not is_all else None]
    content = text.decode(encoding, "replace").removeprefix("\ufeff").encode("utf-8", "replace")
    if not content.strip():
        raise InputError(f"{path} is empty")
    whole = content if is_all else content[: content.rfind(b"\n") + 1] or content
    with suppress(ValueError):  # also where a quoted text goes on behind the head
        return delimited.read_delimited(path, whole, source, names).dialect

    def n_fitting(dialect: "Dialect") -> int:
        rows = []
        with suppress(delimited.MisfitError):
            rows += (row for *_, row in delimited.records(content, dialect) if row)
        return sum(len(row) == len(rows[0]) and source.text in rows[0] for row in rows)

    return max(delimited.dialects(source, content), key=n_fitting)


def mended(lines: Iterable[str], dialect: "Dialect") -> Iterator[str]:
    """Double each escape before what needs none, as `download` does."""
    from stages.download.delimited import with_odd_escapes_doubled

    for line in lines:
        if dialect.escape and dialect.escape in line:
            content = line.encode("utf-8", ESCAPED)
            content = with_odd_escapes_doubled(content, dialect, is_given=True) or content
            line = content.decode("utf-8", ESCAPED)
        yield line
