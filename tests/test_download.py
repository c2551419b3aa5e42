"""download: every source lands in the same form, and bad input stops it with one line."""

import gzip
import io
import json
import random
import shutil
import sys
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from stages.download import labelled, texts
from stages.download.__main__ import main
from stages.download.packages import packaged_file
from stages.shared.errors import InputError
from stages.shared.errors import run as run_main
from tests import test_tables, test_texts, test_vectors
from tests.conftest import PROJECT, edit_params

SHARED = PROJECT.parent / "shared/data/aclImdb.tar.gz"


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
    assert list(texts.block_split(np.array([0, 1, 0, 1, 0, 0, 0]))) == ["train"] * 6 + ["test"]


@pytest.fixture
def landed(make_project, tmp_path, monkeypatch):
    """A small project, in which texts and vectors have landed, as the working directory."""
    root = make_project(tmp_path / "project")
    monkeypatch.chdir(root)
    for what in ("texts", "vectors"):
        land(what, monkeypatch)
    return root


def land(what: str, monkeypatch) -> None:
    """Run the stage in this process."""
    monkeypatch.setattr(sys, "argv", ["download", *NAMES[what]])
    run_main(main)


def contents(root: Path) -> dict[str, bytes]:
    """Every file under data/ and what it holds."""
    return {str(path): path.read_bytes() for path in (root / "data").rglob("*") if path.is_file()}


def hostile_tar(path: Path, *members: tuple[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


NAMES = {"texts": [], "vectors": ["glove"]}  # what the stage calls them
KEYS = {"texts": "download__texts", "vectors": "download__vectors__glove"}
REVIEW = "aclImdb/train/pos/1_9.txt"
HOSTILE = {
    "outside": (
        "aclimdb", lambda path: hostile_tar(path, (f"../../{REVIEW}", b"a"), (f"/{REVIEW}", b"b")),
        "it is not aclImdb",
    ),
    "bomb": (
        "aclimdb", lambda path: hostile_tar(path, (REVIEW, bytes(70 << 20)), ("x", b"")),
        "holds more than 50 times its size",
    ),
    "cut archive": (
        "aclimdb", lambda path: path.write_bytes(gzip.compress(b"review" * 9999)[:-9]), "be read"
    ),
    "no archive": ("aclimdb", lambda path: path.write_text("text,label"), "can't be read"),
    "no pickle": ("keras-imdb", lambda path: path.write_bytes(b"PK"), "can't be read"),
    "no reviews": ("table", lambda path: path.write_text("text,label\n"), "has no texts"),
    "one label": ("table", lambda path: path.write_text("text,label\na,1\n"), "has 1 label "),
    "no label": ("table", lambda path: path.write_text("text,label\na,1\nb,\n"), "has no label"),
    "two columns": (
        "table", lambda path: path.write_text("text,label,text\na,1,b\n"), "'text' twice"
    ),
    "file for folder": ("folder", lambda path: path.write_text(""), "is not a folder"),
    "other width": (
        "glove-text", lambda path: path.write_text("a 1 2\n" * 99_999 + "b 1\n"),
        "line 100000: 1 numbers after the word, but line 1 has 2",
    ),
    "not a number": ("fasttext", lambda path: path.write_text("1 2\na 1 nan\n"), "not a finite"),
    "a false header": ("word2vec", lambda path: path.write_text("9 2\na 1 2\n"), "promises 9"),
    "bomb of vectors": (
        "fasttext", lambda path: path.write_bytes(gzip.compress(b"a 1\n" * (20 << 20))), "50 times"
    ),
    "bomb of rows": (
        "table", lambda path: path.write_bytes(gzip.compress(b"text,label\n" + bytes(80 << 20))),
        "50 times",
    ),
    "no vectors": ("glove-text", lambda path: path.write_bytes(bytes(2 << 20)), "line 1: no word"),
    "cut zip": ("glove-text", lambda path: path.write_bytes(b"PK\3\4" + bytes(99)), "line 1"),
    "cut gzip": (
        "fasttext", lambda path: path.write_bytes(gzip.compress(b"a 1\n" * 99)[:-9]), "be read"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_and_broken_input_is_one_line_and_leaves_everything_as_it_was(
    landed, tmp_path, monkeypatch, fault
):
    source, make, said = HOSTILE[fault]
    what = "vectors" if source in ("glove-text", "word2vec", "fasttext") else "texts"
    path = tmp_path / ("input.csv.gz" if fault == "bomb of rows" else "input.csv")
    make(path)
    edit_params(landed, **{f"{KEYS[what]}__source": source, f"{KEYS[what]}__path": str(path)})
    before = contents(landed)
    with pytest.raises(SystemExit) as caught:
        land(what, monkeypatch)
    assert said in caught.value.code
    assert what == "texts" or caught.value.code.startswith("error: download.vectors.glove: ")
    assert "\n" not in caught.value.code
    assert contents(landed) == before
    assert {child.name for child in tmp_path.iterdir()} == {"project", path.name}


@pytest.mark.parametrize(
    ("what", "changes", "said"),
    [
        (
            "vectors",
            {"download__vectors__glove__path": "nowhere"},
            "error: download.vectors.glove.path: there is no nowhere",
        ),
        ("texts", {"download__texts__path": "nowhere"}, "texts.path: there is no nowhere"),
        ("vectors", {"download__vectors__glove__sha256": "0" * 64}, "has SHA-256 "),
        ("texts", {"train__samples": -1}, "train.samples is -1"),
    ],
)
def test_a_stage_that_is_refused_says_one_line_and_leaves_nothing(
    make_project, run, tmp_path, what, changes, said
):
    root = make_project(tmp_path)
    edit_params(root, **changes)
    done = run(root, "python", "-m", "stages.download", *NAMES[what], check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert [path.name for path in (root / "data").rglob("*") if path.is_file()] == [".gitignore"]


def test_texts_and_vectors_land_from_urls_and_a_changed_file_is_noticed(
    landed, aclimdb, glove, tmp_path, monkeypatch
):
    before = contents(landed)
    with tarfile.open(tmp_path / "aclImdb.tar.gz", "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
    with zipfile.ZipFile(tmp_path / "glove.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.9d.txt", random.Random(0).randbytes(99_999))
        archive.write(glove, "glove.8d.txt")
    with serving(tmp_path) as site:
        edit_params(
            landed,
            download__texts__path=f"{site}/aclImdb.tar.gz",
            download__vectors__glove__path=f"{site}/glove.zip",
            download__vectors__glove__dim=8,
        )
        for what in ("texts", "vectors"):
            land(what, monkeypatch)
        after = contents(landed)
        assert before.items() <= after.items()
        assert {*json.loads(after[str(landed / "data/downloads.json")])} == {
            f"{site}/aclImdb.tar.gz",
            f"{site}/glove.zip",  # this server sends no ranges
        }
        shutil.rmtree(landed / "data/downloads")
        (tmp_path / "glove.zip").write_bytes((tmp_path / "glove.zip").read_bytes() + b"more")
        with pytest.raises(SystemExit) as caught:
            land("vectors", monkeypatch)
        assert "as in data/downloads.json" in caught.value.code
        assert caught.value.code.startswith(f"error: download.vectors.glove: {site}/glove.zip has ")
        assert before.items() <= contents(landed).items()


@pytest.mark.parametrize(
    ("source", "make", "what"),
    [
        ("table", lambda path: test_tables.write(path / "a.csv", test_tables.a_frame()), 20),
        ("folder", lambda path: path, 260),
        ("aclimdb", lambda path: path, 260),
        ("keras-imdb", lambda path: test_texts.save_npz(path / "a.npz", test_texts.INDICES), 8),
        ("glove-text", lambda path: written(path, test_vectors.text()), 7),
        ("word2vec", lambda path: written(path, test_vectors.binary()), 7),
        ("fasttext", lambda path: written(path, gzip.compress(test_vectors.text("7 4\n"))), 7),
    ],
)
def test_every_source_lands_from_parameters_alone(
    landed, aclimdb, tmp_path, monkeypatch, capsys, source, make, what
):
    what_of = "texts" if source in texts.SOURCES else "vectors"
    path = make(shutil.copytree(aclimdb, tmp_path / "input"))
    key = KEYS[what_of]
    edit_params(landed, **{f"{key}__source": source, f"{key}__path": str(path)})
    land(what_of, monkeypatch)
    if what_of == "texts":
        table = pq.read_table("data/raw/texts.parquet")
        assert table.schema.equals(labelled.SCHEMA)
        assert table.num_rows == what
    else:
        assert np.load("data/raw/vectors/glove/matrix.npy").shape == (what, 4)


def test_the_words_of_keras_indices_come_from_beside_their_url(landed, tmp_path, monkeypatch):
    path = test_texts.save_npz(tmp_path / "a.npz", test_texts.INDICES)
    with serving(tmp_path) as site:
        changes = {"source": "keras-imdb", "path": f"{site}/a.npz"}
        edit_params(landed, **{f"download__texts__{key}": of for key, of in changes.items()})
        land("texts", monkeypatch)
    texts_of = pq.read_table("data/raw/texts.parquet")["text"].to_pylist()
    assert texts_of == test_texts.keras_imdb(path)["text"].to_pylist()


def written(folder: Path, content: bytes) -> Path:
    (folder / "vectors").write_bytes(content)
    return folder / "vectors"


def test_what_is_odd_but_readable_is_counted_and_said(landed, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.csv").write_bytes(
        b"text,label\nb\xffd,1\n,0\n"
        + b"".join(b"good %d,1\nbad %d,0\n" % (i, i) for i in range(20))
    )
    edit_params(
        landed,
        download__texts__source="table",
        download__texts__path=str(tmp_path / "a.csv"),
        download__vectors__glove__path=str(written(tmp_path, b"a 1 2\nb 0 0\nc 0 3\n")),
    )
    for what in ("texts", "vectors"):
        land(what, monkeypatch)
    said = capsys.readouterr().out
    assert "with U+FFFD, for what is not UTF-8: 1 text; if the file is in another" in said
    assert "empty: 1 text\n" in said
    assert "zero: 1 vector\n" in said


@pytest.mark.skipif(not SHARED.exists(), reason="the official archive is not here")
def test_the_official_archive_lands_over_http(landed, monkeypatch):
    with serving(SHARED.parent) as site:
        edit_params(landed, download__texts__path=f"{site}/{SHARED.name}")
        land("texts", monkeypatch)
    table = pq.read_table("data/raw/texts.parquet")
    assert table.group_by(["split", "label"]).aggregate([([], "count_all")]).num_rows == 4
    assert 49_990 <= table.num_rows <= 50_000


@contextmanager
def serving(folder: Path):
    """A real HTTP server on loopback for the files of a folder: yields its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_interrupted_landing_leaves_no_half_written_output(make_project, run, tmp_path):
    root = make_project(tmp_path)
    (root / "vectors.txt").write_text("a 1 2\n" * 100_000 + "b 1\n")
    edit_params(root, download__vectors__glove__path="vectors.txt")
    done = run(root, "python", "-m", "stages.download", "glove", check=False)
    assert done.returncode == 1
    assert "vectors.txt, line 100001" in done.stderr
    assert [path for path in (root / "data/raw").rglob("*") if path.is_file()] == []
