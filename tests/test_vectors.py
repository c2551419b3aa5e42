"""Vectors: every format gives the same words and numbers; a fault is named with its line."""

import bz2
import gzip
import lzma
import pickle
import re
import struct
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.download import land_vectors, vectors, word2vec
from stages.download.layouts import are_numbers, is_number
from stages.shared.errors import InputError
from stages.shared.params import PACKAGED_DIM

WORDS = ["the", "film", "don't", "…", '"', "#", "null"]
MATRIX = np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32)
HUGE = (MATRIX[1] * 1e20).tobytes()
ROWS = [[str(value) for value in row] for row in MATRIX]


def read(path: Path, dim: int | None = None, limit: int | None = None):
    """What lands of a file: the words and the matrix."""
    out = path.with_name("out")
    out.mkdir(exist_ok=True)
    with closing(vectors.vector_file(path, dim)) as blocks:
        land_vectors.write_vectors(blocks, out / "words.txt", out / "matrix.npy", limit)
    words = (out / "words.txt").read_bytes().decode().split("\n")[:-1]
    return words, np.load(out / "matrix.npy")


def text(header: str = "", end: str = "\n", words=WORDS) -> bytes:
    rows = zip(words, ROWS, strict=True)
    return (header + "".join(" ".join([word, *row]) + end for word, row in rows)).encode()


def binary(end: bytes = b"\n") -> bytes:
    rows = zip(WORDS, MATRIX, strict=True)
    return b"7 4\n" + b"".join(word.encode() + b" " + row.tobytes() + end for word, row in rows)


def zipped(content: bytes, path: Path) -> bytes:
    return zip_of(path, {"glove.4d.txt": content})


def zip_of(path: Path, members: dict[str, bytes], **packing: int) -> bytes:
    """Write a zip; `packing` changes fields of its members' descriptions."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    content = bytearray(path.read_bytes())
    for field, value in packing.items():
        for signature, places in ((b"PK\x03\x04", (6, 8)), (b"PK\x01\x02", (8, 10))):
            at = content.find(signature)
            while at >= 0:
                content[at + places[field == "method"]] = value
                at = content.find(signature, at + 4)
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: text(),
        lambda path: text("7 4\n"),
        lambda path: text(end="\r\n"),
        lambda path: text("7 4\r\n", end="\r\n"),
        lambda path: text("7 4\n", end=" \n"),
        lambda path: text().removesuffix(b"\n"),
        lambda path: b"\xef\xbb\xbf" + text(),
        lambda path: b"\xef\xbb\xbf" + text("7 4\n"),
        lambda path: gzip.compress(text("7 4\n")),
        lambda path: bz2.compress(text()),
        lambda path: lzma.compress(text()),
        lambda path: text("7 4\n").replace(b" ", b"\t").replace(b"\t", b" ", 1),
        lambda path: re.sub(rb"(?m)^(\S+) ", rb"\1\t", text()),
        lambda path: text().replace(b" ", b"  "),
        lambda path: text().replace(b"\n", b"\n ").removesuffix(b" "),
        lambda path: text().replace(b"\n", b" \t\n", 3),
        lambda path: text().replace(b"\n", b"\r\n", 3),
        lambda path: text().replace(b"\n", b"\n\n") + b" \n\r\n",
        lambda path: b"\n\n" + text("7 4\n\n"),
        lambda path: zipped(text(), path),
        lambda path: binary(),
        lambda path: binary(b""),
        lambda path: gzip.compress(binary()),
    ],
    ids=[
        "plain", "header", "windows", "windows-header", "space-at-line-end", "no-last-line-end",
        "byte-order-mark", "byte-order-mark-header", "gzip", "bzip2", "xz", "tabs",
        "tab-after-the-word", "two-blanks", "leading-blank", "some-trailing-blanks",
        "some-windows", "blank-lines", "blank-lines-before", "zip", "binary", "binary-as-gensim",
        "binary-gzip",
    ],
)  # fmt: skip
@pytest.mark.parametrize("block_bytes", [1, 50, 1 << 20])
def test_every_format_in_blocks_of_any_size_gives_the_same(
    make, block_bytes, tmp_path, monkeypatch
):
    path = tmp_path / "vectors"
    path.write_bytes(make(path))
    monkeypatch.setattr(vectors, "BLOCK_BYTES", block_bytes)
    words, matrix = read(path)
    assert words == WORDS
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, MATRIX)


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
@pytest.mark.parametrize("header", ["", "7 4\n"])
def test_a_word_keeps_every_white_space_but_what_separates(
    header, block_bytes, tmp_path, monkeypatch
):
    monkeypatch.setattr(vectors, "BLOCK_BYTES", block_bytes)
    words = ["a", "\ufeffb", "foo\r", "\r", "c\rd\x85", "\u2028\xa0e\x0b", "\x1c\x00"]
    (tmp_path / "a.txt").write_bytes(text(header, words=words))
    assert read(tmp_path / "a.txt")[0] == words


def test_what_begins_with_a_blank_has_an_empty_word_also_beside_phrases(tmp_path):
    (tmp_path / "vectors").write_bytes(b"new york 1 2\n 3 4\nfilm 5 6\n")
    words, matrix = read(tmp_path / "vectors")
    assert words == ["new york", "", "film"]
    assert matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(("first", "word"), [("7 1 2", "7"), (" a 1 2", "a"), ("7\t1\t2", "7")])
def test_a_first_word_that_is_a_number_or_stands_after_a_blank_is_a_word(first, word, tmp_path):
    (tmp_path / "a.txt").write_text(f"{first}\nb 3 4\n")
    words, matrix = read(tmp_path / "a.txt")
    assert words == [word, "b"]
    assert matrix.tolist() == [[1, 2], [3, 4]]


def test_an_empty_word_above_a_control_character_is_text(tmp_path):
    (tmp_path / "a.vec").write_bytes(b"2 1\n 100.0\n\x1f 0.5\n")
    words, matrix = read(tmp_path / "a.vec")
    assert words == ["", "\x1f"]
    assert matrix.tolist() == [[100], [0.5]]


def test_a_word_may_end_in_a_number_below_a_header(tmp_path):
    words = ["the", "windows 10", "web 2.0", "1 2 3", "e", "10", "5 a"]
    (tmp_path / "a.vec").write_bytes(text("7 4\n", words=words))
    assert read(tmp_path / "a.vec")[0] == words
    np.testing.assert_array_equal(read(tmp_path / "a.vec")[1], MATRIX)


# What separates fields or lines of text can't be in a word, and stands for one blank.
SEPARATOR = re.compile(r"[ \t]+")
word = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=6)
awkward = st.lists(st.sampled_from(["\r", " ", "\t", "\x85", "\u2028", "\xa0", "1", "a", "\ufeff"]))
a_word = st.one_of(word, awkward.map("".join), st.sampled_from(["", "new york", "windows 10"]))
number = st.floats(width=32, allow_nan=False, allow_infinity=False).map(np.float32)
tables = st.integers(1, 3).flatmap(
    lambda dim: st.lists(
        st.tuples(a_word, st.lists(number, min_size=dim, max_size=dim)), min_size=1, max_size=8
    )
)


@given(tables, st.booleans(), st.sampled_from(["\n", "\r\n", " \n", "\n\n"]), st.integers(1, 99))
def test_any_rows_come_back_from_text_or_are_refused(
    tmp_path_factory, table, header, end, block_bytes
):
    path = tmp_path_factory.mktemp("any") / "vectors"
    table = [*table, ("the", table[0][1])]  # if all words end in numbers, no one can tell
    rows = [" ".join([word, *map(str, row)]) + end for word, row in table]
    rows = [f"{len(table)} {len(table[0][1])}{end}"] * header + rows
    path.write_bytes("".join(rows).encode("utf-8-sig"))  # else a word may begin with the mark
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "BLOCK_BYTES", block_bytes)
        try:
            words, matrix = read(path)
        except InputError as error:
            assert "\n" not in str(error)
            return
    assert words == [SEPARATOR.sub(" ", word.strip(" \t")) for word, _ in table]
    np.testing.assert_array_equal(matrix, [row for _, row in table])


def test_of_many_names_four_are_listed_and_the_others_counted():
    assert vectors.listed("abcd") == "a, b, c, d"
    assert vectors.listed("abcdef") == "a, b, c, d and 2 more"


def test_numbers_of_vectors_are_zero_or_of_a_size_that_vectors_have():
    numbers = np.float32([0, 1e-7, -1e-7, 9e-8, 1e5, -1e5, 1.1e5, 1e-19, np.nan, np.inf])
    expected = [True, True, True, False, True, True, False, False, False, False]
    assert word2vec.plausible(numbers).tolist() == expected


@pytest.mark.parametrize(
    ("start", "end", "lacks"), [(4, 8, False), (4, 7, True), (3, 7, False), (4, 11, False)]
)
def test_a_line_feed_is_missed_where_the_word_has_one_before_it_and_the_file_goes_on(
    start, end, lacks
):
    assert word2vec.lacks_line_feed(b"a 1\nb 22\nc", start, end) is lacks


plausible = st.floats(2**-9, 64, width=32) | st.floats(-64, -(2**-9), width=32) | st.just(0)
binary_tables = st.integers(8, 20).flatmap(
    lambda dim: st.lists(
        st.tuples(
            st.lists(st.text("abcé0", min_size=1), min_size=1, max_size=4).map(" ".join),
            st.lists(plausible.map(np.float32), min_size=dim, max_size=dim),
        ),
        min_size=1,
        max_size=8,
    )
)


@given(binary_tables, st.sampled_from([b"", b"\n"]), st.integers(1, 9999))
def test_any_words_come_back_from_binary_or_are_refused(tmp_path_factory, table, end, block_bytes):
    path = tmp_path_factory.mktemp("any") / "vectors"
    header = f"{len(table)} {len(table[0][1])}\n".encode()
    rows = [word.encode() + b" " + np.array(row, "<f4").tobytes() + end for word, row in table]
    path.write_bytes(header + b"".join(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "BLOCK_BYTES", block_bytes)
        try:
            words, matrix = read(path)
        except InputError as error:
            assert "\n" not in str(error)
            return
    assert words == [word for word, _ in table]
    np.testing.assert_array_equal(matrix, [row for _, row in table])


@given(st.lists(st.text("+-.01eE_nax", max_size=5).map(str.encode), min_size=1, max_size=3))
def test_numbers_are_told_alike_one_by_one_and_together(fields):
    assert are_numbers(fields) == all(map(is_number, fields))


def test_a_word_may_hold_spaces_or_what_is_not_utf8(tmp_path):
    words = ["the", ". . .", "at name@domain.com", "5 a", "d", "e", "f"]
    (tmp_path / "a.txt").write_bytes(text(words=words))
    assert read(tmp_path / "a.txt")[0] == words
    (tmp_path / "a.txt").write_bytes(text().replace(b"film", b"fil\xff"))
    assert read(tmp_path / "a.txt")[0][1] == "fil�"
    (tmp_path / "b.bin").write_bytes(binary().replace(b"film", b"fil\xff"))
    assert read(tmp_path / "b.bin")[0][1] == "fil�"


def test_of_a_word_that_occurs_twice_the_first_vector_counts(tmp_path):
    import pyarrow as pa

    from stages.embed.matching import find_rows

    (tmp_path / "a.txt").write_bytes(text(words=["the", "film", "the", "film", "a", "b", "c"]))
    words, _ = read(tmp_path / "a.txt")
    assert find_rows(pa.array(["film", "a", "the"]), pa.array(words)).tolist() == [1, 4, 0]


@pytest.mark.parametrize("make", [text, binary])
def test_a_limit_keeps_the_first_words(make, tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK_BYTES", 60)
    (tmp_path / "a").write_bytes(make())
    for limit in (1, 3, 7, 100):
        words, matrix = read(tmp_path / "a", limit=limit)
        assert words == WORDS[:limit]
        np.testing.assert_array_equal(matrix, MATRIX[:limit])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a 1 2\nb 1\n", "line 2: 1 numbers after the word, but line 1 has 2"),
        (b"a 1 2\nb 1 2\nc 1 2 3\n", "line 3: 3 numbers after the word, but line 1 has 2"),
        (b"2 2\na 1 2 3\nb 1 2 3\n", "line 2: 3 numbers after the word, but its header says 2"),
        (b"2 3\na 1 2\nb 1 2\n", "line 2: 2 numbers after the word, but its header says 3"),
        (b"a 1 2\nb 1 x\n", "line 2: 'x' is not a finite number"),
        (b"1 2\na 1 x\n", "line 2: 'x' is not a finite number"),
        (b"a 1 2\nb 1 nan\n", "line 2: 'nan' is not a finite number"),
        (b"a 1 2\nb 1 2\nb -inf 2\n", "line 3: '-inf' is not a finite number"),
        (b"a 1 2\nb 1 1e39\n", "line 2: '1e39' is not a finite number"),
        (b"3 2\na 1 2\nb 1 2\n", "its header promises 3 words, it has 2"),
        (b"1 2\na 1 2\nb 1 2\n", "its header promises 1 words, it has 2"),
        (b"3 0\n", "line 1: promises 3 words of 0 numbers"),
        (b"abc\ndef\n", "line 1: no word with numbers after it"),
        (b"x" * 2000, "line 1: no word with numbers after it"),
        (b"a 1 2\n" + b"x" * 2000, r"line 2: no line end in 1,000 bytes"),
        (b"", "is empty"),
        (binary()[:-30], "its header promises 7 words, it has 5"),
        (binary(b"").replace(MATRIX[2].tobytes(), struct.pack("<4f", 1, np.nan, 1, 1)),
         "word 3: a number that is not finite"),
        (b"3 2\na " + struct.pack("<2f", 1, -1) + b"x" * 3000,
         "word 2: not what a word2vec file holds"),
        (b"a 1 2\nwindows 10 1 2\n", "line 2: 3 numbers after the word, but line 1 has 2: that a"),
        (b"windows 10 1 2\na 1 2\n", "line 2: 2 numbers after the word, but line 1 has 3"),
        (b"2 3\nthe\t1\t\t3\na\t1\t2\t3\n", "line 2: 2 numbers after the word, but its header"),
        (b"a 1 2\n\n\nb 1\n", "line 4: 1 numbers after the word"),
        (b"\n2 2\n\na 1 2\nb 1\n", "line 5: 1 numbers after the word"),
        (b"a 1 2\nb 1 1_0\n", "line 2: '1_0' is not a finite number"),
        ("a 1 2\nb 1 \u0661\n".encode(), "line 2: '\u0661' is not a finite number"),
        ("a 1 2\nb 1 2\xa0\n".encode(), r"line 2: '2\\xa0' is not a finite number"),
        (b"a 1 nan\n", "line 1: 'nan' is not a finite number"),
        (b"a 1 x 2\n", "line 1: 'x' is not a finite number"),
        (b"a 1 x\n", "line 1: 'x' is not a finite number"),
        (b"a 0,1 0,2\n", "line 1: '0,1' is not a finite number: write decimals with a point"),
        (b"a 0,1 x 2\n", "line 1: '0,1' is not a finite number: write decimals with a point"),
        (b"1 2\na 0,1 0,2\n", "line 2: '0,1' is not a finite number: write decimals with a point"),
        (b"a 1 2\rb 1 2\r", r"line 1: '2\\rb' is not a finite number"),
        (b"a,0.1,0.2\n", "line 1: no word with numbers after it: write blanks between the numbers"),
        (b" 1 2 3\n", "line 1: no word before the numbers"),
        ("a 1 2\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        ("a 1 2\n".encode("utf-16-le"), "line 1: no word with numbers after it: is it UTF-16?"),
        (b"\n\r\n \n", "is empty"),
        (b"2 1\na 1 2\nb 1 2 3\n", "line 2: 2 numbers after the word, but its header says 1"),
        (b"0 2\na 1 2\n", "line 1: promises 0 words of 2 numbers"),
        (b"0 2\n", "line 1: promises 0 words of 2 numbers"),
        (b"2 4000000000\na 1 2\n", "line 1: promises 2 words of 4000000000 numbers"),
        (b"4 2\na 1 2\nb 1 2\nc 1 2\n", "its header promises 4 words, it has 3"),
        (struct.pack("<i", 793712314) + bytes(99), "is fastText's own model: its vectors are in"),
        (b"\x93NUMPY\x01\x00", "is an array of NumPy without words"),
        (pickle.dumps({}), "is a pickle"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "is a 7z archive: unpack it"),
        (b"PK\x03\x04" + bytes(99), "line 1: no word with numbers after it: is it a zip, damage"),
        (gzip.compress(gzip.compress(b"a 1 2\n")), "is compressed twice"),
        (lzma.compress(b"a 1 2\n" * 999)[:-40] + bytes(40), "can't be read"),
        (binary() + binary()[4:], "its header promises 7 words, it has 14"),
        (b"2 4\n" + b"".join(b"a " + row.tobytes() for row in MATRIX[:2]) + 3000 * b"x",
         "word 3: its header promises 2 words, and what follows them is no"),
        (binary() + b"garbage", "7 bytes follow the 7 words its header promises"),
        (binary() + bytes(999), "999 bytes follow the 7 words its header promises"),
        (binary() + b"x " * 20, "its header promises 7 words"),
        (binary(b"").replace(b"film", b"fi lm").replace(MATRIX[1].tobytes(), HUGE),
         r"word 2: a number of 9.9e\+14: the file is damaged, or a word holds a blank"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_with_its_line(tmp_path, content, said, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK_BYTES", 8)
    monkeypatch.setattr(vectors, "LONGEST_LINE", 1000)
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value).removeprefix(str(path))) < 200
    assert "\n" not in str(refused.value)


BYTES = {  # of a float32, and what they are for a reader of text
    "line feeds": b"\n\n\n?",
    "a line feed first": b"\n\x01\x02\x3e",
    "letters": b"abc?",
    "a blank": b"a ? ?"[:3] + b"?",
    "a carriage return": b"\r\r\r>",
}


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("number", BYTES.values(), ids=BYTES)
def test_numbers_whose_bytes_look_like_text_are_numbers(number, end, tmp_path):
    rows = [word.encode() + b" " + number * 6 + end for word in WORDS]
    (tmp_path / "a.bin").write_bytes(b"7 6\n" + b"".join(rows))
    words, matrix = read(tmp_path / "a.bin")
    assert words == WORDS
    assert (matrix == np.frombuffer(number, "<f4")).all()


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_a_phrase_in_a_binary_file_is_one_word(block_bytes, end, tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK_BYTES", block_bytes)
    phrases = ["new york", "the", "new york city", "iq 10", "at the end of", "film", "los angeles"]
    content = binary(end)
    for number, word in enumerate(WORDS):
        content = content.replace(
            word.encode() + b" " + MATRIX[number].tobytes(),
            phrases[number].encode() + b" " + MATRIX[number].tobytes(),
        )
    (tmp_path / "a.bin").write_bytes(content)
    words, matrix = read(tmp_path / "a.bin")
    assert words == phrases
    np.testing.assert_array_equal(matrix, MATRIX)


@pytest.mark.parametrize(("dim", "end"), [(1, b"\n"), (5, b"")])
def test_phrases_are_told_even_before_few_numbers(dim, end, tmp_path):
    generator = np.random.default_rng(0)
    parts, lengths = ["the", "film", "of", "a", "10"], generator.integers(1, 4, 3000)
    words = [" ".join(generator.choice(parts, n)) for n in lengths]
    matrix = generator.normal(scale=0.3, size=(len(words), dim)).astype(np.float32)
    rows = [w.encode() + b" " + row.tobytes() + end for w, row in zip(words, matrix, strict=True)]
    (tmp_path / "a.bin").write_bytes(f"{len(words)} {dim}\n".encode() + b"".join(rows))
    assert read(tmp_path / "a.bin")[0] == words
    np.testing.assert_array_equal(read(tmp_path / "a.bin")[1], matrix)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_nothing_speaks_against_words_where_they_end_not_even_of_the_last(end):
    words = [b"new york", b"film", b"at the end"]
    rows = [word + b" " + row.tobytes() + end for word, row in zip(words, MATRIX, strict=False)]
    data, n_bytes, start = b"".join(rows), MATRIX[0].nbytes, 0
    for word, row in zip(words, rows, strict=True):
        assert word2vec.count_faults(data, start, start + len(word), n_bytes) == 0
        start += len(row)
    damaged = rows[2] + b"\xff"
    assert word2vec.count_faults(damaged, 0, len(words[2]), n_bytes) == 1


def test_a_word_in_a_binary_file_keeps_every_white_space_but_line_feeds(tmp_path):
    words = ["foo\rbar", "a\x85b", "c\u2028d", "e\xa0f", "g\th", "windows 10", "i\nj"]
    rows = [w.encode() + b" " + row.tobytes() for w, row in zip(words, MATRIX, strict=True)]
    (tmp_path / "a.bin").write_bytes(b"7 4\n" + b"".join(rows))
    assert read(tmp_path / "a.bin")[0] == [*words[:-1], "i j"]


def test_a_damaged_binary_file_is_refused(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(500, 50)).astype(np.float32)
    content = b"500 50\n" + b"".join(b"word " + row.tobytes() for row in matrix)
    for place in (30, 5_000, 50_000):
        for damage in (b"", b"damage", bytes(99)):
            (tmp_path / "a.bin").write_bytes(content[:place] + damage + content[place + 9 :])
            with pytest.raises(InputError, match=r"word \d+: a (number|zero byte)"):
                read(tmp_path / "a.bin")


def test_a_zip_of_several_needs_the_dimensions_and_a_corrupt_one_is_refused(tmp_path):
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.4d.txt", text())
        archive.writestr("glove.2d.txt", "a 1 2\n")
        archive.writestr("readme", "")
        archive.writestr("notes.2d.txt", "seen 1 2\n" * 99 + "and no more")
    assert read(path, 2)[0] == ["a"]
    assert read(path, 4)[0] == WORDS
    for dim in (None, 3):
        with pytest.raises(InputError, match=r"holds .*dim to choose|holds no vectors"):
            read(path, dim)
    content = bytearray(zipped(text(), path))
    content[100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"glove.zip can't be read"):
        read(path)
    path.write_bytes(gzip.compress(text())[:-20])
    with pytest.raises(InputError, match=r"glove.zip can't be read"):
        read(path)


FASTTEXT = struct.pack("<i", 793712314) + bytes(300)
APPLE = b"\x00\x05\x16\x07"
ZIPS = {
    "fasttext": {"wiki.xx.bin": FASTTEXT, "wiki.xx.vec": text("7 4\n")},
    "nlpl": {
        "meta.json": b"{}",
        "model.bin": binary(),
        "model.txt": text("7 4\n"),
        "README": b"2 3",
    },
    "text that is none": {"model.bin": binary(), "model.txt": b"the list of words\nthe\nfilm\n"},
    "macos": {"g.txt": text(), "__MACOSX/._g.txt": APPLE, "._g.txt": APPLE, ".DS_Store": b"a 1\n"},
    "readme": {"p/README.txt": b"Version 3\n", "p/LICENSE": b"MIT 2\n", "p/paragram.txt": text()},
    "any case": {"A/GLOVE.TXT": text(), "A/ReadMe.TXT": b"a 1\n", "A/": b""},
    "no ending": {"vectors": text(), "words.txt": b"the\nfilm\n", "citation.bib": b"@book{a 1\n}"},
    "one": {"vectors": binary()},
    "other width": {"small.vec": b"a 1 2\n", "large.vec": text()},
    "widths in names": {"w-3d.txt": b"a 1 2 3\n", "w-4d.txt": text(), "w-14d.txt": b"a 1\n"},
}


@pytest.mark.parametrize("members", ZIPS.values(), ids=ZIPS)
@pytest.mark.parametrize("looked_at", [200, vectors.LONGEST_LINE])  # bytes of each member
def test_of_a_zip_the_member_is_read_that_holds_the_vectors(
    members, looked_at, tmp_path, monkeypatch
):
    monkeypatch.setattr(vectors, "LONGEST_LINE", looked_at)
    zip_of(tmp_path / "a.zip", members)
    words, matrix = read(tmp_path / "a.zip", 4)
    assert words == WORDS
    np.testing.assert_array_equal(matrix, MATRIX)


REFUSED_ZIPS = {
    "empty": ({}, {}, "holds no vectors"),
    "folders": ({"a/": b"", "b.txt": b""}, {}, "holds no vectors"),
    "readme": ({"README.txt": b"a 1\n"}, {}, "holds no vectors"),
    "encrypted": ({"a.txt": text()}, {"flags": 1}, "a.txt is encrypted: unpack it, and set"),
    "encrypted, several": (
        {"a.txt": text(), "b": b"1"},
        {"flags": 1},
        "a.txt is encrypted: unpack",
    ),
    "deflate64": ({"a.txt": text()}, {"method": 9}, "a.txt is compressed by deflate64: unpack it"),
    "unknown": ({"a.txt": text(), "b": b"1"}, {"method": 77}, "is compressed by 77: unpack it"),
    "alike": ({"a.txt": text(), "b.vec": text()}, {}, "a.txt, b.vec, all alike: unpack it"),
    "widths": ({"a.txt": text(), "b": b"a 1\n"}, {}, r"a.txt \(4\), b \(1\): set .*dim to choose"),
    "fasttext": ({"a.bin": FASTTEXT, "b": b"1"}, {}, "holds no vectors: a.bin is fastText's own"),
    "nested": ({"a.zip": b"PK\x03\x04", "b": b"1"}, {}, r"a.zip, line 1: .*: is it a zip, damaged"),
    "one fasttext": ({"a.bin": FASTTEXT}, {}, "a.zip is fastText's own model"),
    "many": ({f"{i}.txt": f"a{' 1' * (i + 1)}\n" for i in range(30)}, {}, "and 16 more: set"),
}


@pytest.mark.parametrize(("members", "packing", "said"), REFUSED_ZIPS.values(), ids=REFUSED_ZIPS)
def test_a_zip_without_vectors_that_can_be_read_is_refused(members, packing, said, tmp_path):
    zip_of(tmp_path / "a.zip", members, **packing)
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path / "a.zip")
    assert len(str(refused.value).removeprefix(str(tmp_path))) < 200


def test_archives_of_another_kind_and_folders_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(text())
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.txt", "a.txt")
    with pytest.raises(InputError, match=r"a\.tar\.gz is a tar archive: unpack it"):
        read(tmp_path / "a.tar.gz")
    with pytest.raises(InputError, match="is not a file"):
        read(tmp_path)


def test_other_dimensions_than_asked_for_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(text())
    with pytest.raises(
        InputError, match=r"a.txt has 4 dimensions, but params.yaml asks for dim 50"
    ):
        read(tmp_path / "a.txt", 50)


@given(st.binary(max_size=200))
def test_any_bytes_are_vectors_or_an_input_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "vectors"
    path.write_bytes(content)
    try:
        words, matrix = read(path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert len(words) == len(matrix) > 0


def test_the_package_written_as_text_is_read_back_to_the_bit(tmp_path):
    [block] = vectors.glove_package()
    words, matrix = block.words[:5000], block.matrix[:5000]
    rows = zip(words, matrix, strict=True)
    lines = (" ".join([word, *map(str, row)]) for word, row in rows)
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n", "utf-8")
    assert read(tmp_path / "glove.txt")[0] == words
    np.testing.assert_array_equal(read(tmp_path / "glove.txt")[1], matrix)


@pytest.mark.parametrize("binary", [True, False])
def test_what_gensim_writes_is_read_to_the_bit(binary, tmp_path):
    from gensim.models import KeyedVectors

    vectors_of = KeyedVectors(MATRIX.shape[1])
    vectors_of.add_vectors(WORDS, MATRIX)
    vectors_of.save_word2vec_format(str(tmp_path / "vectors"), binary=binary)
    words, matrix = read(tmp_path / "vectors")
    assert words == WORDS
    np.testing.assert_array_equal(matrix, MATRIX)


def test_the_packaged_vectors_are_read_whatever_the_folder_is_called(tmp_path, monkeypatch):
    folder = tmp_path / "[a]"
    folder.mkdir()
    pl.DataFrame({"index": ["the", "film"]}).write_parquet(folder / "glove_6B_index.parquet")
    np.save(folder / "glove_6B_50d_emb.npy", np.eye(2, dtype=np.float32))
    monkeypatch.setattr(vectors, "packaged_file", lambda _, name, sum: folder / Path(name).name)
    [block] = vectors.glove_package()
    assert block.words == ["the", "film"]
    assert block.matrix.tolist() == [[1, 0], [0, 1]]


def test_the_packaged_vectors_are_as_wide_as_dim_may_say():
    [block] = vectors.glove_package()
    assert block.matrix.shape == (400_000, PACKAGED_DIM)
