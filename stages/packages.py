"""Files that an installed package carries, taken only if they are the very file expected."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from stages.artifacts import InputError, sha256_of


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
