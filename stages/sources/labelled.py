"""A user's own labelled text, read by its source: labels are checked, and a split is made."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from stages.shared.artifacts import InputError
from stages.shared.params import ReviewSource

SCHEMA = pa.schema([("split", pa.string()), ("label", pa.int8()), ("text", pa.string())])
ROWS_AT_A_TIME = 10_000


def labelled(
    path: Path,
    source: ReviewSource,
    texts: pl.Series,
    labels: list,
    splits: list[str | None] | None,
    groups: list[str | None] | None,
) -> pa.Table:
    """Put together what a user's reviews came with: labels become 1 and 0, and a split is made.

    Raises InputError for labels that are missing or not of two values, and for other splits.
    """
    if not labels:
        raise InputError(f"{path} has no reviews")
    if None in labels:
        raise InputError(
            f"{path}: {labels.count(None)} of {len(labels)} reviews have no label,"
            f" the first of them review {labels.index(None) + 1}"
        )
    positive = positive_label(path, source, set(labels))
    label = np.array([value == positive for value in labels], np.int8)
    if splits is None:
        is_test = hold_out(source, len(labels), groups)
        split = np.where(is_test, "test", "train")
    else:
        if wrong := set(splits) - {"train", "test"}:
            name = sorted(map(str, wrong))[0]
            raise InputError(f"{path}: split {name!r}, but should be train or test")
        split = np.array(splits)
    for name in ("train", "test"):
        for value in (0, 1):
            if not np.any((split == name) & (label == value)):
                which = positive if value else next(v for v in labels if v != positive)
                raise InputError(f"{path}: no review of label {which!r} in the {name} split")
    order = np.concatenate([np.flatnonzero(split == name) for name in ("train", "test")])
    parts = (order[i : i + ROWS_AT_A_TIME] for i in range(0, len(order), ROWS_AT_A_TIME))
    return pa.concat_tables(
        pa.table(
            [split[rows], label[rows], texts[rows].to_arrow().cast(pa.string())], schema=SCHEMA
        )
        for rows in parts
    )


def positive_label(path: Path, source: ReviewSource, values: set) -> object:
    """Choose the label that becomes 1: the one asked for, or the larger of the two."""
    numbers = {value: as_number(value) for value in values}
    by_size = None not in numbers.values()
    ordered = sorted(values, key=numbers.get if by_size else str)
    if len(ordered) != 2:
        shown = ", ".join(map(repr, ordered[:5])) + (", …" if len(ordered) > 5 else "")
        raise InputError(f"{path} has {len(ordered)} labels ({shown}), but should have two")
    if source.positive is None:
        return ordered[1]
    for value in ordered:
        if str(value) == str(source.positive) or (
            by_size and numbers[value] == as_number(source.positive)
        ):
            return value
    raise InputError(
        f"download.reviews.positive is {source.positive!r}, but the labels of {path} are"
        f" {ordered[0]!r} and {ordered[1]!r}"
    )


def as_number(value: object) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def hold_out(source: ReviewSource, n_reviews: int, groups: Iterable | None) -> np.ndarray:
    """Draw the test split, (n_reviews,) bool: whole groups until test_fraction is reached.

    Without `groups` each review is one of its own.
    """
    names, group = np.unique(np.arange(n_reviews) if groups is None else [str(g) for g in groups],
                             return_inverse=True)  # fmt: skip
    order = np.random.default_rng(source.split_seed).permutation(len(names))
    sizes = np.bincount(group)[order]
    reached = np.cumsum(sizes) - sizes >= round(source.test_fraction * n_reviews)
    is_test = np.zeros(len(names), bool)
    is_test[order[~reached]] = True
    return is_test[group]
