"""Reviews: every source gives one form of table, and what is wrong with one is said in one line."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.shared import params
from stages.shared.artifacts import InputError
from stages.sources import own_reviews, reviews
from stages.sources.own_reviews import folder, table

ROWS = [("bad film", 0), ('good, "very" good', 1), ("line\nend", 0), ("é…", 1)] * 5


def source(kind="table", **changes) -> params.ReviewSource:
    """The default parameters of reviews, with changes."""
    default = params.load(Path(__file__).parents[1] / "params.yaml").download.reviews
    return default.model_copy(update={"source": kind, **changes})


def write(path: Path, frame: pd.DataFrame) -> Path:
    """Write a table as what the name of `path` says."""
    match path.name.removesuffix(".gz").rpartition(".")[2]:
        case "csv":
            frame.to_csv(path, index=False)
        case "tsv":
            frame.to_csv(path, index=False, sep="\t")
        case "jsonl":
            frame.to_json(path, orient="records", lines=True)
        case "parquet":
            frame.to_parquet(path)
    return path


def a_frame(rows=ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["text", "label"])


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "a.jsonl.gz", "A.x.csv"]
)
def test_every_kind_of_table_gives_the_same(name, tmp_path):
    found = table(write(tmp_path / name, a_frame()), source())
    assert found.schema == own_reviews.SCHEMA
    assert found["split"].to_pylist() == ["train"] * 16 + ["test"] * 4
    assert sorted(zip(found["text"].to_pylist(), found["label"].to_pylist(), strict=True)) == (
        sorted(ROWS)
    )


def test_the_hold_out_is_drawn_from_the_seed_and_keeps_groups_together(tmp_path):
    frame = a_frame([(f"text {i}", i % 2) for i in range(1000)])
    frame["film"] = np.arange(1000) // 7
    path = write(tmp_path / "a.csv", frame)
    first, again = table(path, source()), table(path, source())
    other = table(path, source(split_seed=1))
    assert first.equals(again)
    assert not first.equals(other)
    assert first["split"].to_pylist().count("test") == 200
    by_film = table(path, source(group="film", test_fraction=0.3)).to_pandas()
    by_film["film"] = by_film["text"].str.split().str[1].astype(int) // 7
    assert (by_film.groupby("film")["split"].nunique() == 1).all()
    assert 300 <= (by_film["split"] == "test").sum() < 307


def test_a_split_column_is_taken_as_it_is(tmp_path):
    frame = a_frame()
    frame["part"] = ["test", "test", "train", "train"] * 5
    found = table(write(tmp_path / "a.csv", frame), source(split="part")).to_pandas()
    assert set(found[found["split"] == "test"]["text"]) == {"bad film", 'good, "very" good'}


@pytest.mark.parametrize(
    ("labels", "positive", "ones"),
    [
        (["neg", "pos"], None, "pos"),
        (["neg", "pos"], "neg", "neg"),
        ([9, 10], None, 10),
        ([1, 2], 1, 1),
        ([-1.0, 1.0], None, 1.0),
        ([False, True], None, True),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_the_larger_label_is_positive_unless_another_is_named(
    labels, positive, ones, name, tmp_path
):
    frame = pd.DataFrame({"text": [str(i) for i in range(20)], "label": labels * 10})
    found = table(write(tmp_path / name, frame), source(positive=positive)).to_pandas()
    for text, label in zip(found["text"], found["label"], strict=True):
        assert label == (frame["label"][int(text)] == ones)


def test_other_columns_may_be_named_and_bytes_that_are_not_utf8_are_replaced(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"review,stars\n" + b"b\xffd,1\ng\x00od,5\n" * 10)
    found = table(path, source(text="review", label="stars")).to_pandas()
    assert set(found["text"]) == {"b�d", "g\x00od"}
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "b\xffd", "label": 1}\n{"text": null, "label": 0}\n' * 10)
    assert set(table(path, source()).to_pandas()["text"]) == {"b�d", ""}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text,label\n", "has no reviews"),
        ("a.csv", "", "is empty"),
        ("a.csv", "text,label\na,1\nb,1\n", r"has 1 labels \('1'\), but should have two"),
        ("a.csv", "text,label\na,1\nb,0\nc,2\n", r"has 3 labels \('0', '1', '2'\), but should"),
        ("a.csv", "text,label\na,1\nb,\nc,0\n", "1 of 3 reviews have no label, .* review 2"),
        ("a.csv", "text,label\na,1\nb\nc,0\n", "1 of 3 reviews have no label"),
        ("a.csv", "text,label,text\na,1,b\nb,0,c\n", "has column 'text' twice"),
        ("a.csv", "review,label\na,1\n", "has no column 'text', but review, label"),
        ("a.csv", "text,label\na,1\nb,0,c,d\n", "can't be read: as csv: "),
        ("a.csv", "text,label\na,1\nb,0\n", "no review of label '.' in the test split"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "la', "can't be read: as jsonl: "),
        ("a.parquet", "text", "can't be read: as parquet: "),
        ("a.csv.gz", "text", "can't be read: "),
        ("a.xlsx", "text", "a.xlsx ends in none of .csv, .tsv"),
    ],
)
def test_a_table_that_will_not_do_is_refused_in_one_line(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    if name == "a.csv.gz":
        path.write_bytes(gzip.compress(b"text,label\n" + b"a,1\nb,0\n" * 999)[:40])
    with pytest.raises(InputError, match=said) as caught:
        table(path, source())
    assert "\n" not in str(caught.value)


def test_a_wrong_split_or_positive_label_is_refused(tmp_path):
    frame = a_frame()
    frame["part"] = ["train", "dev", "test", "test"] * 5
    path = write(tmp_path / "a.csv", frame)
    with pytest.raises(InputError, match=r"split 'dev', but should be train or test"):
        table(path, source(split="part"))
    with pytest.raises(InputError, match=r"positive is 2, but the labels of .* are '0' and '1'"):
        table(path, source(positive=2))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_table_or_an_input_error(tmp_path_factory, content):
    root = tmp_path_factory.mktemp("any")
    for name in ("a.csv", "a.jsonl", "a.parquet", "a.csv.gz"):
        (root / name).write_bytes(
            b"text,label\na,1\nb,0\n" + content if name == "a.csv" else content
        )
        try:
            table(root / name, source())
        except InputError as error:
            assert "\n" not in str(error)


def test_a_folder_of_labels_and_one_of_splits_are_read(aclimdb, tmp_path):
    found = folder(aclimdb, source("folder"))
    assert found.equals(reviews.aclimdb(aclimdb))
    flat = folder(aclimdb / "train", source("folder")).to_pandas()
    assert flat.value_counts("split").to_dict() == {"train": 160, "test": 40}
    assert folder(aclimdb, source("folder", positive="neg"))["label"][0].as_py() == 1
    with pytest.raises(InputError, match=r"has no file \*/\*\.txt"):
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
