"""A user's own labelled text, read by its source: labels are numbered, and a split is made."""

import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from stages.download import equal_texts
from stages.shared.draws import in_proportion
from stages.shared.errors import InputError
from stages.shared.schema import TextSource
from stages.shared.text import count_of, shortened

SCHEMA = pa.schema([("split", pa.string()), ("label", pa.int8()), ("text", pa.string())])
ROWS_AT_A_TIME = 10_000
MOST_LABELS = 256
MOST_DRAWS = 100  # of a hold-out, until it has every label on both sides
LONGEST_NAME, MOST_NAMES = 40, 5  # of labels and splits in a message
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,99}))(?:\.0+)?")  # as pandas writes a column of floats
SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "development": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
MULTI_LABEL = "a text has several labels, and this project compares on texts that have one each"


def with_labels(table: pa.Table, names: list[str]) -> pa.Table:
    """Note in a table's metadata what its labels are called, in order of their number."""
    return table.replace_schema_metadata({"labels": json.dumps(names)})


def labelled(
    path: Path,
    source: TextSource,
    texts: pl.Series,
    labels: list,
    splits: Sequence[str | None] | None,
    groups: Sequence[str | None] | None,
) -> pa.Table:
    """Put together what a user's texts came with: labels become numbers, and a split is made.

    Where texts have groups, these are numbered in a column more.
    Raises InputError for labels that are missing, too few or too many, and for other splits.
    """
    if not labels:
        raise InputError(f"{path} has no texts")
    names, label = label_numbers(path, source, labels)
    if splits is None:
        split = np.where(hold_out(path, source, texts, label, groups), "test", "train")
    else:
        split = split_names(path, splits)
    table = with_labels(in_splits(split, label, texts, groups), names)
    check_each_label(path, table)
    return table


def in_splits(
    split: np.ndarray, label: np.ndarray, texts: pl.Series, groups: Sequence[str | None] | None
) -> pa.Table:
    """Lay texts out as a table, the train split first; groups are numbered as they come in it."""
    order = np.concatenate([np.flatnonzero(split == name) for name in ("train", "test")])
    parts = (order[i : i + ROWS_AT_A_TIME] for i in range(0, len(order), ROWS_AT_A_TIME))
    schema = SCHEMA.set(1, pa.field("label", pa.from_numpy_dtype(label.dtype)))
    table = pa.concat_tables(
        pa.table(
            [split[rows], label[rows], texts[rows].to_arrow().cast(pa.string())], schema=schema
        )
        for rows in parts
    )
    if groups is None:
        return table
    number_of: dict[str, int] = {}
    numbers = [number_of.setdefault(str(groups[row]), len(number_of)) for row in order]
    return table.append_column("group", pa.array(numbers, pa.int32()))


def check_each_label(path: Path | str, table: pa.Table) -> None:
    """Raise InputError if a split of a table with named labels has no text of one."""
    names = json.loads(table.schema.metadata[b"labels"])
    of_splits = (table["label"].filter(pc.equal(table["split"], of)) for of in ("train", "test"))
    train, test = (np.bincount(label.to_numpy(), minlength=len(names)) for label in of_splits)
    lacking = np.flatnonzero((train == 0) | (test == 0))
    if len(lacking):
        first, *others = lacking
        also = f" (likewise {count_of(len(others), 'other label')})" if others else ""
        raise InputError(
            f"{path}: label {shown(names[first])!r} has {count_of(train[first], 'text')} in the"
            f" train split and {test[first]:,} in the test split{also}, but each label takes one in"
            " both: add texts, leave this label out, or set another download.texts.split_seed or"
            " split"
        )


def shown(name: object) -> str:
    """Shorten a name for a message."""
    return shortened(str(name), LONGEST_NAME)


def canonical(value: object) -> tuple | None:
    """Give what labels are compared by: equal for equal texts but for case, and for 1 and 1.0.

    1.1 and 1.10, as 7 and 007, are two. None is a missing label.
    """
    text = spelling(value)
    if value is None or not text or (isinstance(value, float) and math.isnan(value)):
        return None
    whole = WHOLE.fullmatch(text)
    return (int(whole[1]),) if whole else (text.casefold(),)


def spelling(value: object) -> str:
    """Write a label as its user would: without blanks at the ends, true and not True, 1 not 1.0."""
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(str(value).split())


def as_number(value: str) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def label_numbers(path: Path, source: TextSource, labels: list) -> tuple[list[str], np.ndarray]:
    """Number the labels: their names in order, and (n_texts,) int8, or int16 if they are many."""
    if not all(isinstance(value, Hashable) for value in labels):
        raise InputError(f"{path}, download.texts.label: {MULTI_LABEL}")
    # True and 1 are equal in Python, but here they are two spellings.
    written = Counter((type(value), value) for value in labels)
    key_of = {spelt: key for spelt in written if (key := canonical(spelt[1])) is not None}
    n_missing = sum(n for spelt, n in written.items() if spelt not in key_of)
    if n_missing:
        first = next(i for i, value in enumerate(labels) if canonical(value) is None)
        raise InputError(
            f"{path}: {n_missing} of {count_of(len(labels), 'text')}"
            f" {'has' if n_missing == 1 else 'have'} no label, the first of them text {first + 1}"
        )
    spellings = {}  # of each label, how often it is written how
    for spelt, n in written.items():
        spellings.setdefault(key_of[spelt], Counter())[str(spelt[1])] += n
    names = name_labels(path, spellings, {key_of[spelt]: spelling(spelt[1]) for spelt in written})
    keys = [*names]
    if source.positive is not None:
        if len(keys) > 2:
            raise InputError(
                f"download.texts.positive is for two labels, but {path} has {len(keys)}: set it to"
                " null"
            )
        wanted = canonical(source.positive)
        if wanted not in keys:
            raise InputError(
                f"download.texts.positive is {source.positive!r}, but the labels of"
                f" {path} are {' and '.join(repr(shown(name)) for name in names.values())}"
            )
        keys.sort(key=lambda key: key == wanted)
    number_of = {spelt: keys.index(key) for spelt, key in key_of.items()}
    numbers = (number_of[type(value), value] for value in labels)
    dtype = np.int8 if len(keys) <= 128 else np.int16
    return [names[key] for key in keys], np.fromiter(numbers, dtype, len(labels))


def name_labels(
    path: Path, spellings: dict[tuple, Counter], one_spelling: dict[tuple, str]
) -> dict[tuple, str]:
    """Name each label by its most frequent spelling, in order: by size if all are numbers.

    Says which spellings were taken for one label. Raises InputError unless there are two labels or
    more, up to MOST_LABELS.
    """
    sizes = {key: as_number(one_spelling[key]) for key in spellings}
    by_size = None not in sizes.values()
    keys = sorted(spellings, key=lambda key: one_spelling[key].casefold())
    keys.sort(key=lambda key: sizes[key] or 0 if by_size else 0)
    names = {}
    for key in keys:
        first, *others = [text for text, _ in spellings[key].most_common()]
        names[key] = one_spelling[key] if not others else spelling(first)
        if others:
            also = ", ".join(f"{shown(text)!r} ({spellings[key][text]:,})" for text in others[:3])
            print(f"label {shown(names[key])!r} is also written {also}: taken for one label")
    if not 2 <= len(keys) <= MOST_LABELS:
        some = ", ".join(
            f"{shown(names[key])!r} ({spellings[key].total():,})" for key in keys[:MOST_NAMES]
        )
        raise InputError(
            f"{path} has {count_of(len(keys), 'label')}"
            f" ({some}{', …' if len(keys) > MOST_NAMES else ''}), but should have 2 to"
            f" {MOST_LABELS}"
        )
    return names


def split_names(path: Path, splits: Sequence[str | None]) -> np.ndarray:
    """Name each text's split train or test, (n_texts,) str; a validation split is one of them.

    If there is a test split, the validation split joins the train split, as `train` draws its own
    texts to validate on. If not, it is the test split. A line says which. Raises InputError for
    other names, and if there are not two splits.
    """
    written = Counter(name or "" for name in splits)
    folded = {name: SPLITS.get(name.strip().lower()) for name in written}
    missing = sum(n for name, n in written.items() if not name.strip())
    if missing:
        first = next(i for i, name in enumerate(splits) if not (name or "").strip())
        raise InputError(
            f"{path}: {count_of(missing, 'text')} without a split, the first of them text"
            f" {first + 1}: should be train or test"
        )
    if wrong := [name for name, split in folded.items() if split is None]:
        raise InputError(f"{path}: split {shown(min(wrong))!r}, but should be train or test")
    counts = Counter()
    for name, n in written.items():
        counts[folded[name]] += n
    validation = "train" if counts["test"] else "test"
    if n := counts["validation"]:
        what = "joins the train split" if counts["test"] else "is the test split"
        print(f"the validation split, {count_of(n, 'text')}, {what}")
    if not (counts["train"] and counts["test"] + counts["validation"]):
        raise InputError(
            f"{path}: all texts are of the split {shown(min(written))!r}: to hold some out, set"
            " download.texts.split to null"
        )
    final = {name: validation if split == "validation" else split for name, split in folded.items()}
    return np.array([final[name or ""] for name in splits])


def hold_out(
    path: Path,
    source: TextSource,
    texts: pl.Series,
    label: np.ndarray,
    groups: Sequence[str | None] | None,
) -> np.ndarray:
    """Draw the test split, (n_texts,) bool: whole groups until test_fraction is reached.

    Each label is in it in its proportion, counting a group by its first text, and at least once.
    A group that is larger than that stays in the train split: than twice as much, if the smaller
    ones are too few. Raises InputError if they are so then too. It is drawn again, up to MOST_DRAWS
    times, if a split lacks a label.
    """
    n_texts, n_labels = len(texts), int(label.max()) + 1
    group = joined_groups(texts, groups)
    sizes, generator = np.bincount(group), np.random.default_rng(source.split_seed)
    label_of = label[np.unique(group, return_index=True)[1]]
    wanted = max(round(source.test_fraction * n_texts), n_labels)
    most = wanted if sizes[sizes <= wanted].sum() >= wanted else 2 * wanted
    is_small = sizes <= most
    if large := sizes[~is_small].tolist():
        if n_texts - sum(large) < wanted:
            raise InputError(
                f"{path}: {wanted:,} of {n_texts:,} texts can't be held out: {sum(large):,} stay"
                f" together in lots of {min(large):,} and more, equal or of one group: set another"
                " download.texts.test_fraction, .group or .split"
            )
        print(f"too many to hold out, equal or of one group: {count_of(sum(large), 'text')}")
    for _ in range(MOST_DRAWS):
        order = in_proportion(label_of, generator)
        order = order[is_small[order]]
        reached = np.cumsum(sizes[order]) - sizes[order]
        is_test = np.zeros(len(sizes), bool)
        is_test[order[reached < wanted]] = True
        sides = np.bincount(label + n_labels * is_test[group].astype(int), minlength=2 * n_labels)
        if sides.all():
            break
    return is_test[group]


def joined_groups(texts: pl.Series, groups: Sequence[str | None] | None) -> np.ndarray:
    """Number the groups, (n_texts,) int; those that share a text, but an empty one, are joined.

    Without `groups` each text is a group of its own.
    """
    ids = equal_texts.text_ids(texts)
    if groups is None:
        return equal_texts.joined(np.arange(len(texts)), ids)
    empty = np.flatnonzero(~texts.str.contains(r"\S").to_numpy())
    ids[empty] = len(texts) + empty
    group = np.unique([str(group) for group in groups], return_inverse=True)[1]
    return equal_texts.joined(group, ids)
