"""Reviews: every source gives one form of table, and what is wrong with one is said in one line."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from stages.shared.artifacts import InputError
from stages.sources import reviews
from stages.sources.folders import folder
from tests.test_tables import source


def test_a_folder_of_labels_and_one_of_splits_are_read(aclimdb, tmp_path):
    found = folder(aclimdb, source("folder"))
    assert found.equals(reviews.aclimdb(aclimdb))
    flat = folder(aclimdb / "train", source("folder")).to_pandas()
    assert flat.value_counts("split").to_dict() == {"train": 160, "test": 40}
    assert folder(aclimdb, source("folder", positive="neg"))["label"][0].as_py() == 1
    with pytest.raises(InputError, match=r"has no file <label>/\*\.txt, or train/"):
        folder(tmp_path, source("folder"))


def test_the_folder_and_the_archive_of_aclimdb_give_the_same_table(aclimdb, tmp_path):
    archive = tmp_path / "aclImdb.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
    table = reviews.aclimdb(aclimdb)
    assert table.equals(reviews.aclimdb(archive))
    assert table.num_rows == 260
    first = (aclimdb / "train/neg/0_2.txt").read_text(encoding="utf-8")
    assert table.slice(0, 1).to_pylist() == [{"split": "train", "label": 0, "text": first}]


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def test_what_is_no_labelled_review_is_passed_over_wherever_it_points(aclimdb, tmp_path):
    archive, before = tmp_path / "aclImdb.tar.gz", {*tmp_path.parent.rglob("*")}
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
        for name in ("aclImdb/train/unsup/0_0.txt", "aclImdb/train/urls_pos.txt", "../../x", "/x"):
            tar.addfile(member(name))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE):
            tar.addfile(member("aclImdb/train/pos/999_9.txt", kind))
    assert reviews.aclimdb(archive).num_rows == 260
    assert {*tmp_path.parent.rglob("*")} - before == {archive}


def archive_of(contents, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_reviews_that_cant_be_read_are_refused(aclimdb, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="has no review in train/neg"):
        reviews.aclimdb(tmp_path)
    cut = archive_of([("aclImdb/train/pos/1_9.txt", bytes(99_999))], tmp_path / "cut.tar.gz")
    cut.write_bytes(cut.read_bytes()[:-30])
    (tmp_path / "text.tar.gz").write_bytes(gzip.compress(b"no archive"))
    for name in ("cut.tar.gz", "text.tar.gz"):
        with pytest.raises(InputError, match=f"{name} can't be read: "):
            reviews.aclimdb(tmp_path / name)
    bomb = archive_of([("aclImdb/train/pos/1_9.txt", bytes(80 << 20))] * 2, tmp_path / "bomb")
    with pytest.raises(InputError, match="bomb holds more than 50 times its size"):
        reviews.aclimdb(bomb)
    monkeypatch.setattr(reviews, "MOST_MEMBERS", 100)
    many = archive_of([("x", b"")] * 101, tmp_path / "many")
    with pytest.raises(InputError, match="many has more than 100 members"):
        reviews.aclimdb(many)


WORD_INDEX = {"the": 1, "film": 2, "good": 3, "bad": 4}
INDICES = [[1, 2, 3], [4, 2], [3], [4, 4, 2]]


def save_npz(path: Path, reviews_of: list, **changes) -> Path:
    arrays = {}
    for split in ("train", "test"):
        arrays[f"x_{split}"] = np.array([*reviews_of, None], dtype=object)[:-1]
        arrays[f"y_{split}"] = np.array([1, 0, 1, 0])
    np.savez(path, **arrays | changes)
    path.with_name("imdb_word_index.json").write_text(json.dumps(WORD_INDEX))
    return path


def keras_imdb(path: Path):
    return reviews.keras_imdb(path, path.with_name("imdb_word_index.json"))


def test_keras_imdb_becomes_words_again_with_and_without_marks(tmp_path):
    raw = keras_imdb(save_npz(tmp_path / "imdb.npz", INDICES))
    assert raw["text"].to_pylist() == ["the film good", "bad film", "good", "bad bad film"] * 2
    assert raw["label"].to_pylist() == [1, 0, 1, 0] * 2
    # As load_data returns it: 1 marks the start, 2 what is unknown, indices are 3 higher.
    marked = [[1, 2, *(i + 3 for i in review)] for review in INDICES]
    assert keras_imdb(save_npz(tmp_path / "marked.npz", marked)).equals(raw)


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_keras_imdb_builds_arrays_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save_npz(tmp_path / "imdb.npz", [Malicious()] * 4)
    with pytest.raises(InputError, match=r"imdb.npz can't be read: it would load"):
        keras_imdb(path)
    assert not Path("touched").exists()
    path = save_npz(tmp_path / "imdb.npz", [[1, 99]] * 4)
    with pytest.raises(InputError, match="an index has no word"):
        keras_imdb(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"imdb.npz can't be read: "):
        keras_imdb(path)
    with pytest.raises(InputError, match="4 reviews, but 3 labels in train"):
        keras_imdb(save_npz(tmp_path / "imdb.npz", INDICES, y_train=np.array([1, 0, 1])))
