"""Text with separators, such as CSV and TSV: how it is written is found out from its content.

Every dialect that the content may be in is tried, with Python's csv. A reading is possible if the
header has the columns asked for, every row is as wide as the header, and every quote mark that
opens a field is closed. If several are possible and differ, and it isn't evident that the marks are
around fields, the user has to say which dialect it is.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice, product
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from stages.shared.errors import InputError
from stages.shared.schema import TextSource
from stages.shared.text import count_of

SEPARATORS = (",", ";", "\t", "|")
QUOTES = ('"', "", "'")
ESCAPES = ("", "\\")
LOOK_AT = 100  # rows, to tell whether the first is one of them
LONGEST_NAME, MOST_NAMES = 30, 5  # of columns, in a message
STAND_IN = "\U0010fffd"  # a character for private use, which no text should have
csv.field_size_limit(2**31 - 1)  # it is 131,072 characters, where a text may be longer


class Dialect(NamedTuple):
    """How fields are told apart; "" as quote or escape means that there is none."""

    separator: str
    quote: str
    escape: str


class Reading(NamedTuple):
    """What a dialect makes of a table: the columns, and the line at which each row begins.

    `swallowed` has the lines of the rows that hold line ends and what may be other rows.
    """

    dialect: Dialect
    columns: dict[str, list[str]]
    lines: list[int]
    swallowed: list[int]


class MisfitError(Exception):
    """What keeps a table from being in a dialect: the line, and what is wrong there."""


def read_delimited(
    path: Path, content: bytes, source: TextSource, names: dict[str, str]
) -> Reading:
    """Read the columns `names` of UTF-8 content, in the dialect that it is in.

    Without a label among them, rows in a field with line ends are not looked for.

    Raises InputError if it is in none, or in several that give other columns.
    """
    headers, readings, misfits = [], [], []
    for dialect in dialects(source, content):
        try:
            header = next((row for *_, row in records(content, dialect) if row), [])
            headers.append((header, dialect))
            if not has_columns(path, header, names):
                continue
            prepared = with_odd_escapes_doubled(content, dialect, source.escape is not None)
            if prepared is None:
                continue
            reading = read(prepared, dialect, header, names)
            if all(reading.columns != other.columns for other in readings):
                readings.append(reading)
        except MisfitError as misfit:
            misfits.append(misfit.args)  # the error itself keeps alive what was read
    if headers and not any(has_columns(path, header, names) for header, _ in headers):
        header, dialect = max(headers, key=lambda found: len(found[0]))
        if looks_like_data(content, dialect):
            raise InputError(
                f"{path}: the first row looks like data, not like names of columns: put a line"
                f" above it that names them, such as {dialect.separator.join(names.values())!r}"
            )
        if len(header) == 1:
            raise InputError(
                f"{path} has one column: set download.texts.separator to what is between columns"
            )
        raise lacking(path, header, names)
    return chosen(path, source, readings, misfits)


def dialects(source: TextSource, content: bytes) -> list[Dialect]:
    """List the dialects that the content may be in, as far as the user doesn't say it."""
    separators, quotes, escapes = (
        [given] if given is not None else [mark for mark in known if mark.encode() in content]
        for given, known in (
            (source.separator, SEPARATORS),
            (source.quote, QUOTES),
            (source.escape, ESCAPES),
        )
    )
    found = []
    for separator, quote, escape in product(separators or SEPARATORS[:1], quotes, escapes):
        escape = "" if escape == quote else escape  # as some say that a mark is doubled
        marks = separator + quote + escape
        if len(set(marks)) == len(marks) and not set(marks) & {"\r", "\n"}:
            found.append(Dialect(separator, quote, escape))
    if not found:
        raise InputError("download.texts.separator, .quote, .escape: no two alike, no line end")
    return found


def with_odd_escapes_doubled(content: bytes, dialect: Dialect, is_given: bool) -> bytes | None:
    r"""Double each escape before what needs none, as in `\_`: R and Spark mean a backslash by it.

    None if the user doesn't say that there are escapes, and the content looks as if there are none.
    """
    if not dialect.escape:
        return content
    escape = dialect.escape.encode()
    special = {*"\"'", *line_end(content), dialect.quote or dialect.separator, dialect.escape}
    either = b"|".join(re.escape(mark.encode()) for mark in sorted(special))
    pair = b"%b(?:%b)" % (re.escape(escape), either)
    if escape not in re.sub(pair, b"", content):
        return content
    if not is_given and (not dialect.quote or escape * 2 in content):
        return None
    return re.sub(
        b"(%b)|%b" % (pair, re.escape(escape)), lambda found: found[1] or escape * 2, content
    )


def line_end(content: bytes) -> str:
    """Find what the first line ends in."""
    found = re.search(rb"\r?\n|\r|$", content)
    assert found  # $ is there at the latest
    return found[0].decode()


def with_lone_ends_replaced(content: bytes, dialect: Dialect) -> tuple[bytes, str]:
    r"""Replace each \r, or \n, that isn't how the first line ends; also returns what it was.

    Without quotes it belongs to a field, but Python's csv would end the row there.
    """
    if dialect.quote or STAND_IN.encode() in content:
        return content, ""
    pattern, lone = (b"\n", "\n") if line_end(content) == "\r" else (rb"\r(?!\n)", "\r")
    replaced, n_replaced = re.subn(pattern, STAND_IN.encode(), content)
    return replaced, lone if n_replaced else ""


def records(content: bytes, dialect: Dialect) -> Iterator[tuple[int, int, str, list[str]]]:
    """Yield of each row its first and last line, its line end and its fields, none of a blank one.

    Raises MisfitError.
    """
    last = ""

    def lines() -> Iterator[str]:
        nonlocal last
        for last in io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""):  # noqa: UP028
            yield last

    reader = csv.reader(
        lines(),
        delimiter=dialect.separator,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape or None,
        strict=True,
    )
    first = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise MisfitError(
                first,
                "has a quote mark that opens a field and isn't closed: mend it, or set"
                " download.texts.quote ('' for none) or .escape",
            ) from None
        is_blank = len(row) == 1 and not row[0].strip()
        yield first, reader.line_num, last[len(last.rstrip("\r\n")) :], [] if is_blank else row
        first = reader.line_num + 1


def read(content: bytes, dialect: Dialect, header: list[str], names: dict[str, str]) -> Reading:
    """Read the columns `names` in a dialect; raises MisfitError if the content isn't in it."""
    where = {key: header.index(name) for key, name in names.items()}
    pick, picked, lines, ends, folded = picker([*where.values()]), [], [], {}, []
    content, lone = with_lone_ends_replaced(content, dialect)
    for first, last, end, row in records(content, dialect):
        ends.setdefault(end, first)
        if not row:
            continue
        if len(row) != len(header):
            check_ends(ends, text_is_last=True)
            raise MisfitError(
                first,
                f"has {count_of(len(row), 'field')}, but the header {len(header)}: put a text that"
                " holds the separator in quotes, or set download.texts.separator,"
                " .quote or .escape",
            )
        picked.append(pick(row))
        lines.append(first)
        if last > first or lone:
            folded.append((first, dialect.separator.join(row)))
    check_ends(ends, text_is_last=where["text"] == len(header) - 1)
    columns = {
        key: [row[i].replace(STAND_IN, lone or STAND_IN) for row in picked[1:]]
        for i, key in enumerate(where)
    }
    swallowed = []
    if "label" in where:
        # Counted from the nearer end of a row, since its text may hold separators.
        at = where["label"] - (len(header) if where["label"] > where["text"] else 0)
        looks = partial(looks_like_row, dialect.separator, len(header), at, set(columns["label"]))
        # Of a text in quotes its first or last line looks like a row, seldom another.
        swallowed = [
            line
            for line, row in folded
            if STAND_IN in row * bool(lone) or sum(map(looks, re.split(r"[\r\n]+", row))) > 1
        ]
    return Reading(dialect, columns, lines[1:], swallowed)


def picker(places: list[int]) -> Callable[[list[str]], Sequence[str]]:
    """Make what picks these fields of a row."""
    only = places[0]
    return itemgetter(*places) if len(places) > 1 else lambda row: row[only : only + 1]


def looks_like_row(separator: str, width: int, at: int, labels: set[str], line: str) -> bool:
    """Tell whether a line has fields enough, and a known label in its place."""
    fields = line.split(separator)
    return len(fields) >= width and fields[at].strip("\"'") in labels


def check_ends(ends: dict[str, int], text_is_last: bool) -> None:
    r"""Raise MisfitError if line ends differ and a \r, alone or before a \n, may be of a text."""
    kinds = sorted(set(ends) - {""})  # that of a last line without
    if len(kinds) > 1 and ("\r" in kinds or text_is_last):
        line, shown = max(ends[kind] for kind in kinds), " and ".join(map(repr, kinds))
        raise MisfitError(line, f"has another line end than those above: {shown}")


def chosen(
    path: Path, source: TextSource, readings: list[Reading], misfits: list[tuple[int, str]]
) -> Reading:
    """Choose the reading that the file is in; raises InputError if there is none, or it is open."""
    unquoted = next((reading for reading in readings if not reading.dialect.quote), None)
    for mark in filter(None, QUOTES) if source.quote is None and unquoted else ():
        quoted = [reading for reading in readings if reading.dialect.quote == mark]
        assert unquoted  # else there is no mark to try
        columns = unquoted.columns.values()
        around = any(are_around(mark, values, is_quoted=bool(quoted)) for values in columns)
        if around and (quoted or misfits):
            readings = quoted
            break
    if not readings:
        line, reason = max(misfits, key=itemgetter(0))
        raise ValueError(f"line {line} {reason}")
    labels = [Counter(reading.columns.get("label", ())) for reading in readings]
    # Where quote marks take rows into a text, a label that others have often may be gone.
    often = [{label.strip("\"'") for label in found if found[label] > 1} for found in labels]
    of_two_labels = [
        reading
        for reading, found in zip(readings, labels, strict=True)
        if len(found) == 2 and not any(set(found) < others for others in often)
    ]
    reading, *others = of_two_labels or readings
    if others:
        raise InputError(
            f"{path} line {first_difference(reading, others[0])} can be read in more than one way:"
            f" set {settings(reading.dialect, others[0].dialect)}"
        )
    if source.quote is None and reading.swallowed:
        raise InputError(
            f"{path} line {reading.swallowed[0]} begins a row with a line end in it, and what may"
            " be other rows: mend its quote marks, or if it is right, set download.texts.quote to"
            f" {reading.dialect.quote!r}"
        )
    return reading


def are_around(mark: str, values: list[str], is_quoted: bool) -> bool:
    """Tell whether the quote marks in a column, which was read without any, are around its fields.

    They are if all values stand in them, or if one does that holds more of them, doubled or
    escaped. If the table can't be read with quotes, half the values show that it is broken.
    """
    around = [text for text in values if len(text) > 1 and text[0] == mark == text[-1]]
    worded = {text for text in around if re.search(r"\w", text)}
    closed = re.compile(rf"{mark}(?:[^{mark}\\]|\\.|{mark}{mark})*+{mark}", re.DOTALL)
    return (
        any(mark in text[1:-1] and closed.fullmatch(text) for text in worded)
        or (len(around) == len(values) and len(worded) > 1)
        or (not is_quoted and 2 * len(around) > len(values))
    )


def first_difference(one: Reading, other: Reading) -> int:
    """The line of the first row in which two readings differ."""
    rows, others = (zip(*r.columns.values(), strict=True) for r in (one, other))
    found = (line for line, a, b in zip(one.lines, rows, others, strict=False) if a != b)
    return next(found, max(one.lines + other.lines))


def settings(one: Dialect, other: Dialect) -> str:
    """Name the parameters that tell two dialects apart, and their values."""
    pairs = zip(Dialect._fields, one, other, strict=True)
    return " and ".join(f"download.texts.{key} to {a!r} or {b!r}" for key, a, b in pairs if a != b)


def looks_like_data(content: bytes, dialect: Dialect) -> bool:
    """Tell whether the first row is one of a table without a header.

    Then a field of it is long, a sentence or a number, or it comes again in the column.
    """
    rows = []
    with suppress(MisfitError):
        for *_, row in islice(records(content, dialect), LOOK_AT):
            rows += [row] if row else []
    header, *others = rows or [[]]
    return any(
        len(name) > 2 * LONGEST_NAME
        or re.search(r"[\r\n]|[.!]$", name)
        or (re.fullmatch(r"[-+]?\d+(\.\d+)?", name) and name != str(i))
        or (name and any(name in row[i : i + 1] for row in others))
        for i, name in enumerate(header)
    )


def has_columns(path: Path, header: list[str], names: dict[str, str]) -> bool:
    """Tell whether a header has the columns asked for; raises InputError if one is there twice."""
    for key, name in names.items():
        if header.count(name) > 1:
            raise InputError(f"download.texts.{key}: {path} has column {name!r} twice")
    return set(names.values()) <= set(header)


def lacking(path: Path, header: list[str], names: dict[str, str]) -> InputError:
    """Say which column isn't there, and what is: one like it, or a few, never long."""
    key, name = next((key, name) for key, name in names.items() if name not in header)
    for known in header:
        if known.strip().casefold() == name.strip().casefold():
            value = known if known == known.strip() else repr(known)
            return InputError(
                f"{path} has no column {name!r}, but {known!r}: set download.texts.{key}={value}"
            )
    shown = [shortened(known) for known in header[:MOST_NAMES]]
    more = ["…"] if len(header) > MOST_NAMES else []
    return InputError(
        f"download.texts.{key}: {path} has no column {name!r}, but {', '.join(shown + more)}"
    )


def shortened(name: str) -> str:
    """Show a name on one line, and its beginning only where it is long."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
