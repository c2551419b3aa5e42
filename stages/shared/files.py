"""Files that are read with an error of one line, and written whole or not at all."""

import errno
import hashlib
import json
import os
import pickle
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.shared import integrity
from stages.shared.errors import MEND, InputError, lacks_memory

# What numpy, Arrow, archives and pickles raise if content is not what it should be.
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
TO_REMOVE = 1 << 20  # bytes of memory to remove files with; listing a folder takes 32 KiB


def exists(path: Path) -> bool:
    """Tell whether a path is there; one that is too long for a name is not."""
    try:
        return path.exists()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the failure to read an artifact, missing, corrupt or changed, into an InputError."""
    with reading_input(path, MEND):
        if damage := integrity.damage(path):
            raise InputError(damage)
        yield


@contextmanager
def reading_input(path: Path, mend: str = "") -> Iterator[None]:
    """Turn the failure to read a file, missing or corrupt, into an InputError."""
    try:
        yield
    except UNREADABLE as error:
        if lacks_memory(error):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or "it ends early"
        if isinstance(error, FileNotFoundError):  # of which Arrow and HDF5 say something longer
            reason = os.strerror(errno.ENOENT)
        raise InputError(f"{path} can't be read: {reason[:300]}{mend}") from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or folder to; it takes the name at the end.

    What an interrupted run left there is removed first, so nothing stale is ever completed. A link
    to a folder stays: the folder that it leads to is written.
    """
    if path.is_symlink() and path.is_dir():
        path = path.resolve()
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(partial)
    reserve = bytearray(TO_REMOVE)
    try:
        yield partial
        if path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        del reserve  # memory may have run out, and removing takes some too
        remove(partial)


def sha256_of(path: Path) -> str:
    """Hash the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove a file, a folder or a link, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_all_but(folder: Path, names: Iterable[str]) -> None:
    """Remove the outputs in a folder that params.yaml no longer names, and say so.

    A stage that depends on the whole folder calls this, or what an earlier params.yaml named would
    be part of the folder's hash. An output is called by its name, with or without a suffix.
    """
    kept = {*names, ""}  # a hidden file has no name before its dot
    for path in sorted(folder.glob("*")):
        if path.name.partition(".")[0] not in kept:
            remove(path)
            print(f"{path}: removed, params.yaml does not name it any more")


def read_rows(path: Path, n_rows: int) -> Iterator[np.ndarray]:
    """Read a .npy file of an artifact so many rows at a time, and keep none in memory."""
    with reading(path.parent):
        for start in range(0, len(np.load(path, mmap_mode="r")), n_rows):
            # Mapped anew each time: what was read counts as memory until the mapping is given up.
            yield np.array(np.load(path, mmap_mode="r")[start : start + n_rows])


def create_array(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """Create a .npy file to fill through memory; raises OSError where there is no room for it.

    Without its room reserved, a write to a full disk would end the process with SIGBUS.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def write_json(path: Path, content: dict) -> None:
    """Write `content` as indented JSON; a NaN or an infinity raises ValueError."""
    with whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
