"""What installed packages carry, and what an archive may hold."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from stages.shared.errors import InputError
from stages.shared.files import sha256_of

SMALL, MOST_EXPANSION = 64 << 20, 50  # aclImdb's archive holds 6 times its size


def packaged_file(package: str, name: str, sha256: str) -> Path:
    """Find file `name` of an installed package, without importing the package.

    Raises InputError if the package is not installed, lacks the file, or has another content.
    """
    try:
        path = Path(str(distribution(package).locate_file(name)))
    except PackageNotFoundError:
        mend = "pip install -r requirements.txt"
        raise InputError(f"package {package} is not installed: {mend}") from None
    if not path.is_file():
        raise InputError(f"package {package} has no file {name}: reinstall it")
    if (found := sha256_of(path)) != sha256:
        raise InputError(f"{name} of package {package} has SHA-256 {found}, not {sha256}")
    return path


def check_expansion(path: Path, n_bytes: int) -> None:
    """Raise InputError if a file unpacks to so many bytes that it may fill memory or disk."""
    if n_bytes > SMALL + MOST_EXPANSION * path.stat().st_size:
        raise InputError(f"{path} holds more than {MOST_EXPANSION} times its size")
