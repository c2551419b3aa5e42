"""Files fetched over http(s): each is complete and verified before it takes its name.

What has arrived of a file lies in `<name>.part`, and in `<name>.part.json` which content it is a
part of (the server's entity tag or date, and the length), so a later run goes on where one stopped.
Every failure is an InputError of one line; no password and no value of a query shows in it.
"""

import errno
import hashlib
import io
import json
import logging
import lzma
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import requests
from filelock import BaseFileLock, FileLock
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, ProxyError
from tqdm import tqdm
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

from stages.shared.artifacts import DOWNLOADS_RECORD as RECORD
from stages.shared.artifacts import downloads
from stages.shared.errors import InputError
from stages.shared.files import remove, sha256_of, write_json
from stages.shared.text import without_secrets

CONNECT_TIMEOUT = 15  # seconds
READ_TIMEOUT = 60  # seconds in which not a byte arrives
RETRIES = 5  # in a row that bring nothing new
PAUSE = 1.0  # seconds: none before the first retry, then twice, four times, ... this
LONGEST_PAUSE = 600  # seconds, also if the server asks for more by Retry-After
RETRIED = frozenset({429, *range(500, 600)})
MOST_REDIRECTS = 10
CHUNK_BYTES = 1 << 16  # the most that a stall loses
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
BAD_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
BAD_MEMBER = (EOFError, OSError, RuntimeError, ValueError)  # also: encrypted, unknown compression
URL = re.compile(
    r"(https?://)([^/?#\s]*@)?((?:\[[\da-f:.]+\]|[^/?#:@\[\]\s]+)(?::\d+)?(?:/[^?#\s]*)?)"
    r"(?:\?([^#\s]*))?(?:#\S*)?",
    re.IGNORECASE,
)  # scheme, user and password, host and path, query
logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings show whole URLs


class RangeRefusedError(ProtocolError):
    """The answer to a request for a range of a content is something else."""


class Version(NamedTuple):
    """Which content a server has: a strong validator of it, and its length; None if unknown."""

    tag: str | None = None
    bytes: int | None = None


UNKNOWN = Version()
Found = TypeVar("Found")


def fetch(url: str, sha256: str | None = None) -> Path:
    """Find the content of a URL under data/downloads/, downloading it unless it lies there.

    Its SHA-256 must be `sha256` if given, else the one in data/downloads.json, which learns it
    otherwise. Raises InputError if it differs, or the content can't be had or can't be stored.
    """
    path, key = local(url), key_of(url)

    def attempt() -> Path:
        expected = sha256 or recorded(key)
        if expected and path.is_file() and (found := checksum(path))[1] == expected:
            record(key, *found)
            return path
        receive(url, partial(path), *progress(partial(path)))
        return accept(path, key, *checksum(partial(path)), sha256)

    return persist(url, attempt)


def fetch_zip_member(
    url: str, choose: Callable[[zipfile.ZipFile], str], sha256: str | None = None
) -> Path:
    """Find a zip under data/downloads/ of which the member `choose(archive)` can be read.

    If the server sends ranges of bytes, only the zip's directory and that member are downloaded,
    into a file with holes for the rest, and data/downloads.json has the SHA-256 of the member:
    `sha256`, which is that of the whole zip, is verified only where all of it is downloaded.
    Raises InputError as fetch does, and if there is no zip or the member is corrupt.
    """

    def attempt() -> Path | None:
        try:
            return None if local(url).is_file() else at_hand(url, choose) or by_ranges(url, choose)
        except RangeRefusedError:
            return None

    if path := persist(url, attempt):
        return path
    path = fetch(url, sha256)
    with reading_zip(url), zipfile.ZipFile(path) as archive:
        choose(archive)
    return path


def at_hand(url: str, choose: Callable[[zipfile.ZipFile], str]) -> Path | None:
    """Find the chosen member among those fetched earlier, if it is still what is recorded."""
    for copy in downloads().glob(f"{short_hash(url)}-*"):
        try:
            with reading_zip(url), zipfile.ZipFile(copy) as archive:
                member = choose(archive)
                path = local(url, member)
                known = recorded(f"{key_of(url)}#{member}")
                if path.is_file() and checksum(path, member)[1] == known:
                    return path
        except InputError:
            continue  # a copy that is of no use is no harm: the server has another
    return None


def by_ranges(url: str, choose: Callable[[zipfile.ZipFile], str]) -> Path:
    """Download the directory of a zip and one member; raises RangeRefusedError if that can't be."""
    with request(url, 0, 1) as (_, version):
        remote = Remote(url, version)
    with reading_zip(url), zipfile.ZipFile(remote) as archive:
        member = choose(archive)
        start = archive.getinfo(member).header_offset
        offsets = [archive.start_dir, *(info.header_offset for info in archive.infolist())]
        stop = min(offset for offset in offsets if offset > start)
    path = local(url, member)
    part = partial(path)
    before, position = progress(part)
    if before != version or position < start:
        with storing(url, part, stop - start):
            begin(part, version, start)
        position = start
    receive(url, part, version, position, start, stop)
    with part.open("r+b") as file:
        for offset, piece in remote.pieces.items():
            file.seek(offset)
            file.write(piece)
    try:
        with reading_zip(url):
            found = checksum(part, member)
    except InputError:
        discard(part)
        raise
    return accept(path, f"{key_of(url)}#{member}", *found)


class Remote(io.RawIOBase):
    """A URL's content as a file for zipfile; `pieces` keeps what was read, by its offset."""

    def __init__(self, url: str, version: Version) -> None:
        assert version.bytes is not None  # as of every answer to a request for a range
        self.url, self.version, self.position, self.length = url, version, 0, version.bytes
        self.pieces: dict[int, bytes] = {}

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = (0, self.position, self.length)[whence] + offset
        if position < 0:
            raise OSError("before the start")  # what zipfile expects of a short file
        self.position = position
        return position

    # The supertype takes any Buffer, which Python has a name for from 3.12 on.
    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        start, stop = self.position, min(self.position + len(buffer), self.length)
        if start >= stop:
            return 0
        with request(self.url, start, stop, self.version) as (response, _):
            piece = b"".join(body(response, stop - start))[: stop - start]
        self.pieces[start] = buffer[: len(piece)] = piece
        self.position = stop
        return len(piece)


def persist(url: str, attempt: Callable[[], Found]) -> Found:
    """Repeat `attempt`, after growing pauses, while transfers in it are cut or stall.

    Only those failures count that follow each other without a byte that is new.
    """
    pauses, furthest = retries(), 0
    while True:
        try:
            with storing(url), alone(short_hash(url)):
                return attempt()
        except HTTPError as error:
            arrived = sum(map(size, downloads().glob(f"{short_hash(url)}-*.part")))
            if arrived > furthest:
                pauses, furthest = retries(), arrived
            try:
                pauses = pauses.increment("GET", error=error)
            except MaxRetryError:
                raise InputError(f"{without_secrets(url)}: {reason(error)}") from None
            pauses.sleep()


def retries() -> Retry:
    """Say how often urllib3 tries again, and after which pauses."""
    return Retry(
        RETRIES,
        other=1,  # of TLS or of a proxy's refusal: a certificate does not get better by waiting
        backoff_factor=PAUSE,
        backoff_max=LONGEST_PAUSE,
        retry_after_max=LONGEST_PAUSE,
        status_forcelist=RETRIED,
        raise_on_status=False,
    )


def alone(name: str) -> BaseFileLock:
    """Lock a name: DVC may run the commands of two `dvc repro` at once."""
    downloads().mkdir(parents=True, exist_ok=True)
    return FileLock(downloads() / f".{name}.lock")


def receive(
    url: str, part: Path, version: Version, position: int, start: int = 0, stop: int | None = None
) -> None:
    """Append to `part`, which holds `version` up to `position`, what is missing, by one request.

    That is up to `stop`, or if that is None to the end of the content, which may also come anew.
    Before `start` there is a hole. Raises an HTTPError of urllib3 if the transfer is cut or stalls.
    """
    end = stop or version.bytes
    if end is not None and position >= end:
        return
    try:
        with request(url, position if stop else position or None, stop, version) as (answer, found):
            anew = answer.status_code == 200
            position = 0 if anew else position
            end = stop or found.bytes
            bar = tqdm(
                total=None if end is None else end - start,
                initial=position - start,
                desc=f"fetching {part.stem}",
                unit="B",
                unit_scale=True,
                delay=2,
            )
            with storing(url, part, end), bar:
                if anew:
                    begin(part, found)
                with part.open("ab") as file:
                    for chunk in body(answer, None if end is None else end - position):
                        bar.update(file.write(chunk))
    except RangeRefusedError:
        discard(part)
        raise
    if end is not None and size(part) > end:
        discard(part)
        raise InputError(
            f"{without_secrets(url)}: more came than the {end:,} bytes that were announced"
        )


@contextmanager
def request(
    url: str, first: int | None = None, stop: int | None = None, version: Version = UNKNOWN
) -> Iterator[tuple[requests.Response, Version]]:
    """Yield an answer whose body is still to come, and the version that it carries.

    If `first` is given, only bytes of `version` are asked for, from there to `stop`. Without a
    `stop`, the answer may still be the whole content; all else raises RangeRefusedError.
    """
    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    if first is not None:
        headers["Range"] = f"bytes={first}-{'' if stop is None else stop - 1}"
        headers |= {"If-Range": version.tag} if version.tag else {}
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries()))
        session.max_redirects = MOST_REDIRECTS
        timeouts = (CONNECT_TIMEOUT, READ_TIMEOUT)
        try:
            answer = session.get(url, headers=headers, stream=True, timeout=timeouts)
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise InputError(f"{without_secrets(url)}: {reason(error)}") from None
        with answer:
            if answer.status_code not in (200, 206, 416):
                raise InputError(
                    f"{without_secrets(url)}: HTTP {answer.status_code} {answer.reason}"
                )
            tag = answer.headers.get("ETag", answer.headers.get("Last-Modified"))
            if tag and tag.startswith("W/"):
                tag = None  # RFC 9110, 13.1.5: nothing else may stand in for a weak one
            if answer.status_code == 200 and stop is None:
                yield answer, Version(tag, answer.raw.length_remaining)
                return
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            if answer.status_code != 206 or not span or int(span[1]) != first:
                raise RangeRefusedError("the server does not send the bytes asked for")
            found = Version(tag, int(span[2]))
            if any(a != b and None not in (a, b) for a, b in zip(found, version, strict=True)):
                raise RangeRefusedError("the content changes from request to request")
            yield answer, found


def body(answer: requests.Response, n_bytes: int | None) -> Iterator[bytes]:
    """Yield what an answer carries, as it is, and one byte more if more than `n_bytes` come.

    Raises an HTTPError of urllib3 if less come. To see what is beyond Content-Length, it waits for
    the server to close the connection, or to send nothing for READ_TIMEOUT.
    """
    assert answer.raw._fp is not None  # the body is still to come
    answer.raw._fp.length = None  # else http.client stops at Content-Length
    left = sys.maxsize if n_bytes is None else n_bytes
    try:
        while left >= 0:
            chunk = answer.raw.read(min(CHUNK_BYTES, left) or 1, decode_content=False)
            if not chunk:
                break
            left -= len(chunk)
            yield chunk
    except ReadTimeoutError:
        if left:
            raise
    if n_bytes is not None and left > 0:
        raise ProtocolError(f"the answer ended {left:,} bytes early")


def progress(part: Path) -> tuple[Version, int]:
    """Say which content a part holds and how much of it, nothing if it can't be gone on with."""
    try:
        version = Version(**json.loads(sidecar(part).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return UNKNOWN, 0
    return (version, size(part)) if version.tag and part.is_file() else (UNKNOWN, 0)


def begin(part: Path, version: Version, start: int = 0) -> None:
    """Make a part of a content, with nothing in it but a hole up to `start`."""
    discard(part)
    write_json(sidecar(part), version._asdict())
    with part.open("wb") as file:
        file.truncate(start)


def discard(part: Path) -> None:
    """Remove a part and what is known of it, in this order: a kill between leaves no part."""
    remove(part)
    remove(sidecar(part))


def accept(path: Path, key: str, n_bytes: int, found: str, given: str | None = None) -> Path:
    """Let a complete part whose SHA-256 is `found` take its name, and record the sum.

    If another sum is given, or recorded and none given, raises InputError and leaves nothing.
    """
    expected = given or recorded(key) or found
    if found != expected:
        discard(partial(path))
        remove(path)
        mend = f"in {RECORD}: to accept it, remove its entry there"
        mend += "" if "#" in key else " or set sha256"  # which no member of a zip has
        raise InputError(
            f"{key} has SHA-256 {found}, not {expected} as {'given' if given else mend}"
        )
    record(key, n_bytes, found)
    partial(path).replace(path)
    discard(partial(path))
    return path


def records() -> dict[str, dict]:
    """Read data/downloads.json: of each URL, or `<URL>#<member>`, the bytes and the sha256."""
    try:
        entries = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else {}
        return {key: {"bytes": e["bytes"], "sha256": e["sha256"]} for key, e in entries.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{RECORD} is malformed: git checkout restores it") from None


def recorded(key: str) -> str | None:
    return records().get(key, {}).get("sha256")


def record(key: str, n_bytes: int, sha256: str) -> None:
    with alone("record"):
        entries = records()
        if recorded(key) != sha256:
            entries[key] = {"bytes": n_bytes, "sha256": sha256}
            write_json(RECORD, dict(sorted(entries.items())))


def checksum(path: Path, member: str | None = None) -> tuple[int, str]:
    """Compute length and SHA-256 of a file, or of a member of a zip, whose CRC is checked too."""
    if member is None:
        return size(path), sha256_of(path)
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        # What the stub calls IO[bytes] is a ZipExtFile, which has readinto.
        found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        return archive.getinfo(member).file_size, found


@contextmanager
def reading_zip(url: str) -> Iterator[None]:
    """Turn what zipfile raises of wrong content into an InputError."""
    try:
        yield
    except (*BAD_ZIP, *BAD_MEMBER) as error:
        raise InputError(f"{without_secrets(url)} is no zip that can be read: {error}") from None


@contextmanager
def storing(url: str, part: Path | None = None, end: int | None = None) -> Iterator[None]:
    """Turn the failure to write into an InputError; of a full disk it says what it lacks."""
    try:
        yield
    except OSError as error:
        what = f"can't be stored in {downloads()}: {error.strerror or error}"
        if error.errno in FULL_DISK and part and end:
            what += f": {end - size(part):,} more bytes are needed; what has arrived is kept"
        raise InputError(f"{without_secrets(url)}: {what}") from None


def reason(error: BaseException) -> str:
    """Say on one line what is behind an error of requests or urllib3, without its URL."""
    if isinstance(error, ValueError) and not isinstance(error, InvalidHeader):
        return "it is, or leads to, what is not a valid http or https address"
    by = "the proxy: " if isinstance(error, ProxyError) else ""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return by + " ".join(str(getattr(error, "strerror", None) or error).split())


def key_of(url: str) -> str:
    """Name a URL in the record: without its secrets, of a query with a hash in their place."""
    key = without_secrets(url).replace("***@", "")
    return f"{key} ({short_hash(url)})" if split_url(url)[3] else key


def local(url: str, member: str | None = None) -> Path:
    """Name the file for a URL, or for a zip of which only a member is fetched."""
    name = re.sub(r"[^\w.-]", "_", split_url(url)[2].rpartition("/")[2])[-100:]
    return downloads() / "-".join([short_hash(url), *([hashed(member)] if member else []), name])


def split_url(url: str) -> tuple[str, str | None, str, str | None]:
    """Split a URL into its scheme, user and password, host and path, and query."""
    if not (found := URL.fullmatch(url)):
        raise InputError("an address to download from is no valid http or https URL")
    scheme, user, place, query = found.groups()
    return scheme, user, place, query


def short_hash(url: str) -> str:
    scheme, _, place, query = split_url(url)
    return hashed(f"{scheme}{place}?{query or ''}")


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def partial(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def sidecar(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
