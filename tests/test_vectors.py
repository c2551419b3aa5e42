"""Vectors: every format gives the same words and numbers; a fault is named with its line."""

import gzip
import struct
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import download
from stages.shared.artifacts import InputError
from stages.sources import vectors

WORDS = ["the", "film", "don't", "…", '"', "#", "null"]
MATRIX = np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32)
ROWS = [[str(value) for value in row] for row in MATRIX]


def read(path: Path, dim: int | None = None, limit: int | None = None):
    """What lands of a file: the words and the matrix."""
    out = path.with_name("out")
    out.mkdir(exist_ok=True)
    with closing(vectors.vector_file(path, dim)) as blocks:
        download.write_vectors(blocks, out / "words.txt", out / "matrix.npy", limit)
    words = (out / "words.txt").read_text("utf-8").split("\n")[:-1]
    return words, np.load(out / "matrix.npy")


def text(header: str = "", end: str = "\n", words=WORDS) -> bytes:
    rows = zip(words, ROWS, strict=True)
    return (header + "".join(" ".join([word, *row]) + end for word, row in rows)).encode()


def binary(end: bytes = b"\n") -> bytes:
    rows = zip(WORDS, MATRIX, strict=True)
    return b"7 4\n" + b"".join(word.encode() + b" " + row.tobytes() + end for word, row in rows)


def zipped(content: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.4d.txt", content)
    return path.read_bytes()


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
        lambda path: zipped(text(), path),
        lambda path: binary(),
        lambda path: binary(b""),
        lambda path: gzip.compress(binary()),
    ],
    ids=[
        "plain", "header", "windows", "windows-header", "space-at-line-end", "no-last-line-end",
        "byte-order-mark", "byte-order-mark-header", "gzip", "zip", "binary", "binary-as-gensim",
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

    from stages.build_embedding import find_rows

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
        (b"3 2\na 1 2\nb 1 2\nc 1 2 3\n", "line 4: 3 numbers after the word, but its header says"),
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
        (b"3 2\na \x00" + b"x" * 3000, "word 2: not what a word2vec file holds"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_with_its_line(tmp_path, content, said, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK_BYTES", 8)
    monkeypatch.setattr(vectors, "LONGEST_LINE", 1000)
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read(path)


def test_a_zip_of_several_needs_the_dimensions_and_a_corrupt_one_is_refused(tmp_path):
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.4d.txt", text())
        archive.writestr("glove.2d.txt", "a 1 2\n")
        archive.writestr("readme", "")
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


def test_other_dimensions_than_asked_for_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(text())
    with pytest.raises(InputError, match=r"dim is 50, but .*a.txt has 4 dimensions"):
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
