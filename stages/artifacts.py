"""Outputs that appear whole or not at all, and errors that are one line."""

import hashlib
import json
import os
import pickle
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

# What numpy, Arrow, archives and pickles say of content that is not what it should be.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    pickle.UnpicklingError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class InputError(Exception):
    """Something the user can mend; the message says what was wrong, where, and what is right."""


def run(main: Callable[[], None]) -> None:
    """Run a stage; an InputError ends it with one line and exit status 1."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except MemoryError as error:
        sys.exit(f"error: out of memory: {error}")


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reading(path: Path) -> AbstractContextManager[None]:
    """Turn the failure to read an artifact, missing or corrupt, into an InputError."""
    return reading_input(path, ": dvc checkout restores it, dvc repro makes it")


@contextmanager
def reading_input(path: Path, mend: str = "") -> Iterator[None]:
    """Turn the failure to read a file, missing or corrupt, into an InputError."""
    try:
        yield
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or "it ends early"
        raise InputError(f"{path} can't be read: {reason[:300]}{mend}") from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or folder to; it takes the name at the end.

    What an interrupted run left there is removed first, so nothing stale is ever completed.
    """
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(partial)
    try:
        yield partial
        if path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        remove(partial)


def sha256_of(path: Path) -> str:
    """Hash the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    """Write `content` as indented JSON; a NaN or an infinity raises ValueError."""
    with whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
