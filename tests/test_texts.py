"""Reviews: every source gives one form of table, and what is wrong with one is said in one line."""

import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from stages.download import texts
from stages.download.folders import folder
from stages.shared.errors import InputError
from tests.test_tables import source


def test_a_folder_of_labels_and_one_of_splits_are_read(aclimdb, tmp_path):
    found = folder(aclimdb, source("folder"))
    assert found.equals(texts.aclimdb(aclimdb))
    flat = folder(aclimdb / "train", source("folder")).to_pandas()
    assert flat.value_counts("split").to_dict() == {"train": 160, "test": 40}
    assert folder(aclimdb, source("folder", positive="neg"))["label"][0].as_py() == 1
    with pytest.raises(InputError, match=r"has no file <label>/\*\.txt, or train/"):
        folder(tmp_path, source("folder"))


def test_the_folder_and_the_archive_of_aclimdb_give_the_same_table(aclimdb, tmp_path):
    archive = tmp_path / "aclImdb.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
    table = texts.aclimdb(aclimdb)
    assert table.equals(texts.aclimdb(archive))
    assert table.num_rows == 260
    first = (aclimdb / "train/neg/0_2.txt").read_text(encoding="utf-8")
    assert table.slice(0, 1).to_pylist() == [{"split": "train", "label": 0, "text": first}]


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def test_what_is_no_labelled_review_is_passed_over_wherever_it_points(aclimdb, tmp_path):
    archive = tmp_path / "one/folder/aclImdb.tar.gz"
    archive.parent.mkdir(parents=True)
    before = {*tmp_path.rglob("*")}
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(aclimdb, "aclImdb")
        for name in ("aclImdb/train/unsup/0_0.txt", "aclImdb/train/urls_pos.txt", "../../x", "/x"):
            tar.addfile(member(name))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE):
            tar.addfile(member("aclImdb/train/pos/999_9.txt", kind))
    assert texts.aclimdb(archive).num_rows == 260
    assert {*tmp_path.rglob("*")} - before == {archive}


def archive_of(contents, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_reviews_that_cant_be_read_are_refused(aclimdb, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="has no review in train/neg"):
        texts.aclimdb(tmp_path)
    cut = archive_of([("aclImdb/train/pos/1_9.txt", bytes(99_999))], tmp_path / "cut.tar.gz")
    cut.write_bytes(cut.read_bytes()[:-30])
    (tmp_path / "text.tar.gz").write_bytes(gzip.compress(b"no archive"))
    for name in ("cut.tar.gz", "text.tar.gz"):
        with pytest.raises(InputError, match=f"{name} can't be read: "):
            texts.aclimdb(tmp_path / name)
    bomb = archive_of([("aclImdb/train/pos/1_9.txt", bytes(80 << 20))] * 2, tmp_path / "bomb")
    with pytest.raises(InputError, match="bomb holds more than 50 times its size"):
        texts.aclimdb(bomb)
    monkeypatch.setattr(texts, "MOST_MEMBERS", 100)
    many = archive_of([("x", b"")] * 101, tmp_path / "many")
    with pytest.raises(InputError, match="many has more than 100 members"):
        texts.aclimdb(many)
    with pytest.raises(InputError, match="has no review in train/neg"):
        texts.aclimdb(archive_of([("x", b"")] * 100, tmp_path / "as many as may be"))
    one = write_texts(tmp_path / "one", [f"{split}/neg/1_2.txt" for split in ("train", "test")])
    with pytest.raises(InputError, match="one has no review in train/pos: it is not aclImdb"):
        texts.aclimdb(one)


def test_reviews_to_train_on_come_first(imdb):
    splits = imdb["split"].to_pylist()
    assert splits == sorted(splits, reverse=True)


def write_texts(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"text of {name}")
    return root


def test_of_a_folder_only_visible_texts_are_read_and_the_rest_is_counted(tmp_path, capsys):
    texts = [f"{label}/{i}.{end}" for label in ("neg", "pos") for i in range(9) for end in ("txt",)]
    odd = ["pos/A.TXT", "neg/.hidden.txt", "neg/._1.txt", "__MACOSX/neg/1.txt", ".git/x/1.txt"]
    root = write_texts(tmp_path / "[mine] *", [*texts, *odd, "neg/a.html", "pos/.DS_Store"])
    (root / "neg/old.txt").mkdir()
    (root / "pos/gone.txt").symlink_to("nowhere")
    (root / "readme.md").write_text("about it")
    found = folder(root, source("folder"))
    assert sorted(found["text"].to_pylist()) == sorted(
        f"text of {name}" for name in [*texts, "pos/A.TXT"]
    )
    assert found.schema.metadata == {b"labels": b'["neg", "pos"]'}
    said = capsys.readouterr().out
    assert "3 files passed over: " in said
    for what in ("folders (1)", "not called .txt (1)", "links to nothing (1)"):
        assert what in said


def test_folders_of_splits_may_be_written_otherwise_and_one_may_be_for_validation(tmp_path):
    names = [f"{s}/{n}/{i}.txt" for s in ("Train", "TEST", "dev") for n in "ab" for i in range(2)]
    found = folder(write_texts(tmp_path, names), source("folder")).to_pandas()
    assert found["split"].tolist() == ["train"] * 8 + ["test"] * 4


def test_a_folder_is_read_in_the_encoding_that_is_named_or_that_a_mark_names(tmp_path):
    for i in range(6):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / f"{i}.txt").write_text(f"Größe {i}", "cp1252")
    found = folder(tmp_path, source("folder", encoding="cp1252", test_fraction=0.5))
    assert sorted(found["text"].to_pylist()) == [f"Größe {i}" for i in range(6)]
    with pytest.raises(InputError, match=r"encoding is 'ascii', but .*0\.txt isn't written so"):
        folder(tmp_path, source("folder", encoding="ascii"))
    for i, mark in enumerate(["utf-8-sig", "utf-16", "utf-8"] * 2):
        (tmp_path / "ab"[i % 2] / f"{i}.txt").write_text(f"Größe {i}", mark)
    found = folder(tmp_path, source("folder", test_fraction=0.5))
    assert sorted(found["text"].to_pylist()) == [f"Größe {i}" for i in range(6)]


def test_no_review_of_aclimdb_begins_with_a_mark(aclimdb, tmp_path):
    marked = shutil.copytree(aclimdb, tmp_path / "marked")
    for path in marked.rglob("*.txt"):
        path.write_text(path.read_text("utf-8"), "utf-8-sig")
    assert texts.aclimdb(marked).equals(texts.aclimdb(aclimdb))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.txt", "b.txt"], "has no file <label>/"),
        (["train/a/1.txt", "train/b/1.txt"], "all texts are of the split 'train'"),
        (["a/1.html", "b/1.html"], "has no file <label>/"),
        (["a/1.txt", "a/2.txt"], "has 1 label "),
    ],
)
def test_a_folder_that_will_not_do_is_refused(tmp_path, names, said):
    with pytest.raises(InputError, match=said):
        folder(write_texts(tmp_path, names), source("folder"))


WORD_INDEX = {"the": 1, "film": 2, "good": 3, "bad": 4}
INDICES = [[1, 2, 3], [4, 2], [3], [4, 4, 2]]


def test_the_labels_of_aclimdb_are_neg_and_pos_or_the_stars(tmp_path):
    stars = {"neg": (1, 4), "pos": (10, 7)}
    for split in ("train", "test"):
        for label, ratings in stars.items():
            (tmp_path / split / label).mkdir(parents=True)
            for number, rating in enumerate(ratings):
                path = tmp_path / split / label / f"{number}_{rating}.txt"
                path.write_text(f"{split} {rating}")
    for by_stars, names, labels in (
        (False, ["neg", "pos"], [0, 0, 1, 1]),
        (True, ["1", "4", "7", "10"], [0, 1, 3, 2]),
    ):
        table = texts.aclimdb(tmp_path, by_stars)
        assert json.loads(table.schema.metadata[b"labels"]) == names
        assert table["label"].to_pylist() == labels * 2
        assert table["text"].to_pylist() == [
            f"{split} {rating}" for split in ("train", "test") for rating in (1, 4, 10, 7)
        ]


def save_npz(path: Path, reviews_of: list, **changes) -> Path:
    arrays = {}
    for split in ("train", "test"):
        arrays[f"x_{split}"] = np.array([*reviews_of, None], dtype=object)[:-1]
        arrays[f"y_{split}"] = np.array([1, 0, 1, 0])
    np.savez(path, **arrays | changes)
    path.with_name("imdb_word_index.json").write_text(json.dumps(WORD_INDEX))
    return path


def keras_imdb(path: Path):
    return texts.keras_imdb(path, path.with_name("imdb_word_index.json"))


def test_keras_imdb_that_unpacks_to_much_more_is_refused(tmp_path):
    path = tmp_path / "imdb.npz"
    np.savez_compressed(path, x_train=np.zeros(100 << 20, np.int8))
    path.with_name("imdb_word_index.json").write_text(json.dumps(WORD_INDEX))
    with pytest.raises(InputError, match=r"imdb.npz holds more than 50 times its size"):
        keras_imdb(path)


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
    with pytest.raises(InputError, match=r"can't be read: it would load pathlib.*\.touch"):
        keras_imdb(path)
    assert not Path("touched").exists()
    path = save_npz(tmp_path / "imdb.npz", [[1, 99, 3, 1]] * 4)
    with pytest.raises(InputError, match="an index has no word"):
        keras_imdb(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"imdb.npz can't be read: "):
        keras_imdb(path)
    with pytest.raises(InputError, match="4 reviews, but 3 labels in train"):
        keras_imdb(save_npz(tmp_path / "imdb.npz", INDICES, y_train=np.array([1, 0, 1])))


def padded(reviews_of: list, width: int) -> np.ndarray:
    """As `pad_sequences` does: zeros in front, and of what is longer the end."""
    return np.array([[0] * (width - len(r[-width:])) + r[-width:] for r in reviews_of])


MARKED = [[1, 2, *(i + 3 for i in review)] for review in INDICES]
TEXTS = ["the film good", "bad film", "good", "bad bad film"]


@pytest.mark.parametrize(
    ("indices", "texts"),
    [
        (padded(INDICES, 5), TEXTS),
        (padded(MARKED, 9), TEXTS),
        (padded(MARKED, 3), ["the film good", "bad film", "good", "bad bad film"]),
        ([*MARKED[:3], []], [*TEXTS[:3], ""]),
        ([*MARKED[:3], [1]], [*TEXTS[:3], ""]),
        ([*INDICES[:3], []], [*TEXTS[:3], ""]),
        ([[1, 2], [2, 1], [4], []], ["the film", "film the", "bad", ""]),
    ],
)
def test_indices_padded_cut_empty_or_without_marks_become_the_right_words(tmp_path, indices, texts):
    changes = {"x_train": indices, "x_test": indices} if isinstance(indices, np.ndarray) else {}
    path = save_npz(tmp_path / "imdb.npz", [[]] * 4 if changes else indices, **changes)
    assert keras_imdb(path)["text"].to_pylist() == texts * 2


@pytest.mark.parametrize(
    ("indices", "labels", "said"),
    [
        (
            [[1, 2, 7], [1, 6, 7], [1, 8], [1, 9]],
            [1, 0, 1, 0],
            "whose index_from is not 3",
        ),
        ([[1, 3, 4], [1, 4, 5], [1, 3], [1, 5]], [1, 0, 1, 0], "whose index_from is not 3"),
        ([[6, 7], [2, 6], [8], [9]], [1, 0, 1, 0], "without the most frequent words"),
        (INDICES, [1, 0, 2, 0], "y_train should hold a 0 or a 1 for each review"),
        (INDICES, [1, 0, np.nan, 0], "y_train should hold a 0 or a 1"),
        (INDICES, [[1, 0]] * 4, "y_train should hold a 0 or a 1"),
        (INDICES, ["a", "b", "a", "b"], "can't be read: "),
        ([[1, -2], [1], [1], [1]], [1, 0, 1, 0], "x_train holds an index below zero"),
    ],
)
def test_indices_that_cant_be_told_and_other_labels_are_refused(tmp_path, indices, labels, said):
    path = save_npz(tmp_path / "imdb.npz", indices, y_train=np.array(labels))
    with pytest.raises(InputError, match=said) as caught:
        keras_imdb(path)
    assert "\n" not in str(caught.value)


def test_labels_may_be_booleans_floats_or_a_column(tmp_path):
    for labels in ([True, False] * 2, [1.0, 0.0] * 2, [[1], [0]] * 2):
        path = save_npz(tmp_path / "imdb.npz", INDICES, y_train=np.array(labels))
        assert keras_imdb(path)["label"].to_pylist() == [1, 0] * 4
