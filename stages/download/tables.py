"""A user's own labelled text in a table: CSV and its like, JSON or Parquet."""

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from stages.download.delimited import has_columns, lacking, read_delimited
from stages.download.packages import check_expansion
from stages.shared.errors import InputError
from stages.shared.files import reading_input
from stages.shared.schema import TextSource

BLOCK_BYTES = 16 << 20
DELIMITED, JSON = (".csv", ".tsv", ".tab", ".txt"), (".jsonl", ".ndjson", ".json")
TABLE_SUFFIXES = (*DELIMITED, *JSON, ".parquet")
OPENERS: dict[str, Callable[[Path], io.BufferedIOBase]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
# A mark of 32 bits begins like one of 16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Types of Arrow that are one value a row.
TEXTS = ("string", "large_string", "string_view")
BYTES = ("binary", "large_binary", "fixed_size_binary", "binary_view")
NUMBERS, TIMES = ("integer", "floating", "decimal", "boolean", "null"), ("temporal",)
SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character, that JSON can hold and UTF-8 can't
OF_CONTENT = (ValueError, RecursionError, pa.ArrowNotImplementedError, pa.ArrowTypeError)
Columns = dict[str, list]


def table(path: Path, source: TextSource) -> pa.Table:
    """Read a CSV, TSV, JSON or Parquet file, its columns named by parameters."""
    import polars as pl  # predict, which opens a user's tables too, does without

    from stages.download.labelled import labelled

    keys = ("text", "label", "split", "group")
    names = {key: getattr(source, key) for key in keys if getattr(source, key) is not None}
    with reading_input(path):
        try:
            suffix, content = unpacked(path)
        except (RuntimeError, lzma.LZMAError, struct.error) as error:  # a zip may be encrypted
            raise ValueError(error) from None
        try:
            columns, said = read_columns(path, suffix, content, source, names)
        except OF_CONTENT as error:
            raise ValueError(f"as {suffix[1:]}: {error}") from None
    text = pl.Series(columns["text"], dtype=pl.String)
    longest = cast(int, text.str.len_chars().max() or 0)
    print(f"{path.name}: rows: {len(text):,}, characters of the longest text: {longest:,}{said}")
    groups, splits = columns.get("group"), columns.get("split")
    return labelled(path, source, text, columns["label"], splits, groups)


def read_columns(
    path: Path, suffix: str, content: bytes, source: TextSource, names: dict[str, str]
) -> tuple[Columns, str]:
    """Read the columns asked for; the text is what the user is told of how they were read."""
    if suffix == ".parquet":
        return from_parquet(path, content, source, names), ""
    content = as_utf8(path, content, source.encoding)
    if not content.strip():
        raise InputError(f"{path} is empty")
    if suffix in JSON:
        return from_json(path, content, names), ""
    reading = read_delimited(path, content, source, names)
    columns = {
        key: values if key == "text" else [value or None for value in values]
        for key, values in reading.columns.items()
    }
    separator, quote, escape = map(repr, reading.dialect)
    return columns, (
        f", rows with a line end and what may be other rows in them: {len(reading.swallowed):,}"
        f" (separator {separator}, quote {quote}, escape {escape})"
    )


def unpacked(path: Path) -> tuple[str, bytes]:
    """Read a whole file, unpacked if it is compressed: returns its suffix and its content."""
    with opened(path) as (suffix, file):
        is_packed = path.suffix.lower() not in TABLE_SUFFIXES
        return suffix, read_all(path, file) if is_packed else file.read()


@contextmanager
def opened(path: Path) -> Iterator[tuple[str, IO[bytes] | io.BufferedIOBase]]:
    """Open a file, unpacked if it is compressed: yields its suffix, and the file to read from."""
    outer = path.suffix.lower()
    if outer == ".zip":
        with zipfile.ZipFile(path) as archive:
            member = table_member(path, archive)
            with archive.open(member) as file:
                yield Path(member).suffix.lower(), file
        return
    suffix = Path(path.stem if outer in OPENERS else path.name).suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise InputError(f"download.texts.path: {path.name} ends in none of {known}")
    with OPENERS[outer](path) if outer in OPENERS else path.open("rb") as file:
        yield suffix, file


def read_all(path: Path, file: IO[bytes] | io.BufferedIOBase) -> bytes:
    """Read to the end; raises InputError if that is more than a file like `path` should hold."""
    content = bytearray()
    while block := file.read(BLOCK_BYTES):
        content += block
        check_expansion(path, len(content))
    return bytes(content)


def table_member(path: Path, archive: zipfile.ZipFile) -> str:
    """Choose the one table of a zip; hidden files, what macOS adds and a readme are no tables."""
    tables = [
        name
        for name in archive.namelist()
        if name.lower().endswith(TABLE_SUFFIXES)
        and not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    ]
    if others := [name for name in tables if not name.lower().endswith(".txt")]:
        tables = others
    if len(tables) != 1:
        raise InputError(
            f"{path} holds {len(tables)} tables, but should hold one, with a name that ends in one"
            f" of {', '.join(TABLE_SUFFIXES)}"
        )
    return tables[0]


def as_utf8(path: Path, content: bytes, encoding: str | None) -> bytes:
    """Encode as UTF-8, without a mark, from the encoding that the user or its own mark names."""
    text = decoded(path, content, encoding, encoding or found_encoding(path, content))
    return text.removeprefix("\ufeff").encode("utf-8", "replace")


def found_encoding(path: Path, content: bytes) -> str:
    """Tell the encoding by the first bytes; raises InputError for UTF-16 without a mark."""
    for mark, name in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return name
    if b"\0" in content[:2]:
        end = "be" if content[:1] == b"\0" else "le"
        raise InputError(
            f"{path} looks like UTF-16 without a mark: set download.texts.encoding=utf-16-{end}"
        )
    return "utf-8"


def decoded(path: Path, content: bytes, encoding: str | None, otherwise: str = "utf-8") -> str:
    """Decode by `encoding`, which must fit; if it is None by another, with U+FFFD for the rest."""
    try:
        return content.decode(encoding or otherwise, "strict" if encoding else "replace")
    except UnicodeError as error:
        line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        reason = f"but {path} isn't written so, as line {line} shows"
    except (LookupError, ValueError):
        reason = "which isn't known: utf-8, utf-16 and cp1252 are"
    raise InputError(f"download.texts.encoding is {encoding!r}, {reason}")


def from_json(path: Path, content: bytes, names: dict[str, str]) -> Columns:
    """Read an array of objects, or an object a line."""
    known, columns = {}, {key: [] for key in names}
    for where, row in json_rows(path, content):
        if not isinstance(row, dict):
            raise InputError(f"{path} {where} is no object with {' and '.join(names.values())}")
        known |= dict.fromkeys(row)
        for key, name in names.items():
            if isinstance(value := row.get(name), list | dict):
                raise InputError(
                    f"{path} {where}: {name!r} is a list or an object, but should be one {key}"
                )
            columns[key].append(plain(key, value))
    if known and not has_columns(path, list(known), names):
        raise lacking(path, list(known), names)
    return columns


def json_rows(path: Path, content: bytes) -> Iterator[tuple[str, object]]:
    """Yield what an array or each line holds, with its place."""
    where = ""
    try:
        if content.lstrip().startswith(b"["):
            for number, row in enumerate(json.loads(content, strict=False), 1):
                yield f"row {number}", row
            return
        for number, line in enumerate(io.TextIOWrapper(io.BytesIO(content), "utf-8"), 1):
            if line.strip():
                where = f"line {number}: "
                yield f"line {number}", json.loads(line, strict=False)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", error) if where else error  # msg lacks a line of its own
        raise ValueError(f"{where}{reason}") from None


def from_parquet(path: Path, content: bytes, source: TextSource, names: dict[str, str]) -> Columns:
    """Read columns that hold one value a row."""
    file = pq.ParquetFile(pa.BufferReader(content))
    if not has_columns(path, file.schema_arrow.names, names):
        raise lacking(path, file.schema_arrow.names, names)
    found = file.read(columns=list(names.values()))
    columns = {}
    for key, name in names.items():
        column = found[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if is_one_of(column.type, TEXTS + BYTES):
            encoding = source.encoding if is_one_of(column.type, BYTES) else None
            values = (
                None if value is None else decoded(path, value, encoding)
                for value in column.cast(pa.large_binary()).to_pylist()
            )
        elif is_one_of(column.type, NUMBERS + TIMES * (key == "group")):
            values = column.to_pylist()
        else:
            raise InputError(
                f"download.texts.{key}: column {name!r} of {path} is of type"
                f" {str(column.type)[:60]}, but should hold one {key} a row"
            )
        columns[key] = [plain(key, value) for value in values]
    return columns


def is_one_of(kind: pa.DataType, names: tuple[str, ...]) -> bool:
    """Tell whether a type is one of those that Arrow's `is_<name>` know."""
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def plain(key: str, value: object) -> object:
    """Make a value a str, unless it is a label. A missing text is empty, all else missing None."""
    if value is None or value != value:
        return "" if key == "text" else None
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if key == "label":
        return float(value) if isinstance(value, Decimal) else value
    return str(value).lower() if isinstance(value, bool) else str(value)
