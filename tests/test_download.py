"""download: every source lands in the same form, and bad input stops it with one line."""

import gzip
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stages import reviews, vectors
from stages.artifacts import InputError
from stages.packages import packaged_file
from tests.conftest import edit_params


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a package that carries one file, data.bin, with content `abc`."""
    info = tmp_path / "carrier-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    (tmp_path / "data.bin").write_bytes(b"abc")
    monkeypatch.syspath_prepend(tmp_path)
    return "carrier"


def test_a_packaged_file_is_taken_only_with_the_expected_checksum(package):
    right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert packaged_file(package, "data.bin", right).read_bytes() == b"abc"
    with pytest.raises(InputError, match=f"SHA-256 {right}, not {'0' * 64}"):
        packaged_file(package, "data.bin", "0" * 64)


def test_a_missing_package_or_file_is_named(package):
    with pytest.raises(InputError, match=r"package carrier has no file other\.bin"):
        packaged_file(package, "other.bin", "")
    with pytest.raises(InputError, match="package no-such-package is not installed"):
        packaged_file("no-such-package", "data.bin", "")


def test_the_package_gives_the_last_fifth_of_each_label_to_test(imdb):
    table = imdb.to_pandas()
    assert table.value_counts(["split", "label"]).to_dict() == {
        ("train", 0): 10_000,
        ("train", 1): 10_000,
        ("test", 0): 2_500,
        ("test", 1): 2_500,
    }
    assert list(reviews.block_split(np.array([0, 1, 0, 1, 0, 0, 0]))) == ["train"] * 6 + ["test"]


def test_the_folder_and_the_archive_of_aclimdb_give_the_same_table(aclimdb, tmp_path):
    archive = tmp_path / "aclImdb.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
    table = reviews.aclimdb(aclimdb)
    assert table.equals(reviews.aclimdb(archive))
    assert table.num_rows == 260
    first = (aclimdb / "train/neg/0_2.txt").read_text(encoding="utf-8")
    assert table.slice(0, 1).to_pylist() == [{"split": "train", "label": 0, "text": first}]


def test_unlabelled_reviews_and_other_files_are_passed_over(aclimdb, tmp_path):
    archive = tmp_path / "aclImdb.tar.gz"
    (tmp_path / "0_0.txt").write_text("no label")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
        tar.add(tmp_path / "0_0.txt", "aclImdb/train/unsup/0_0.txt")
        tar.add(tmp_path / "0_0.txt", "aclImdb/train/urls_pos.txt")
    assert reviews.aclimdb(archive).num_rows == 260


def broken_archive(aclimdb: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
    path.write_bytes(path.read_bytes()[:20_000])
    return path


def test_reviews_that_cant_be_read_are_refused(aclimdb, tmp_path):
    with pytest.raises(InputError, match="neither a folder nor a file"):
        reviews.aclimdb(tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no review in train/neg"):
        reviews.aclimdb(tmp_path)
    with pytest.raises(InputError, match="can't be read as an archive"):
        reviews.aclimdb(broken_archive(aclimdb, tmp_path / "cut.tar.gz"))
    (tmp_path / "text.tar.gz").write_bytes(gzip.compress(b"no archive"))
    with pytest.raises(InputError, match="can't be read as an archive"):
        reviews.aclimdb(tmp_path / "text.tar.gz")


def read(path: Path, folder: Path) -> tuple[list[str], np.ndarray]:
    words, matrix = folder / "words.txt", folder / "matrix.npy"
    vectors.glove_text(path, words, matrix)
    return words.read_text("utf-8").split("\n")[:-1], np.load(matrix, mmap_mode="r")


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
def test_glove_text_is_read_the_same_in_blocks_of_any_size(
    glove, tmp_path, monkeypatch, block_bytes
):
    monkeypatch.setattr(vectors, "BLOCK_BYTES", block_bytes)
    words, matrix = read(glove, tmp_path)
    rows = [line.split() for line in glove.read_text().splitlines()]
    assert words == [row[0] for row in rows]
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, np.array([row[1:] for row in rows], np.float32))


def test_glove_text_is_read_out_of_a_zip(glove, tmp_path):
    archive = tmp_path / "glove.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(glove, "glove.8d.txt")
    (tmp_path / "plain").mkdir()
    words, matrix = read(archive, tmp_path)
    plain_words, plain_matrix = read(glove, tmp_path / "plain")
    assert words == plain_words
    np.testing.assert_array_equal(matrix, plain_matrix)


def test_words_that_a_csv_reader_might_take_for_something_else_stay_words(tmp_path):
    (tmp_path / "glove.txt").write_text('" 1 2\n# 3 4\nnull 5 6\nNA 7 8\né 9 1e-3', "utf-8")
    words, matrix = read(tmp_path / "glove.txt", tmp_path)
    assert words == ['"', "#", "null", "NA", "é"]
    assert matrix[-1].tolist() == [9, np.float32(0.001)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a 1 2\nb 1\n", "line 2: 1 numbers after the word, but line 1 has 2"),
        ("a 1 2\nb 1 2\nc 1 2 3\n", "line 3: 3 numbers after the word, but line 1 has 2"),
        ("a 1 2\nb 1 x\n", "line 2: 'x' is not a number"),
        ("a 1 2\n\nb 1 2\n", "line 2: 0 numbers after the word, but line 1 has 2"),
        ("abc\ndef\n", "line 1: no number after the word"),
        ("", "is empty"),
    ],
)
def test_a_malformed_vector_file_is_refused_with_its_line(tmp_path, content, said, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK_BYTES", 8)
    path = tmp_path / "glove.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read(path, tmp_path)


def test_a_zip_that_is_corrupt_or_ambiguous_is_refused(glove, tmp_path):
    archive = tmp_path / "glove.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(glove, "a.txt")
        file.write(glove, "b.txt")
    with pytest.raises(InputError, match=r"holds a\.txt, b\.txt"):
        read(archive, tmp_path)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(glove, "a.txt")
    content = bytearray(archive.read_bytes())
    content[200] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(InputError, match="is corrupt"):
        read(archive, tmp_path)


@pytest.mark.parametrize(
    ("what", "changes", "said"),
    [
        ("vectors", {"download__vectors__path": "nowhere.txt"}, "nowhere.txt is not a file"),
        ("reviews", {"download__reviews__path": "nowhere"}, "nowhere is neither a folder nor"),
        ("reviews", {"train__samples": -1}, "train.samples is -1"),
    ],
)
def test_a_stage_that_is_refused_says_one_line_and_leaves_nothing(
    make_project, run, tmp_path, what, changes, said
):
    root = make_project(tmp_path)
    edit_params(root, **changes)
    done = run(root, "python", "-m", "stages.download", what, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert [path.name for path in (root / "data").rglob("*") if path.is_file()] == [".gitignore"]


def test_an_interrupted_landing_leaves_no_half_written_output(make_project, run, tmp_path):
    root = make_project(tmp_path)
    (root / "vectors.txt").write_text("a 1 2\n" * 100_000 + "b 1\n")
    edit_params(root, download__vectors__path="vectors.txt")
    done = run(root, "python", "-m", "stages.download", "vectors", check=False)
    assert done.returncode == 1
    assert "vectors.txt, line 100001" in done.stderr
    assert list((root / "data/raw").iterdir()) == []
