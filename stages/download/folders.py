"""A user's own labelled text in folders, a file each, laid out as scikit-learn's `load_files`."""

import os
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
from tqdm import tqdm

from stages.download.labelled import SPLITS, labelled
from stages.download.tables import as_utf8
from stages.shared.errors import InputError
from stages.shared.schema import TextSource
from stages.shared.text import count_of

LAYOUT = "<label>/*.txt, or train/<label>/*.txt and test/<label>/*.txt"


def folder(path: Path, source: TextSource) -> pa.Table:
    """Read text files: <label>/*.txt, in train/ and test/ where these are.

    Hidden files, such as macOS' copies of attributes, are ignored; other files are counted. Raises
    InputError for a file that isn't in the encoding that the user names.
    """
    if not path.is_dir():
        raise InputError(f"download.texts.path: {path} is not a folder")
    tops = folders_in(path)
    has_splits = bool(tops) and all(top.name.strip().lower() in SPLITS for top in tops)
    files, others = [], Counter()
    for top in tops:
        for of_label in folders_in(top) if has_splits else [top]:
            for file in visible(of_label):
                if file.suffix.lower() != ".txt":
                    others["not called .txt"] += 1
                elif file.is_dir():
                    others["folders"] += 1
                elif not file.is_file():
                    others["links to nothing"] += 1
                else:
                    files.append(file)
    files.sort(key=lambda file: file.relative_to(path).as_posix())
    contents: list[str | None] = []
    for file in tqdm(files, desc=f"reading {path}", unit=" texts", delay=2):
        try:
            contents.append(as_utf8(file, file.read_bytes(), source.encoding).decode())
        except OSError:
            contents.append(None)
            others["unreadable"] += 1
    files = [file for file, text in zip(files, contents, strict=True) if text is not None]
    texts = pl.Series([text for text in contents if text is not None], dtype=pl.String)
    if others:
        of_each = ", ".join(f"{what} ({n:,})" for what, n in others.items())
        print(f"{path}: {count_of(others.total(), 'file')} passed over: {of_each}")
    if not files:
        raise InputError(f"download.texts.path: {path} has no file {LAYOUT}")
    splits = [name_of(file.parent.parent) for file in files] if has_splits else None
    return labelled(path, source, texts, [name_of(file.parent) for file in files], splits, None)


def visible(path: Path) -> list[Path]:
    """List what a folder holds and does not hide, in order."""
    return sorted(
        entry
        for entry in path.iterdir()
        if not entry.name.startswith(".") and entry.name != "__MACOSX"
    )


def folders_in(path: Path) -> list[Path]:
    return [entry for entry in visible(path) if entry.is_dir()]


def name_of(path: Path) -> str:
    """The name of a file or folder; what is not UTF-8 in it becomes U+FFFD."""
    return os.fsencode(path.name).decode("utf-8", "replace")
