"""Where every artifact lies, outputs that appear whole or not at all, errors that are one line."""

import argparse
import errno
import hashlib
import json
import os
import pickle
import re
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from stages.shared import integrity

# Relative to the project's root, from which every stage runs.
PARAMS = Path("params.yaml")

DOWNLOADS = Path("data/downloads")
DOWNLOADS_RECORD = Path("data/downloads.json")  # what each URL held when first fetched
REVIEWS = Path("data/raw/reviews.parquet")
VECTORS = Path("data/raw/vectors")
VECTOR_WORDS = VECTORS / "words.txt"
VECTOR_MATRIX = VECTORS / "matrix.npy"

SEQUENCES = Path("data/sequences")
VOCABULARY = SEQUENCES / "vocabulary.parquet"
BIGRAMS = SEQUENCES / "bigrams.parquet"

EMBEDDINGS = Path("data/embeddings")
MODELS = Path("data/models")
TRAINED_ON = Path("data/trained_on")
PREDICTIONS = Path("data/predictions/test.parquet")
REPORT_TABLES = Path("data/report")

COVERAGE = Path("metrics/coverage.json")
DATA = Path("metrics/data.json")
EVALUATION = Path("metrics/evaluation.json")
TRAINING = Path("metrics/training")
HISTORY = Path("metrics/history.csv")
ROC = Path("metrics/roc.csv")
CONFUSION = Path("metrics/confusion.csv")
FIGURES = Path("metrics/figures")
REPORT = Path("metrics/report.md")
ANSWER = Path("metrics/answer.txt")

# What Keras and matplotlib would keep in the user's home, out of DVC's and Git's sight.
KEPT_BY_KERAS = Path(".dvc/tmp/keras").absolute()
KEPT_BY_MATPLOTLIB = Path(".dvc/tmp/matplotlib").absolute()

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


# How memory that ran out is told by the system, HDF5, zstd, the linker, threads and TensorFlow.
OF_MEMORY = re.compile(
    "cannot allocate memory|memory allocation failed|not enough memory|failed to map segment"
    "|can't start new thread|failed to launch worker thread|resource_?exhausted",
    re.IGNORECASE,
)
# What is secret of a URL: user and password, and what stands in its query.
SECRET = re.compile(r"(?<=:/)(/?)[^/?#\s]*@|(?<=[?&])([^=&#\s]*=)[^&#\s'\"]+")
MEND = ": dvc checkout restores it, dvc repro makes it"
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)
LONGEST_MESSAGE = 290  # characters of an error, "error: " not counted
TO_REMOVE = 1 << 20  # bytes of memory, of which listing a folder alone takes 32 KiB
SMALL, MOST_EXPANSION = 64 << 20, 50  # aclImdb's archive holds 6 times its size


class InputError(Exception):
    """Something the user can mend; the message says what was wrong, where, and what is right."""


def command_line(description: str) -> argparse.ArgumentParser:
    """Make the parser of a module's arguments; its help is the module's own docstring."""
    spec = sys.modules["__main__"].__spec__
    return argparse.ArgumentParser(
        prog=f"python -m {spec.name if spec else 'stages'}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(main: Callable[[], None], description: str | None = None) -> None:
    """Run a stage; what a user can mend ends it with one line and exit status 1.

    A stage that takes no arguments gives its `description`, for --help.
    """
    if description is not None:
        command_line(description).parse_args()
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {shortened(without_secrets(str(error)))}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted")
    except Exception as error:
        if lacks_memory(error):
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            print(f"error: out of memory: {reason}", file=sys.stderr, flush=True)
            os._exit(1)  # to end as usual takes memory too
        if not isinstance(error, OSError) or error.errno not in (*OF_THE_DISK, errno.ENOENT):
            raise
        mend = MEND if error.errno == errno.ENOENT else ""
        sys.exit(f"error: {error.filename or 'the disk'}: {os.strerror(error.errno)}{mend}")


def count_of(n: int, what: str) -> str:
    """Write a number and what it counts, in the plural but for one."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def shortened(text: str, most: int = LONGEST_MESSAGE) -> str:
    """Put a text on one line, and leave out its middle if it is longer than `most` characters."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 2]} … {text[len(text) + 1 - most // 2 :]}"


def without_secrets(text: str) -> str:
    """Cut user, password and the values of a query out of every URL in a message."""
    return SECRET.sub(r"\1\2***", text)


def lacks_memory(error: Exception) -> bool:
    """Tell whether memory ran out."""
    said = f"{type(error).__name__}: {error}"
    return isinstance(error, MemoryError) or OF_MEMORY.search(said) is not None


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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

    What an interrupted run left there is removed first, so nothing stale is ever completed.
    """
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
        del reserve  # removing takes memory too, and it may have run out
        remove(partial)


def check_expansion(path: Path, n_bytes: int) -> None:
    """Raise InputError if a file that holds so many bytes is out to fill memory or disk."""
    if n_bytes > SMALL + MOST_EXPANSION * path.stat().st_size:
        raise InputError(f"{path} holds more than {MOST_EXPANSION} times its size")


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


def split(name: str) -> Path:
    """The folder of a split: its padded sequences and its labels."""
    return SEQUENCES / name


def embedding(vectors: str) -> Path:
    """The initial embedding matrix that starts from `vectors`."""
    return EMBEDDINGS / f"{vectors}.npy"


def model(variant: str) -> Path:
    """The folder of a variant's trained weights."""
    return MODELS / variant


def weights(variant: str, repeat: int) -> Path:
    """The trained weights of one repeat of a variant."""
    return model(variant) / f"repeat_{repeat}.weights.h5"


def unfinished(variant: str) -> Path:
    """The folder where an interrupted training of a variant leaves what it has finished."""
    return Path("data") / f"unfinished-{variant}"


def training(variant: str) -> Path:
    """The history of a variant's training, one row an epoch of a repeat."""
    return TRAINING / f"{variant}.csv"


def trained_on(variant: str) -> Path:
    """What trained a variant last: software and processor."""
    return TRAINED_ON / f"{variant}.json"


def packaged_file(package: str, name: str, sha256: str) -> Path:
    """Find file `name` of an installed package, without importing the package.

    Raises InputError if the package is not installed, lacks the file, or has another content.
    """
    try:
        path = Path(distribution(package).locate_file(name))
    except PackageNotFoundError:
        mend = "pip install -r requirements.txt"
        raise InputError(f"package {package} is not installed: {mend}") from None
    if not path.is_file():
        raise InputError(f"package {package} has no file {name}: reinstall it")
    if (found := sha256_of(path)) != sha256:
        raise InputError(f"{name} of package {package} has SHA-256 {found}, not {sha256}")
    return path
