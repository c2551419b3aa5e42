"""Where what a source names lies on this machine, fetched first if it is a URL."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

from stages.shared import artifacts
from stages.shared.errors import InputError
from stages.shared.files import exists, sha256_of
from stages.shared.schema import Source


def local_copy(
    key: str, source: Source, choose: Callable[[ZipFile], str] | None = None
) -> Path | None:
    """Find what a source names: fetch it if it is a URL, and check its SHA-256 where one is given.

    `key` is its place below `download`; of a zip, `choose` says which member is fetched, but if
    `sha256` is given it is that of the whole zip, so all of it is. Raises InputError if there is
    nothing, or something else than `sha256` asks for.
    """
    if source.location is None:
        return None
    if source.is_url:
        from stages.download.fetch import fetch, fetch_zip_member

        if choose and not source.sha256 and source.location.endswith(".zip"):
            return fetch_zip_member(source.location, choose, source.checksum)
        return fetch(source.location, source.checksum)
    path = at_home(Path(source.location))
    if not exists(path):
        is_relative = not Path(source.location).is_absolute()
        looked = f", looked for at {path.absolute()}" if is_relative else ""
        raise InputError(
            f"download.{key}.path: there is no {source.location}{looked}; an absolute path always"
            " works"
        )
    if source.sha256 and path.is_dir():
        raise InputError(
            f"download.{key}.sha256 is of a file, but {path} is a folder: set it to null"
        )
    if source.sha256 and (found := sha256_of(path)) != source.sha256:
        raise InputError(f"download.{key}.sha256: {path} has SHA-256 {found}, not {source.sha256}")
    return path


def at_home(path: Path) -> Path:
    """Find a relative path where the stage runs, or where its experiment's project lies."""
    return path if exists(path) else artifacts.home() / path
