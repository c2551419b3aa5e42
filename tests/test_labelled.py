"""Labels, splits and equal texts: taken for what their user means, or refused in one line."""

import json
from itertools import islice

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from stages.download import equal_texts, land_texts, location, texts
from stages.download.labelled import labelled, with_labels
from stages.shared.errors import InputError
from tests.test_tables import source

PATH = "mine.csv"


def table(labels, texts=None, splits=None, groups=None, **changes) -> pa.Table:
    texts = texts or [f"text {i}" for i in range(len(labels))]
    return labelled(PATH, source(**changes), pl.Series(texts), labels, splits, groups)


def by_text(found: pa.Table) -> dict[str, int]:
    return dict(zip(found["text"].to_pylist(), found["label"].to_pylist(), strict=True))


def names(found: pa.Table) -> list[str]:
    return json.loads(found.schema.metadata[b"labels"])


@pytest.mark.parametrize(
    ("labels", "called", "said"),
    [
        (["Positive", "positive ", "negative", "Positive"] * 5, ["negative", "Positive"], "also"),
        ([" spam", "ham"] * 5, ["ham", "spam"], ""),
        (["1", "1.0", "0", "1"] * 5, ["0", "1"], "'1.0' (5)"),
        ([1.0, 0.0] * 5, ["0", "1"], ""),
        ([True, False] * 5, ["false", "true"], ""),
        (["No", "yes"] * 5, ["No", "yes"], ""),
        (["10", "9"] * 5, ["9", "10"], ""),
    ],
)
def test_labels_equal_but_for_case_blanks_and_form_are_one(labels, called, said, capsys):
    found = table(labels)
    assert names(found) == called
    out = capsys.readouterr().out
    assert said in out
    assert bool(out) == bool(said)


def test_labels_that_only_a_computer_takes_for_one_number_are_two():
    alike = ["1.1", "1.10", "1_0", "10", "1e3", "1000", "007", "7"]
    alike += ["9007199254740992", "9007199254740993"]
    assert sorted(names(table(alike * 4))) == sorted(alike)
    assert names(table(["-0.0", "0", "1.00", "2"] * 4)) == ["-0.0", "1.00", "2"]
    assert names(table(["1.10", "1.9", "1.1"] * 4)) == ["1.1", "1.10", "1.9"]


@pytest.mark.parametrize(
    ("labels", "positive", "one"),
    [
        (["yes", "no"], "NO", "no"), (["on", "off"], "off", "off"), ([True, False], False, "false"),
        (["True", "False"], False, "False"), ([1, 2], 1, "1"), (["1", "2"], 1.0, "1"),
        (["pos", "neg"], " Neg ", "neg"), ([1.5, 2.5], "1.5", "1.5"),
    ],
)  # fmt: skip
def test_the_positive_label_is_found_however_it_is_written(labels, positive, one):
    found = table(labels * 10, positive=positive)
    assert names(found)[1] == one
    assert by_text(found)["text 0"] == (names(found)[1].lower() == str(labels[0]).lower())


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a", "b", None, "", "  ", float("nan")], "4 of 6 texts have no label, .* text 3$"),
        (["a", ""], "1 of 2 texts has no label"),
        ([["a"], ["b"]], "download.texts.label: a text has several labels"),
        ([{"a": 1}, "b"], "a text has several labels"),
        ([*range(257)] * 2, r"has 257 labels \(('\d' \(2\), ){5}…\), but should have 2 to 256"),
        (["a"], r"has 1 label \('a' \(1\)\), but should have 2 to 256"),
        (["a" * 40], r"has 1 label \('a{40}' \(1\)\), but"),
        (["a" * 41], r"has 1 label \('a{18} … a{19}' \(1\)\), but"),
        (["a", "b"], "label .* has 0 texts in the train split and 1 in the test split"),
        (["a"] * 9 + ["x" * 999], r"label 'xxx.* has .* but each label takes one in both"),
        ([*"aaabbbcd"], r"label '[cd]' has .*likewise 1 other label\), but each"),
    ],
)
def test_labels_that_will_not_do_are_refused_in_one_short_line(labels, said):
    with pytest.raises(InputError, match=said) as caught:
        table(labels)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_many_labels_are_numbered_by_name_or_by_size_and_have_no_positive_one():
    found = table(["ham", "spam", "Eggs"] * 4)
    assert names(found) == ["Eggs", "ham", "spam"]
    assert by_text(found)["text 0"] == 1
    assert found.schema.field("label").type == pa.int8()
    assert names(table(["10", "9", "0", "2.5", "-.5"] * 4)) == ["-.5", "0", "2.5", "9", "10"]
    with pytest.raises(InputError, match=r"positive is for two labels, but .* has 3"):
        table(["ham", "spam", "Eggs"] * 4, positive="ham")


@pytest.mark.parametrize(("n_labels", "dtype"), [(128, pa.int8()), (256, pa.int16())])
def test_as_many_labels_as_there_may_be_are_told_apart(n_labels, dtype):
    found = table([*range(n_labels)] * 3)
    assert found.schema.field("label").type == dtype
    assert {text: int(text[5:]) % n_labels for text in by_text(found)} == by_text(found)


def test_of_many_labels_some_are_counted_and_the_rest_together(monkeypatch):
    monkeypatch.setattr(land_texts, "MOST_COUNTED", 2)
    labels = [*"aabbccdd", *"abcdabcda"]
    found = table(labels, splits=["train"] * 8 + ["test"] * 9)
    assert [*islice(land_texts.described(found), 2)] == [
        "train split: 8 texts (2 a, 2 b, 4 of 2 more labels)",
        "test split: 9 texts (3 a, 2 b, 4 of 2 more labels)",
    ]


def test_splits_may_have_other_names_and_a_validation_split_is_trained_on(capsys):
    splits = ["Training", "TEST ", "valid", "dev"] * 2
    found = table(["a", "b", "b", "a", "b", "a", "a", "b"], splits=splits)
    assert found["split"].to_pylist() == ["train"] * 6 + ["test"] * 2
    assert "the validation split, 4 texts, joins the train split" in capsys.readouterr().out
    found = table(["a", "a", "b", "b"], splits=["train", "validation"] * 2)
    assert found["split"].to_pylist() == ["train"] * 2 + ["test"] * 2
    assert "the validation split, 2 texts, is the test split" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["train", "test", "holdout", "test"], "split 'holdout', but should be train or test"),
        (["zoo", "test", "holdout", "kept"], "split 'holdout', but should be train or test"),
        (["train", "test", None, " "], "2 texts without a split, the first of them text 3"),
        (["train"] * 4, "all texts are of the split 'train'"),
        (["test"] * 4, "all texts are of the split 'test'"),
    ],
)
def test_splits_that_will_not_do_are_refused(splits, said):
    with pytest.raises(InputError, match=said):
        table(["a", "b"] * 2, splits=splits)


def test_equal_texts_are_numbered_by_first_appearance_but_for_case_and_white_space():
    texts = pa.chunked_array([["b", "A  film", "a\nFILM "], ["", "b", " "]])
    assert equal_texts.text_ids(texts).tolist() == [0, 1, 1, 2, 0, 2]


def test_equal_texts_stay_on_one_side_of_a_hold_out_also_across_groups():
    texts = [f"text {i % 100}" for i in range(400)]
    labels = [int(i % 100 < 50) for i in range(400)]
    found = table(labels, texts).to_pandas()
    assert (found.groupby("text")["split"].nunique() == 1).all()
    assert (found["split"] == "test").sum() == 80
    groups = [str(i // 4) for i in range(400)]
    found = table(labels, texts, groups=groups)
    of = dict(zip(found["text"].to_pylist(), found["split"].to_pylist(), strict=True))
    for start in range(0, 400, 4):  # what a group joins, and what its texts join
        assert len({of[text] for text in texts[start : start + 4]}) == 1


def test_a_hold_out_never_takes_a_lot_that_is_larger_than_itself(capsys):
    groups = [str(i // 5) for i in range(1000)]
    thanks = ["Thanks!" if i % 5 == 0 and i < 600 else f"text {i}" for i in range(1000)]
    ok = ["ok" if i % 5 < 2 else f"text {i}" for i in range(1000)]
    labels = ["neg", "pos"] * 500
    for seed in range(10):
        for lines, of, n_large in ((thanks, groups, 600), (ok, None, 400)):
            found = table(labels, lines, groups=of, split_seed=seed).to_pandas()
            counts = found.groupby("split")["label"].value_counts().unstack()
            assert counts.loc["test"].tolist() == pytest.approx([100, 100], abs=2)
            said = f"too many to hold out, equal or of one group: {n_large} texts\n"
            assert capsys.readouterr().out == said
    of_four = table(labels, groups=["abcd"[i // 2 % 4] for i in range(1000)]).to_pandas()
    assert (of_four["split"] == "test").sum() == 250
    of_two = ["ab"[i // 2 % 2] if i < 960 else str(i) for i in range(1000)]
    with pytest.raises(InputError, match=r"200 of 1,000 texts can't .* 960 .* of 480 and more"):
        table(labels, groups=of_two)


def test_groups_are_not_joined_by_empty_texts():
    texts = [" \n" if i % 5 == 0 else f"text {i}" for i in range(1000)]
    groups = [str(i // 5) for i in range(1000)]
    found = table(["neg", "pos"] * 500, texts, groups=groups).to_pandas()
    assert (found["split"] == "test").sum() == 200
    assert (found.groupby("group")["split"].nunique() == 1).all()


def test_groups_are_landed_by_number_in_the_order_of_the_table_and_only_where_there_are_any():
    groups = ["b", "a", None, "b", "c", "a"]
    splits = ["test", "train", "train", "train", "test", "test"]
    found = table([0, 1, 0, 1, 1, 0], splits=splits, groups=groups)
    assert found.schema.field("group").type == pa.int32()
    assert found["text"].to_pylist() == [f"text {i}" for i in (1, 2, 3, 0, 4, 5)]
    assert found["group"].to_pylist() == [0, 1, 2, 2, 3, 0]
    assert "group" not in table([0, 1, 0, 1, 1, 0], splits=splits).column_names


def test_groups_without_equal_texts_are_drawn_as_they_are_numbered():
    groups = np.array([2, 0, 1, 0, 2])
    assert equal_texts.joined(groups, np.arange(5)).tolist() == groups.tolist()
    assert equal_texts.joined(groups, np.array([0, 1, 2, 3, 2])).tolist() == [1, 0, 1, 0, 1]


def test_a_hold_out_has_each_label_in_its_proportion_and_at_least_once():
    labels = ["a"] * 700 + ["b"] * 250 + ["c"] * 48 + ["d"] * 2
    for seed in range(20):
        found = table(labels, split_seed=seed).to_pandas()
        counts = found.groupby("split")["label"].value_counts().unstack()
        assert counts.loc["test"].tolist() == pytest.approx([140, 50, 9.6, 1], abs=1.5)
        assert counts.loc["test"].sum() == 200
        assert counts.loc["train", 3] == 1


def test_a_hold_out_of_few_texts_has_every_label_on_both_sides():
    for seed in range(20):
        found = table([*"abcdefgh"] * 2, split_seed=seed).to_pandas()
        assert found.groupby("split")["label"].nunique().tolist() == [8, 8]


def test_a_hold_out_of_groups_has_each_label_in_its_proportion():
    labels, groups = [], []
    for group in range(300):
        size = 1 + group % 5
        labels += ["abc"[group % 3]] * size
        groups += [f"g{group}"] * size
    found = table(labels, groups=groups).to_pandas()
    assert (found.groupby("group")["split"].nunique() == 1).all()
    share = (found["split"] == "test").groupby(found["label"]).mean()
    assert share.tolist() == pytest.approx([0.2] * 3, abs=0.04)
    labels = ["rare" if int(group[1:]) % 30 == 7 else "common" for group in groups]  # 10 groups
    for seed in range(20):
        found = table(labels, groups=groups, split_seed=seed).to_pandas()
        is_rare_test = (found["label"] == 1) & (found["split"] == "test")
        assert found[is_rare_test]["group"].nunique() in (1, 2)


def test_a_hold_out_is_drawn_again_until_no_split_lacks_a_label():
    groups, labels = [group for group in range(20) for _ in range(3)], [*"aaabbb" * 10]
    labels[11] = labels[35] = "c"  # which begins no group, and is in two
    for seed in range(10):
        found = table(labels, groups=groups, split_seed=seed, test_fraction=0.3).to_pandas()
        assert found.groupby("split")["label"].nunique().tolist() == [3, 3]


ROWS = [
    ("train", 0, "one"), ("train", 1, "two"), ("train", 0, "Three "), ("train", 1, "three"),
    ("train", 1, "four"), ("train", 1, "five"),
    ("test", 0, "ONE"), ("test", 1, "two"), ("test", 0, "six"), ("test", 0, "four"),
]  # fmt: skip


@pytest.fixture
def landed(monkeypatch):
    """Reads these rows as `download` does, with and without equal texts."""
    columns = [[row[i] for row in ROWS] for i in range(3)]
    rows = with_labels(
        pa.table(
            [columns[0], pa.array(columns[1], pa.int8()), columns[2]], ["split", "label", "text"]
        ),
        ["neg", "pos"],
    )
    monkeypatch.setitem(texts.SOURCES, "imdb-package", lambda path, of: rows)
    return lambda **changes: land_texts.read_texts(source("imdb-package", **changes))


def test_equal_texts_of_given_splits_are_counted_and_may_be_dropped(landed, capsys):
    kept = landed()
    assert kept.num_rows == len(ROWS)
    # one, two and four are in both; three and four have both labels.
    assert json.loads(kept.schema.metadata[b"equal_texts"]) == {"test_in_train": 3, "two_labels": 2}
    said = "\n".join(land_texts.described(kept))
    assert "label 0 is neg, label 1 is pos" in said
    assert "train split: 6 texts (2 neg, 4 pos)" in said
    assert "test split: 4 texts (3 neg, 1 pos)" in said
    assert "in train too, but for capitals and white space: 3 test texts; download.text" in said
    assert "with more than one label: 2 texts" in said
    with pytest.raises(InputError, match="label 'neg' has 0 texts in the train split"):
        landed(duplicates="drop")
    assert "6 texts dropped" in capsys.readouterr().out


def test_of_equal_texts_the_test_splits_stays_and_none_of_two_labels():
    is_test = np.array([row[0] == "test" for row in ROWS])
    label = np.array([row[1] for row in ROWS])
    ids = equal_texts.text_ids(pa.array([row[2] for row in ROWS]))
    rows = equal_texts.rows_to_keep(is_test, label, ids)
    assert [ROWS[row][2] for row in rows] == ["five", "ONE", "two", "six"]


def test_a_relative_path_is_found_from_an_experiments_own_folder(tmp_path, monkeypatch):
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/mine.csv").write_text("text,label\n")
    own = tmp_path / ".dvc/tmp/exps/standalone/tmp1"
    own.mkdir(parents=True)
    monkeypatch.chdir(own)
    found = location.local_copy("texts", source(path="inputs/mine.csv"))
    assert found == tmp_path / "inputs/mine.csv"
    with pytest.raises(InputError, match=rf"no inputs/x.csv, looked for at {tmp_path}/inputs/x"):
        location.local_copy("texts", source(path="inputs/x.csv"))


def test_a_checksum_of_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"texts.sha256 is of a file, but .* is a folder: set it"):
        location.local_copy("texts", source("aclimdb", path=str(tmp_path), sha256="0" * 64))
