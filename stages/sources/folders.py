"""A user's own labelled text in a folder, a file each."""

from pathlib import Path

import polars as pl
import pyarrow as pa
from tqdm import tqdm

from stages.shared.artifacts import InputError
from stages.shared.params import ReviewSource
from stages.sources.labelled import labelled


def folder(path: Path, source: ReviewSource) -> pa.Table:
    """Read text files laid out for scikit-learn's `load_files`: <label>/*.txt in each split."""
    has_splits = all((path / split).is_dir() for split in ("train", "test"))
    pattern = "*/*/*.txt" if has_splits else "*/*.txt"
    files = sorted(path.glob(pattern), key=lambda file: file.relative_to(path).as_posix())
    if not files:
        raise InputError(f"download.reviews.path: {path} has no file {pattern}")
    splits = [file.parts[-3] for file in files] if has_splits else None
    progress = tqdm(files, desc=f"reading {path}", unit=" reviews", delay=2)
    texts = pl.Series([file.read_bytes().decode("utf-8", "replace") for file in progress])
    return labelled(path, source, texts, [file.parent.name for file in files], splits, None)
