"""Tables of labelled text: every kind is read right, or refused in one line."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.download import labelled
from stages.download.tables import table
from stages.shared import params
from stages.shared.errors import InputError
from stages.shared.schema import TextSource

TEXTS = [("bad film", 0), ('good, "very" good', 1), ("line\nend", 0), ("é…", 1)]
ROWS = [(f"{text} {i}", label) for i in range(5) for text, label in TEXTS]


def source(kind="table", **changes) -> TextSource:
    """The default parameters of texts, with changes."""
    default = params.load(Path(__file__).parents[1] / "params.yaml").download.texts
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
    assert found.schema == labelled.SCHEMA
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
    assert found[found["split"] == "test"]["text"].str[:4].tolist() == ["bad ", "good"] * 5


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
    path.write_bytes(
        b"review,stars\n" + b"".join(b"b\xffd %d,1\ng\x00od %d,5\n" % (i, i) for i in range(9))
    )
    found = table(path, source(text="review", label="stars")).to_pandas()
    assert {*found["text"].str[:4]} == {"b�d ", "g\x00od"}
    path = tmp_path / "a.jsonl"
    rows = [b'{"text": "b\xffd", "label": 1, "split": "%s"}', b'{"label": 0, "split": "%s"}']
    path.write_bytes(b"\n".join(row % split for split in (b"train", b"test") for row in rows))
    assert {*table(path, source(split="split")).to_pandas()["text"]} == {"b�d", ""}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text,label\n", "has no texts"),
        ("a.csv", "", "is empty"),
        (
            "a.csv",
            "text,label\na,1\nb,1\n",
            r"has 1 label \('1' \(\d\)\), but should have 2 to 256",
        ),
        (
            "a.csv",
            "text,label\na,1\nb,0\nc,2\n",
            r"label '0' has .* \(likewise 2 other labels\), but each label takes one in both",
        ),
        ("a.csv", "text,label\na,1\nb,\nc,0\n", "1 of 3 texts has no label, .* text 2"),
        ("a.csv", "text,label\na,1\nb\nc,0\n", "as csv: line 3 has 1 field, but the header 2"),
        ("a.csv", "text,label,text\na,1,b\nb,0,c\n", "has column 'text' twice"),
        ("a.csv", "review,label\na,1\n", "has no column 'text', but review, label"),
        ("a.csv", "text,label\na,1\nb,0,c,d\n", "can't be read: as csv: line 3 has 4 fields"),
        ("a.csv", "text,label\na,1\nb,0\n", "label '.' has .* each label takes one in both"),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"text": "b", "la',
            "can't be read: as jsonl: line 2: ",
        ),
        ("a.parquet", "text", "can't be read: as parquet: "),
        ("a.csv.gz", "text", "can't be read: "),
        (
            "a.xlsx",
            "text",
            "a.xlsx ends in none of .csv, .tsv, .tab, .txt, .jsonl, .ndjson, .json, .parquet",
        ),
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
    frame["part"] = ["train", "holdout", "test", "test"] * 5
    path = write(tmp_path / "a.csv", frame)
    with pytest.raises(InputError, match=r"split 'holdout', but should be train or test"):
        table(path, source(split="part"))
    with pytest.raises(InputError, match=r"positive is 2, but the labels of .* are '0' and '1'"):
        table(path, source(positive=2))


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
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


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"text": "a"}\n{oops}\n', "line 2: Expecting property name"),
        ("a.json", '[\n{"text": "a"},\n{oops}]', "line 3 column 2"),
    ],
)
def test_a_fault_of_json_is_told_with_one_line_number(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        table(tmp_path / name, source())
    assert said in str(caught.value)
    assert str(caught.value).count("line ") == 1
