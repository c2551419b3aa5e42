"""What a user is told when something goes wrong, and how a stage ends: one line, status 1.

No output depends on what is here, so no stage lists it as a dependency.
"""

import argparse
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stages.shared.text import shortened, without_secrets

# What the system, HDF5, zstd, the linker, threads, TensorFlow and pandas say without memory.
OF_MEMORY = re.compile(
    "cannot allocate memory|memory allocation failed|not enough memory|failed to map segment"
    r"|Calling read\(nbytes\) on source failed"
    "|can't start new thread|failed to launch worker thread|resource_?exhausted",
    re.IGNORECASE,
)
MEND = ": dvc checkout restores it, dvc repro makes it"
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)
OF_A_PATH = (errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


class InputError(Exception):
    """Something the user can mend; the message says what was wrong, where, and what is right."""


@contextmanager
def with_key(key: str) -> Iterator[None]:
    """Put a key of params.yaml before the message of an InputError, unless it is there already."""
    try:
        yield
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(key) else f"{key}: {said}") from None


def command_line(description: str) -> argparse.ArgumentParser:
    """Make the parser of a module's arguments; its help is the module's own docstring."""
    spec = sys.modules["__main__"].__spec__
    name = spec.name.removesuffix(".__main__") if spec else "stages"
    return argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(main: Callable[[], None], description: str | None = None) -> None:
    """Run a stage; what a user can mend ends it with one line and exit status 1.

    A stage that takes no arguments gives its `description`, for --help.
    """
    if description is not None:
        command_line(description).parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):  # not every locale has every character
        sys.stdout.reconfigure(errors="backslashreplace")
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
        known = (*OF_THE_DISK, *OF_A_PATH, errno.ENOENT)
        if not isinstance(error, OSError) or error.errno not in known:
            raise
        mend = MEND if error.errno == errno.ENOENT else ""
        place = shortened(str(error.filename or "the disk"))
        sys.exit(f"error: {place}: {os.strerror(error.errno)}{mend}")


def lacks_memory(error: Exception) -> bool:
    """Tell whether memory ran out."""
    said = f"{type(error).__name__}: {error}"
    return isinstance(error, MemoryError) or OF_MEMORY.search(said) is not None
