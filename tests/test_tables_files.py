"""Tables as the world writes them: each is landed as it was meant, or refused in one line."""

import bz2
import datetime
import decimal
import gzip
import io
import json
import lzma
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.download import delimited
from stages.download.tables import TABLE_SUFFIXES, plain, read_columns, table, unpacked
from stages.shared.errors import InputError
from tests.test_tables import source

INPUTS = Path(__file__).parents[2] / "shared" / "inputs"
ROWS = [(f"{text} {i}", n) for i in range(6) for text, n in (("bad", 0), ("good", 1))]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
TSV = CSV.replace(",", "\t")


def landed(path: Path, **changes) -> list[tuple[str, int]]:
    """Texts and labels of a table, in order."""
    found = table(path, source(**{"test_fraction": 0.5, **changes}))
    return sorted(zip(found["text"].to_pylist(), found["label"].to_pylist(), strict=True))


def written(folder: Path, name: str, content: str | bytes | pa.Table) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(members: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("semicolons.csv", CSV.replace(",", ";")),
        ("tabs.csv", TSV),
        ("bars.csv", CSV.replace(",", "|")),
        ("commas.tsv", CSV),
        ("a.txt", TSV),
        ("windows.csv", CSV.replace("\n", "\r\n")),
        ("mac.csv", CSV.replace("\n", "\r")),
        ("mixed.csv", CSV.replace("\nbad", "\r\nbad")),
        ("no_line_end_at_the_end.csv", CSV.rstrip()),
        ("blank_lines.csv", "\n" + CSV.replace("\n", "\n\n") + "  \n\n"),
        ("blank_lines.tsv", TSV.replace("\n", "\r\n\r\n")),
        ("mark.csv", CSV.encode("utf-8-sig")),
        ("utf16.csv", CSV.encode("utf-16")),
        ("utf16be.csv", b"\xfe\xff" + CSV.encode("utf-16-be")),
        ("utf32.csv", CSV.encode("utf-32")),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("A.CSV.BZ2", bz2.compress(CSV.encode())),
        ("a.tsv.xz", lzma.compress(TSV.encode())),
        ("[a]*.csv", CSV),
        ("[a]?/a.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("a.csv.zip", zipped({"x/": "", "x/a.csv": CSV, "__MACOSX/x/._a.csv": "?", ".b.csv": "?"})),
        ("a.zip", zipped({"README.txt": "Rows of a table", "a[1].tsv": TSV})),
        ("a.json", json.dumps([{"text": t, "label": n} for t, n in ROWS], indent=1)),
        ("a.jsonl", json.dumps([{"text": t, "label": n} for t, n in ROWS])),
        ("a.ndjson", "\ufeff\n" + "".join(f'{{"text":"{t}","label":{n}}}\r\n\n' for t, n in ROWS)),
    ],
)
def test_a_table_is_read_whatever_it_is_packed_and_written_in(name, content, tmp_path):
    assert landed(written(tmp_path, name, content)) == sorted(ROWS)


def texts_of(name: str, content: str, **changes) -> list[str]:
    """The texts of a delimited table, without a split."""
    names = {"text": "text", "label": "label"}
    path = Path(name)
    return read_columns(path, path.suffix, content.encode(), source(**changes), names)[0]["text"]


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("rfc.csv", 'text,label\n"a, ""b""\nc",1\nd,0\n', ['a, "b"\nc', "d"]),
        ("rfc.tsv", 'text\tlabel\n"He said ""hi"""\t1\nd\t0\n', ['He said "hi"', "d"]),
        ("all_in_quotes.csv", '"text","label"\n"so bad","0"\n', ["so bad"]),
        ("texts_in_quotes.csv", 'text,label\n"so bad",0\n"a \\o/ b",1\n', ["so bad", "a \\o/ b"]),
        ("labels_in_quotes.csv", 'text,label\nso bad,"neg"\ngood,"pos"\n', ["so bad", "good"]),
        ("inch.csv", 'text,label\n5" pizza,1\nd,0\n', ['5" pizza', "d"]),
        ("inch_and_quotes.csv", 'text,label\n5" pizza,1\n"a, b",0\n', ['5" pizza', "a, b"]),
        ("uci.tsv", 'text\tlabel\n"so it is\t1\n"so" bad\t0\n', ['"so it is', '"so" bad']),
        ("lone_quote.tsv", 'text\tlabel\n"it is good\t1\nx\t0\n', ['"it is good', "x"]),
        ("kaggle.tsv", 'label\ttext\n1\t"\\"A\\" b\\\\"\n0\t"c"\n', ['"A" b\\', "c"]),
        ("r.tsv", 'label\ttext\n1\t"\\"A\\" \\o/"\n0\t"c"\n', ['"A" \\o/', "c"]),
        ("spark.csv", 'text,label\n"a \\"b\\" \\o/, c",1\n', ['a "b" \\o/, c']),
        ("mysql.tsv", "text\tlabel\na\\\tb\\\nc\\\\\t1\nd\t0\n", ["a\tb\nc\\", "d"]),
        ("single.csv", "text,label\n'it''s, well',1\n", ["it's, well"]),
        ("apostrophe.csv", 'text,label\n\'twas,1\n"a, b",0\n', ["'twas", "a, b"]),
        ("nul.csv", "text,label\ng\0d,1\n", ["g\0d"]),
        ("separators.csv", "text,label\ng\u2028\x85\x0b\x1cd,1\n", ["g\u2028\x85\x0b\x1cd"]),
        ("numbers.csv", "text,label\n007,1\n1.0,0\n1,0\n", ["007", "1.0", "1"]),
        ("blanks.csv", "text,label\n ,1\n,0\n", [" ", ""]),
        ("long.csv", f"text,label\n{'a' * 200_000},1\n", ["a" * 200_000]),
        ("prose.csv", 'text,label\n"No, 1\ngood, or\n1",1\nd,0\n', ["No, 1\ngood, or\n1", "d"]),
        ("private.csv", "text,label\na\U0010fffd,1\n", ["a\U0010fffd"]),
        ("windows.csv", 'text,label\r\n"a\r\n,b",1\r\nc,0\r\n', ["a\r\n,b", "c"]),
    ],
)
def test_quotes_and_escapes_are_found_out_where_the_file_decides(name, content, texts):
    assert texts_of(name, content) == texts


SWALLOWED = 'text,label\n"never closed,1\ngood film,1\na 5",0\n"nice, film",1\n'


@pytest.mark.parametrize(
    ("content", "changes", "texts"),
    [
        ('text,label\n"so bad",0\ngood,1\n', {"quote": '"'}, ["so bad", "good"]),
        ('text,label\n"so bad",0\ngood,1\n', {"quote": ""}, ['"so bad"', "good"]),
        ("text,label\na\\\\b,0\n", {"escape": ""}, ["a\\\\b"]),
        ("text,label\na\\\\b \\o/,0\n", {"escape": "\\"}, ["a\\b \\o/"]),
        ('text,label\n"a ""b""",0\n', {"escape": '"', "quote": '"'}, ['a "b"']),
        ("text^label\n~a^b~^0\n", {"separator": "^", "quote": "~"}, ["a^b"]),
        ("text,label\na\rb\r,1\n\r,0\n", {"quote": ""}, ["a\rb\r", "\r"]),
        (SWALLOWED, {"quote": '"'}, ["never closed,1\ngood film,1\na 5", "nice, film"]),
    ],
)
def test_what_parameters_say_of_a_dialect_decides(content, changes, texts):
    assert texts_of("a.csv", content, **changes) == texts


@pytest.mark.parametrize(
    ("content", "changes", "said"),
    [
        ('text,label\n"so bad",0\ngood,1\n', {}, "line 2 can be .*texts.quote to '\"' or ''$"),
        (
            "text,label\nb,1\na\\\\b,0\n",
            {},
            r"line 3 can be read .*texts.escape to '' or '\\\\'$",
        ),
        (SWALLOWED, {}, "line 2 begins a row with a line end in it, and what may"),
        ('text,label\n"a, b",1\n"c",0\n"open, d,1\n', {}, "line 4 has a quote mark that opens"),
        ('text,label\n"He said "no", so",1\n', {}, "line 2 has a quote mark that opens a field"),
        ('text\tlabel\n"a"\t1\n"b"\t0\n"c\t0\n', {}, "line 4 has a quote mark that opens a field"),
        ("text,label\na,1\n\nb, c,0\n", {}, "line 4 has 3 fields, but the header 2"),
        ("text,label\na,1\nb\n", {}, "line 3 has 1 field, but the header 2"),
        ('text,label\n"a,",1\nb\rc,0\n', {}, r"line 3 has another line end .*: '\\n' and '\\r'"),
        ("text,label\na\\\rb,1\nc,0\n", {}, "line 2 begins a row with a line end in it"),
        ("text,label\na,1\nb\rc,0\n", {}, "line 3 begins a row with a line end .*quote to ''$"),
        ('text,label\n"a \\"b\\" \\o/ \\\\, c",1\n', {}, "line 2 has a quote mark that opens"),
        ("text,label\na\\,b \\o/,1\n", {}, "line 2 has 3 fields, but the header 2"),
        ("label,text\r\n1,a\r\n0,b\n", {}, r"line 3 has another line end .*: '\\n' and '\\r\\n'"),
        ("text,label\na,1\n", {"separator": '"', "quote": '"'}, "no two alike"),
        ("text,label\na,1\n", {"separator": "\n"}, "no line end"),
        ("It was a long day.,pos\nb,neg\n", {}, "first row looks like data.*such as 'text,label'"),
        ('"A day.\nLong.",1\nb,0\n', {}, "a.csv: the first row looks like data"),
        ("fine,3\nb,4\nc,5\n", {}, "a.csv: the first row looks like data"),
        ("0,1\nb,4\nc,5\n", {}, "no column 'text', but 0, 1$"),  # as pandas names columns
        ("fine\tpos\nb\tneg\nc\tpos\n", {}, r"looks like data.*such as 'text\\tlabel'"),
        ("text^label\na^1\n", {}, "has one column: set download.texts.separator"),
        ("text,label\na,1\n", {"separator": ";"}, "has one column: set download.texts.separator"),
        ("Text,label \na,1\n", {}, "no column 'text', but 'Text': set download.texts.text=Text$"),
        ("text,label \na,1\n", {}, "'label ': set download.texts.label='label '$"),
        (f"a,{'b' * 31},c,d,e,f\n", {}, "no column 'text', but a, b{29}…, c, d, e, …$"),
        ("text,label\né,1\n", {"encoding": "ascii"}, "is 'ascii', but a.csv .* line 2 shows"),
        ("text,label\na,1\n", {"encoding": "klingon"}, "is 'klingon', which isn't known"),
        ("text,label\na,1\n", {"encoding": "rot13"}, "is 'rot13', which isn't known"),
        ("t\0e\0x\0t\0", {}, "set download.texts.encoding=utf-16-le"),
    ],
)
def test_what_stays_open_is_refused_with_the_line_and_what_to_set(content, changes, said):
    with pytest.raises((InputError, ValueError), match=said) as caught:
        texts_of("a.csv", content, **changes)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
    assert "long day" not in str(caught.value)


def test_a_reading_that_takes_all_rows_of_a_label_into_a_text_is_not_chosen():
    rows = [f"film {i}\t{'np'[i % 2]}" for i in range(8)]
    rows += ['"so it was\tneutral', "so so\tneutral", "well\tneutral", 'that was it"\tp', "end\tn"]
    content = "\n".join(["text\tlabel", *rows])
    with pytest.raises(InputError, match=r"line 10 can be read .*texts.quote to '\"' or ''$"):
        texts_of("a.tsv", content)
    assert len(texts_of("a.tsv", content, quote="")) == 13
    halves = "text,label\n" + 'good,"p"\n"no, bad","n"\n' * 3 + "good,p\nbad,n\n" * 3
    assert texts_of("a.csv", halves) == ["good", "no, bad"] * 3 + ["good", "bad"] * 3


def test_an_encoding_is_honoured(tmp_path):
    content = CSV.replace("good", "“goéd”")
    for encoding in ("cp1252", "utf-16-le"):
        path = written(tmp_path, "a.csv", content.encode(encoding))
        assert landed(path, encoding=encoding)[-1] == ("“goéd” 5", 1)
    rows = (f'{{"text": "é {i}", "label": 1}}\n{{"text": "b {i}", "label": 0}}\n' for i in range(6))
    path = written(tmp_path, "a.jsonl", "".join(rows).encode("latin1"))
    assert landed(path, encoding="latin1")[-1] == ("é 5", 1)


def test_the_log_tells_rows_the_longest_text_and_what_looks_like_a_row(tmp_path, capsys):
    landed(written(tmp_path, "a.csv", SWALLOWED + CSV.partition("\n")[2]), quote='"')
    assert capsys.readouterr().out == (
        "a.csv: rows: 14, characters of the longest text: 30, rows with a line end and what may"
        " be other rows in them: 1 (separator ',', quote '\"', escape '')\n"
    )


def test_a_header_is_data_if_a_field_of_it_comes_again_in_its_own_column():
    dialect = delimited.Dialect(",", '"', "")
    assert delimited.looks_like_data(b"a film,spam\nother,ham\nthird,spam\n", dialect)
    assert not delimited.looks_like_data(b"label,text\nspam,label\ntext,other\n", dialect)


def test_an_escape_before_what_needs_none_is_doubled_and_no_other():
    dialect, content = delimited.Dialect(",", '"', "\\"), rb'"a\_b","c\"d\\e"'
    doubled = delimited.with_odd_escapes_doubled(content, dialect, is_given=True)
    assert doubled == rb'"a\\_b","c\"d\\e"'


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"text": ["a"], "label": 1}', "line 1: 'text' is a list .* one text"),
        ("a.jsonl", '\n{"text": "a", "label": {"a": 1}}', "line 2: 'label' is a list or an object"),
        ("a.json", '[{"text": "a", "label": 1},\n{"text": 1, "label": [1]}]', "row 2: 'label' is"),
        ("a.jsonl", '{"text": "a", "label": NaN}\n{"text": "a", "label": 1}', "1 of 2 .* no label"),
        ("a.jsonl", '{"text": "a", "label": 1}\n5', "line 2 is no object with text and label"),
        ("a.jsonl", '{"Text": "a", "label": 1}', "no column 'text', but 'Text'"),
        ("a.json", '{"text": {"0": "a"}, "label": {"0": 1}}', "line 1: 'text' is a list or an obj"),
        ("a.json", "[" * 99_999, "can't be read: as json: maximum recursion depth"),
        ("a.json", "[]", "has no texts"),
        ("a.json", " \n", "is empty"),
        ("a.zip", zipped({"a.csv": CSV, "b.csv": CSV}), "holds 2 tables, but should hold one"),
        ("a.zip", zipped({"a.xls": CSV}), "holds 0 tables, but should hold one"),
        ("a.zip", zipped({"a.csv": CSV + "a,1\n" * 40_000_000}), "more than 50 times its size"),
        ("a.zip", CSV, "can't be read: File is not a zip file"),
        ("a.csv.bz2", CSV, "can't be read: Invalid data stream"),
        ("a.csv.xz", CSV, "can't be read: Input format not supported"),
        ("a.csv.xz", lzma.compress(CSV.encode())[:40], "can't be read: Compressed file ended"),
        ("a.tar.gz", gzip.compress(CSV.encode(), mtime=0), "a.tar.gz ends in none of .csv, .tsv"),
    ],
)
def test_other_files_that_will_not_do_are_refused_in_one_line(name, content, said, tmp_path):
    with pytest.raises(InputError, match=said) as caught:
        table(written(tmp_path, name, content), source())
    assert "\n" not in str(caught.value)


def test_a_member_of_a_zip_that_is_encrypted_or_of_another_compression_is_refused(tmp_path):
    whole = zipped({"a.csv": CSV})
    at = whole.index(b"PK\1\2")
    for offset, value in ((6, 1), (8, 9)):  # flags: encrypted; method: Deflate64
        content = bytearray(whole)
        content[offset] = content[at + offset + 2] = value
        with pytest.raises(InputError, match=r"a.zip can't be read: .*(password|compression)"):
            table(written(tmp_path, "a.zip", bytes(content)), source())


def test_json_holds_half_characters_numbers_and_booleans_as_texts(tmp_path):
    values = ['"cut \\ud83d"', '"\\ud83d\\ude00"', "1", "1.0", "true", "null", '"a\\u2028b"']
    lines = [f'{{"label": {i % 2}, "text": {value}}}' for i, value in enumerate(values * 2)]
    found = {text for text, _ in landed(written(tmp_path, "a.jsonl", "\n".join(lines)))}
    assert found == {"cut �", "😀", "1", "1.0", "true", "", "a\u2028b"}


TEXTS, LABELS = [text for text, _ in ROWS], [label for _, label in ROWS]
DATES = [datetime.date(2020, 1, 1 + i) for i in range(12)]
BYTES = [text.encode() for text in TEXTS]


@pytest.mark.parametrize(
    "columns",
    [
        {"text": pa.array(TEXTS, pa.large_string())},
        {"text": pa.array(TEXTS, pa.string_view())},
        {"text": pa.array(TEXTS).dictionary_encode()},
        {"text": pa.array(BYTES, pa.binary())},
        {"text": pa.array(BYTES).dictionary_encode()},
        {"label": pa.array(["neg", "pos"] * 6).dictionary_encode()},
        {"label": pa.array([decimal.Decimal(label) for label in LABELS], pa.decimal128(5, 2))},
        {"label": pa.array(LABELS, pa.uint8())},
        {"label": pa.array(LABELS, pa.float32())},
        {"label": pa.array(map(bool, LABELS))},
        {"__index_level_0__": pa.array(range(12))},
        {"text.en": pa.array([["list"]] * 12)},
    ],
)  # fmt: skip
def test_a_column_of_parquet_is_read_whatever_holds_its_values(columns, tmp_path):
    content = pa.table({"text": TEXTS, "label": LABELS} | columns)
    assert landed(written(tmp_path, "a.parquet", content)) == sorted(ROWS)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": [["a", "b"]] * 12}, "'text' of .* is of type list<.*should hold one text a row"),
        ({"label": [[1]] * 12}, "'label' of .* is of type list<.*should hold one label a row"),
        ({"label": [{"neg": 1}] * 12}, "is of type struct<neg: int64>, but"),
        ({"label": DATES}, r"is of type date32\[day\], but should hold one label a row"),
        ({"text": DATES}, r"is of type date32\[day\], but should hold one text a row"),
        ({"label": [None] * 12}, "12 of 12 texts have no label"),
        ({"label": [1.0, float("nan")] * 6}, "6 of 12 texts have no label"),
    ],
)
def test_a_column_of_parquet_that_will_not_do_is_named_with_its_type(columns, said, tmp_path):
    content = pa.table({"text": TEXTS, "label": LABELS} | columns)
    with pytest.raises(InputError, match=said) as caught:
        table(written(tmp_path, "a.parquet", content), source())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "read"),
    [(decimal.Decimal("1.10"), 1.1), (1.5, 1.5), (3, 3), (True, True), ("a", "a"), (None, None)],
)
def test_a_label_keeps_its_type_but_for_decimals(value, read):
    found = plain("label", value)
    assert (found, type(found)) == (read, type(read))


def test_where_a_codec_does_not_say_the_place_the_first_line_is_told(tmp_path):
    path = written(tmp_path, "a.csv", "text,label\na-!,1\nc,0\n")
    with pytest.raises(InputError, match=r"isn't written so, as line 1 shows"):
        landed(path, encoding="punycode")


def test_of_what_no_dialect_can_read_the_reading_that_came_furthest_is_told(tmp_path):
    content = 'text,label\n"a" x,1\n"b",0\nc,d,0\n'
    with pytest.raises(InputError, match="line 4 has 3 fields, but the header 2"):
        landed(written(tmp_path, "a.csv", content))


def test_a_header_is_told_as_the_separator_parts_it_that_finds_most_columns(tmp_path):
    content = "review;sentiment;day\ngood film;1;2\nbad, film;0;3\n"
    with pytest.raises(InputError, match="no column 'text', but review, sentiment, day"):
        landed(written(tmp_path, "a.csv", content))


def test_a_message_tells_a_parameter_from_the_column_that_it_names(tmp_path):
    path = written(tmp_path, "a.parquet", pa.table({"body": [["a"]] * 12, "label": LABELS}))
    with pytest.raises(InputError) as caught:
        landed(path, text="body")
    assert str(caught.value).startswith(f"download.texts.text: column 'body' of {path} is of type")
    path = written(tmp_path, "a.csv", "Body,label\nfine,1\nbad,0\n")
    with pytest.raises(
        InputError, match=r"no column 'body', but 'Body': set download.texts.text=B"
    ):
        landed(path, text="body")
    with pytest.raises(
        InputError, match=r"^download.texts.text: .* has no column 'x', but Body, l"
    ):
        landed(path, text="x")


def test_numbers_bytes_and_dates_of_parquet_keep_their_form(tmp_path):
    days = [day for day in DATES[:6] for _ in range(2)]
    columns = {"n": list(range(12)), "x": [1.0, 2.5] * 6, "label": LABELS, "day": days}
    columns |= {"b": [b"\xe9"] * 12, "part": ["train", "train", "test", "test"] * 3}
    content = pa.table(columns)
    path = written(tmp_path, "a.parquet", content)
    assert {text for text, _ in landed(path, text="n", group="day")} == set(map(str, range(12)))
    assert {text for text, _ in landed(path, text="x", split="part")} == {"1.0", "2.5"}
    assert {text for text, _ in landed(path, text="b", split="part")} == {"�"}
    assert {text for text, _ in landed(path, text="b", encoding="latin1", split="part")} == {"é"}
    with pytest.raises(InputError, match=r"encoding is 'ascii', but .* isn't written so"):
        landed(path, text="b", encoding="ascii")


def test_the_parquet_file_of_that_very_name_is_read(tmp_path):
    other = pa.table({"text": ["other"] * 12, "label": LABELS})
    for name in ("[a].parquet", "*.parquet", "x=1/[a].parquet"):
        path = written(tmp_path, name, pa.table({"text": TEXTS, "label": LABELS}))
        written(path.parent, "a.parquet", other)
        assert landed(path) == sorted(ROWS)


@pytest.mark.skipif(not INPUTS.is_dir(), reason="these files are not there")
def test_each_awkward_file_has_the_rows_that_its_name_says_or_is_refused_in_one_line():
    n_read = 0
    for path in sorted(INPUTS.iterdir()):
        if path.suffix not in TABLE_SUFFIXES or path.suffix == ".txt":
            continue
        try:
            suffix, content = unpacked(path)
            names = {"text": "text", "label": "label"}
            columns, _ = read_columns(path, suffix, content, source(), names)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            n_read += 1
            if told := re.search(r"(\d+)_rows", path.name):
                assert len(columns["text"]) == int(told[1])
    assert n_read >= 8


@pytest.mark.parametrize(
    ("name", "begin", "between", "end"), [("a.json", "[", ",", "]"), ("a.jsonl", "", "\n", "")]
)
def test_control_characters_in_texts_of_json_are_read(name, begin, between, end, tmp_path):
    rows = [f'{{"text": "{text}\tfilm", "label": {label}}}' for text, label in ROWS]
    path = written(tmp_path, name, begin + between.join(rows) + end)
    assert landed(path) == sorted((f"{text}\tfilm", label) for text, label in ROWS)
