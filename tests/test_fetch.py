"""fetch: a download arrives whole and as it was before, or is one line that says why not."""

import gzip
import hashlib
import io
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from stages.download import fetch as fetching
from stages.download.fetch import fetch, fetch_zip_member
from stages.download.location import local_copy
from stages.download.vectors import choose_member, vector_file
from stages.shared.artifacts import DOWNLOADS
from stages.shared.errors import InputError
from stages.shared.schema import VectorSource

CONTENT = random.Random(0).randbytes(200_000)
OTHER = random.Random(1).randbytes(200_000)
OURS = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "requests_ca_bundle",
    "curl_ca_bundle",
)


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Site(ThreadingHTTPServer):
    """A server on loopback of one content; `faults` are what is wrong with its next answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.ranges = CONTENT, '"a"', True
        self.longest_range = 10**9
        self.headers: dict[str, str] = {}
        self.faults: list[dict] = []
        self.requests: list[dict] = []
        self.end = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/file.bin"

    def ranges_asked(self) -> list[str | None]:
        return [request["headers"].get("Range") for request in self.requests]

    def sent(self) -> int:
        return sum(request["sent"] for request in self.requests)

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site = self.server
        request = {"path": self.path, "headers": self.headers, "sent": 0, "time": time.monotonic()}
        site.requests.append(request)
        fault = site.faults.pop(0) if site.faults else {}
        if "status" in fault:
            self.send_response(fault["status"])
            for name, value in fault.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            return
        first, last, n_all = 0, len(site.content) - 1, len(site.content)
        version = site.tag or site.headers.get("Last-Modified")
        asked = self.headers.get("Range") if site.ranges else None
        begin, _, end = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        if end and int(end) < int(begin):  # no range, and as if it were not there
            asked = None
        if partial := asked and self.headers.get("If-Range", version) == version:
            first = int(begin)
            last = min(last, int(end or last), first + site.longest_range - 1)
        body = site.content[first : last + 1]
        self.send_response(206 if partial else 200)
        self.send_header("Connection", "close")
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{last}/{n_all}")
        if site.tag:
            self.send_header("ETag", site.tag)
        for name, value in site.headers.items():
            self.send_header(name, value)
        if fault.get("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body) + fault.get("lie", 0)))
        self.end_headers()
        if fault.get("chunked"):
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        try:
            self.wfile.write(body[: fault.get("cut", fault.get("stall"))])
            request["sent"] = len(body[: fault.get("cut", fault.get("stall"))])
        except ConnectionError:
            request["sent"] = -1
        if "stall" in fault or "open" in fault:
            site.end.wait(20)
        self.close_connection = True

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty project, untouched by this machine's settings, and in no time."""
    monkeypatch.chdir(tmp_path)
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    return tmp_path


@pytest.fixture
def site():
    site = Site()
    threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield site
    site.end.set()
    site.shutdown()
    site.server_close()


def files() -> list[str]:
    """What lies in data/downloads/, without the hash before each name."""
    found = DOWNLOADS.glob("[!.]*")  # locks are hidden
    return sorted(path.name.partition("-")[2] for path in found)


def record() -> dict:
    return json.loads(fetching.RECORD.read_text())


def refusal(call, *arguments) -> str:
    """The message with which a call is refused: one line."""
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_downloaded_once_and_recorded(site):
    path = fetch(site.url)
    assert path.read_bytes() == CONTENT
    assert path.parent == DOWNLOADS
    assert files() == ["file.bin"]
    assert record() == {site.url: {"bytes": len(CONTENT), "sha256": sum_of(CONTENT)}}
    assert fetch(site.url) == path
    assert len(site.requests) == 1


def test_an_experiment_shares_the_downloads_of_its_project(site, tmp_path, monkeypatch):
    home, own = Path.cwd(), Path(".dvc/tmp/exps/tmp1")
    own.mkdir(parents=True)
    monkeypatch.chdir(own)
    path = fetch(site.url)
    assert path.parent == home / DOWNLOADS
    assert [*record()] == [site.url]  # Git keeps it, so it is the experiment's own
    monkeypatch.chdir(home)
    assert not fetching.RECORD.exists()
    assert fetch(site.url).samefile(path)


def test_two_urls_that_end_alike_are_two_files_and_the_record_is_sorted(site):
    other = site.url.replace("file.bin", "a/file.bin?of=2")
    assert fetch(site.url) != fetch(other)
    assert list(record()) == sorted(record())
    assert len(record()) == 2


def test_urls_that_differ_in_a_value_of_the_query_are_recorded_apart(site):
    fetching.RECORD.parent.mkdir()
    before = {f"{site.url}?id=***": {"bytes": 1, "sha256": "0" * 64}}  # of an older version
    fetching.RECORD.write_text(json.dumps(before))
    assert fetch(f"{site.url}?id=1").read_bytes() == CONTENT
    site.content, site.tag = OTHER, '"b"'
    assert fetch(f"{site.url}?id=2").read_bytes() == OTHER
    assert len(record()) == 3
    fetch(f"{site.url}?id=1").unlink()
    assert f"as in {fetching.RECORD}" in refusal(fetch, f"{site.url}?id=1")


def test_two_downloads_of_one_url_at_once_are_one(site):
    site.faults = [{"stall": 100_000}]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(fetch, site.url)
        while not site.requests:
            time.sleep(0.01)
        second = pool.submit(fetch, site.url)
        time.sleep(0.3)
        site.end.set()
        assert first.result() == second.result()
    assert site.ranges_asked() == [None, "bytes=100000-"]


def test_what_is_recorded_at_once_is_all_recorded():
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: fetching.record(str(key), 1, "a"), range(100)))
    assert len(record()) == 100


def test_a_file_that_was_damaged_is_downloaded_again(site):
    fetch(site.url).write_bytes(b"damaged")
    assert fetch(site.url).read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_what_was_downloaded_before_is_found_under_the_same_name_by_later_versions():
    url = "https://user:word@example.org/a/b.zip?token=1"
    assert fetching.key_of(url) == "https://example.org/a/b.zip?token=*** (078c45cce02e)"


def test_another_checksum_than_the_given_one_leaves_nothing(site):
    said = refusal(fetch, site.url, "0" * 64)
    assert f"{site.url} has SHA-256 {sum_of(CONTENT)}, not {'0' * 64} as given" in said
    assert files() == []
    assert not fetching.RECORD.exists()


def test_content_that_changed_is_refused_until_the_user_accepts_it(site):
    fetch(site.url)
    before = fetching.RECORD.read_bytes()
    for path in DOWNLOADS.iterdir():
        path.unlink()
    site.content = OTHER
    said = refusal(fetch, site.url)
    assert f"SHA-256 {sum_of(OTHER)}, not {sum_of(CONTENT)} as in data/downloads.json" in said
    assert "remove its entry there or set sha256" in said
    assert files() == []
    assert fetching.RECORD.read_bytes() == before
    assert fetch(site.url, sum_of(OTHER)).read_bytes() == OTHER
    assert record()[site.url]["sha256"] == sum_of(OTHER)
    site.content = CONTENT
    fetching.RECORD.unlink()
    assert fetch(site.url).read_bytes() == CONTENT


def test_a_malformed_record_is_refused(site):
    fetching.RECORD.parent.mkdir()
    for content in ["<<<<<<<", "[]", '{"a": 1}', '{"a": {"bytes": 1}}']:
        fetching.RECORD.write_text(content)
        assert refusal(fetch, site.url).startswith("data/downloads.json is malformed")


@pytest.mark.parametrize("date", [None, "Mon, 01 Jan 2024 00:00:00 GMT"])
def test_a_cut_transfer_goes_on_where_it_was_cut(site, date):
    if date:
        site.tag, site.headers = None, {"Last-Modified": date}
    site.faults = [{"cut": 100_000}]
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None, "bytes=100000-"]
    assert site.requests[1]["headers"]["If-Range"] == (date or '"a"')
    assert site.sent() == len(CONTENT)
    assert files() == ["file.bin"]


def test_a_stalled_transfer_goes_on(site, monkeypatch):
    monkeypatch.setattr(fetching, "READ_TIMEOUT", 0.1)
    monkeypatch.setattr(fetching, "CONNECT_TIMEOUT", 30)
    start = time.monotonic()
    site.faults = [{"stall": 2 * fetching.CHUNK_BYTES + 1}]
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None, f"bytes={2 * fetching.CHUNK_BYTES}-"]
    assert time.monotonic() - start < 20


def test_a_transfer_without_a_length_may_be_cut_too(site):
    site.faults = [{"chunked": True, "cut": 100_000}, {"chunked": True}]
    assert fetch(site.url).read_bytes() == CONTENT
    assert len(site.requests) == 2


@pytest.mark.parametrize(
    ("tag", "ranges", "asked"),
    [
        ('"a"', False, "bytes=100000-"),
        ('W/"a"', True, None),
        (None, True, None),
    ],
    ids=["no ranges", "weak tag", "no tag"],
)
def test_a_transfer_starts_over_where_it_cant_go_on(site, tag, ranges, asked):
    site.tag, site.ranges, site.faults = tag, ranges, [{"cut": 100_000}]
    site.headers = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"} if tag else {}
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None, asked]
    assert site.sent() == len(CONTENT) + 100_000


def interrupted(site: Site, monkeypatch) -> None:
    """Leave 100,000 bytes of a download that was given up."""
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "RETRIES", 0)
        site.faults = [{"cut": 100_000}]
        refusal(fetch, site.url)
    assert files() == ["file.bin.part", "file.bin.part.json"]
    site.requests.clear()


def test_a_transfer_starts_over_where_the_content_has_changed(site, monkeypatch):
    interrupted(site, monkeypatch)
    site.content, site.tag = OTHER, '"b"'
    assert fetch(site.url).read_bytes() == OTHER
    assert site.ranges_asked() == ["bytes=100000-"]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 416},
        {"status": 206, "headers": {"Content-Range": "bytes 0-9/200000", "ETag": '"a"'}},
        {"status": 206, "headers": {"Content-Range": "bytes 100000-199999/200000", "ETag": '"b"'}},
        {"status": 206, "headers": {"Content-Range": "bytes 100000-299999/300000"}},
        {"status": 206},
    ],
    ids=["none", "other bytes", "other tag", "other length", "unsaid"],
)
def test_a_range_that_was_not_asked_for_is_not_appended(site, monkeypatch, fault):
    interrupted(site, monkeypatch)
    site.faults = [fault]
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == ["bytes=100000-", None]


def test_a_part_whose_description_is_damaged_is_not_gone_on_with(site, monkeypatch):
    interrupted(site, monkeypatch)
    for path in DOWNLOADS.glob("*.json"):
        path.write_text('{"tag"')
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None]


def test_a_part_that_was_complete_is_not_downloaded_again(site, monkeypatch):
    interrupted(site, monkeypatch)
    for path in DOWNLOADS.glob("*.part"):
        path.write_bytes(CONTENT)
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.requests == []


def child(code: str) -> subprocess.Popen:
    """Run code that has `fetching` in another process."""
    code = f"from stages.download import fetch as fetching\n{code}"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_download_goes_on_in_another_process(site):
    site.faults = [{"stall": 150_000}]
    process = child(f"fetching.fetch({site.url!r})")
    deadline = time.monotonic() + 20
    while not (arrived := sum(p.stat().st_size for p in DOWNLOADS.glob("*.part"))):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    (part,) = DOWNLOADS.glob("*.part")
    arrived = part.stat().st_size
    assert 0 < arrived < len(CONTENT)
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None, f"bytes={arrived}-"]
    assert files() == ["file.bin"]


def test_a_full_disk_is_named_and_what_has_arrived_is_kept(site):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))"
    call = f"from stages.shared.errors import run; run(lambda: fetching.fetch({site.url!r}))"
    process = child(f"{limit}\n{call}")
    said = process.communicate()[1]
    assert process.returncode == 1
    assert said.count("\n") == 1
    assert "can't be stored in data/downloads: File too large: 50,000 more bytes are need" in said
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None, "bytes=150000-"]


def test_what_cant_be_written_is_named(site):
    Path("data").write_text("")
    said = f"{site.url}: can't be stored in data/downloads: "
    assert refusal(fetch, site.url).startswith(said)
    Path("data").unlink()
    fetching.local(site.url).mkdir(parents=True)
    assert refusal(fetch, site.url).startswith(said)


def test_failures_that_bring_nothing_new_are_final_after_growing_pauses(site, monkeypatch):
    monkeypatch.setattr(fetching, "RETRIES", 3)
    monkeypatch.setattr(fetching, "PAUSE", 0.05)
    site.ranges, site.faults = False, [{"cut": 1000}] * 99
    said = refusal(fetch, site.url)
    assert said.startswith(f"{site.url}: ") and "1000" in said
    times = [request["time"] for request in site.requests]
    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) == 3
    assert pauses[1] >= 0.1 and pauses[2] >= 0.2


def test_failures_do_not_count_while_they_bring_something_new(site, monkeypatch):
    monkeypatch.setattr(fetching, "RETRIES", 1)
    site.faults = [{"cut": 30_000}] * 6
    assert fetch(site.url).read_bytes() == CONTENT
    assert len(site.requests) == 7


def test_a_busy_server_is_asked_again_when_it_says(site):
    site.faults = [{"status": 429, "headers": {"Retry-After": "1"}}]
    assert fetch(site.url).read_bytes() == CONTENT
    first, second = (request["time"] for request in site.requests)
    assert 1 <= second - first < 5


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520])
def test_a_server_in_trouble_is_asked_again(site, monkeypatch, status):
    site.faults = [{"status": status}] * 3
    assert fetch(site.url).read_bytes() == CONTENT
    monkeypatch.setattr(fetching, "RETRIES", 2)
    site.faults = [{"status": status}] * 3
    assert refusal(fetch, f"{site.url}?a").startswith(f"{site.url}?***: HTTP {status} ")
    assert len(site.requests) == 4 + 3


@pytest.mark.parametrize("status", [204, 401, 403, 404, 410])
def test_a_refusal_is_final(site, status):
    site.faults = [{"status": status}]
    assert f"{site.url}: HTTP {status} " in refusal(fetch, site.url)
    assert len(site.requests) == 1


def test_a_body_longer_than_promised_is_refused(site):
    site.faults = [{"lie": -10}]
    assert "more came than the 199,990 bytes that were announced" in refusal(fetch, site.url)
    assert files() == []


@pytest.mark.parametrize("missing", [1, 10])
def test_a_body_shorter_than_promised_is_refused(site, monkeypatch, missing):
    monkeypatch.setattr(fetching, "RETRIES", 2)
    site.tag, site.faults = None, [{"lie": missing}] * 99
    said = f"IncompleteRead(200000 bytes read, {missing} more expected)"
    assert said in refusal(fetch, site.url)
    assert "file.bin" not in files()
    assert len(site.requests) == 3


def test_a_server_that_keeps_the_connection_open_is_no_failure(site, monkeypatch):
    monkeypatch.setattr(fetching, "READ_TIMEOUT", 0.1)
    site.tag, site.faults = None, [{"open": True}]
    assert fetch(site.url).read_bytes() == CONTENT
    assert len(site.requests) == 1


def test_an_empty_file_is_a_file(site):
    site.content = b""
    assert fetch(site.url).read_bytes() == b""


def test_a_compressed_answer_is_kept_as_it_comes(site):
    site.content, site.headers = gzip.compress(CONTENT), {"Content-Encoding": "gzip"}
    site.faults = [{"cut": 100_000}]
    assert fetch(site.url).read_bytes() == site.content
    assert site.requests[0]["headers"]["Accept-Encoding"] == "identity"


def test_redirects_are_followed_to_http_only_and_not_for_ever(site):
    away = {"status": 302, "headers": {"Location": "/elsewhere.bin"}}
    site.faults = [away]
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.requests[1]["path"] == "/elsewhere.bin"
    for location in ["file:///etc/passwd", "ftp://host/secret", "http://[secret"]:
        site.faults = [{"status": 302, "headers": {"Location": location}}]
        said = refusal(fetch, site.url + "?a")
        assert said == (
            f"{site.url}?***: it is, or leads to, what is not a valid http or https address"
        )
    site.requests.clear()
    site.faults = [away] * 99
    assert refusal(fetch, site.url + "?b").endswith("Exceeded 10 redirects.")
    assert len(site.requests) == 11


def test_a_cut_behind_a_redirect_goes_on(site):
    away = {"status": 302, "headers": {"Location": "/elsewhere.bin"}}
    site.faults = [away, {"cut": 100_000}, away]
    assert fetch(site.url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None, None, "bytes=100000-", "bytes=100000-"]


def test_the_proxy_of_the_environment_is_used(site, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:word@127.0.0.1:{site.server_port}")
    assert fetch("http://example.invalid/file.bin").read_bytes() == CONTENT
    assert site.requests[0]["path"] == "http://example.invalid/file.bin"
    assert site.requests[0]["headers"]["Proxy-Authorization"].startswith("Basic ")
    monkeypatch.setenv("http_proxy", f"http://me:word@127.0.0.1:{closed_port()}")
    said = refusal(fetch, "http://example.invalid/other.bin")
    assert said == "http://example.invalid/other.bin: the proxy: Connection refused"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_is_not_there_is_named():
    url = f"http://127.0.0.1:{closed_port()}/file.bin"
    assert refusal(fetch, url) == f"{url}: Connection refused"


def test_certificates_are_checked_against_the_bundle_of_the_environment(site, monkeypatch):
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    name = "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(["openssl", *make.split(), *name.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    site.socket = context.wrap_socket(site.socket, server_side=True)
    url = site.url.replace("http:", "https:")
    assert "certificate verify failed" in refusal(fetch, url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "cert.pem")
    site.faults = [{"cut": 100_000}]
    assert fetch(url).read_bytes() == CONTENT
    assert site.ranges_asked() == [None, "bytes=100000-"]


def test_no_password_and_no_value_of_a_query_is_shown(site, monkeypatch, capfd, caplog):
    monkeypatch.setattr(fetching, "RETRIES", 2)
    url = site.url.replace("//", "//me:word@") + "?key=word&word&id=1#word"
    hidden = site.url.replace("//", "//***@") + "?key=***&***&id=***"
    place = site.url + "?key=***&***&id=***"
    for faults in [
        [{"status": 404}],
        [{"status": 503}] * 9,
        [{"cut": 10}] * 9,
        [{"lie": -1}],
        [{"status": 302, "headers": {"Location": "ftp://word@h"}}],
    ]:
        site.faults, site.ranges = faults, False
        assert refusal(fetch, url).startswith(hidden)
    site.faults = []
    assert refusal(fetch, url, "0" * 64).startswith(place)
    closed = f"http://me:word@127.0.0.1:{closed_port()}/?key=word"
    assert "word" not in refusal(fetch, closed)
    assert "word" not in refusal(fetch, "http://me:wo/word@host/")
    assert "word" not in refusal(fetch_zip_member, url, max)
    assert fetch(url).read_bytes() == CONTENT
    assert site.requests[-1]["headers"]["Authorization"].startswith("Basic ")
    assert site.requests[-1]["path"].endswith("?key=word&word&id=1")
    (recorded,) = record()
    assert re.fullmatch(re.escape(place) + r" \([0-9a-f]{12}\)", recorded)
    assert "word" not in "".join([*files(), *capfd.readouterr(), caplog.text])


def zipped(comment: bytes = b"", last: bytes = CONTENT) -> bytes:
    """A zip of three members, the middle one compressed to about a third, the others stored."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("first.txt", OTHER)
        archive.writestr("middle.txt", CONTENT[:50_000].hex(), zipfile.ZIP_DEFLATED)
        archive.writestr("last.txt", last)
        archive.comment = comment
    return buffer.getvalue()


MIDDLE = CONTENT[:50_000].hex().encode()


def middle(archive: zipfile.ZipFile) -> str:
    assert archive.namelist() == ["first.txt", "middle.txt", "last.txt"]
    return "middle.txt"


@pytest.fixture
def zip_site(site) -> Site:
    site.content, site.url = zipped(), site.url.replace(".bin", ".zip")
    return site


def read(path: Path, member: str = "middle.txt") -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(member)


def span(site: Site, member: str = "middle.txt", after: str = "last.txt") -> tuple[int, int]:
    with zipfile.ZipFile(io.BytesIO(site.content)) as archive:
        return archive.getinfo(member).header_offset, archive.getinfo(after).header_offset


def test_before_the_start_of_a_remote_file_there_is_nothing():
    remote = fetching.Remote("http://a/b.zip", fetching.Version("tag", 10))
    assert remote.seek(-10, io.SEEK_END) == 0
    with pytest.raises(OSError, match="before the start"):
        remote.seek(-1)


def test_only_the_directory_and_one_member_of_a_zip_are_downloaded(zip_site):
    path = fetch_zip_member(zip_site.url, middle)
    assert read(path) == MIDDLE
    start, stop = span(zip_site)
    assert f"bytes={start}-{stop - 1}" in zip_site.ranges_asked()
    assert zip_site.sent() < stop - start + 500
    assert path.stat().st_size == len(zip_site.content)
    assert path.stat().st_blocks * 512 < 3 * (stop - start)
    assert record() == {
        f"{zip_site.url}#middle.txt": {"bytes": len(MIDDLE), "sha256": sum_of(MIDDLE)}
    }
    assert len(files()) == 1


def test_members_of_a_zip_are_downloaded_once_each_and_kept_apart(zip_site):
    first = fetch_zip_member(zip_site.url, lambda archive: archive.namelist()[0])
    second = fetch_zip_member(zip_site.url, middle)
    n_requests = len(zip_site.requests)
    assert fetch_zip_member(zip_site.url, lambda archive: archive.namelist()[0]) == first
    assert fetch_zip_member(zip_site.url, middle) == second
    assert first != second
    assert read(first, "first.txt") == OTHER
    assert len(zip_site.requests) == n_requests


def test_a_damaged_member_is_downloaded_again(zip_site):
    path = fetch_zip_member(zip_site.url, middle)
    with path.open("r+b") as file:
        file.seek(span(zip_site)[0] + 1000)
        file.write(b"damaged")
    assert read(fetch_zip_member(zip_site.url, middle)) == MIDDLE


@pytest.mark.parametrize("member", ["first.txt", "middle.txt", "last.txt"])
def test_a_zip64_and_one_with_a_comment_are_read_too(zip_site, monkeypatch, member):
    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
        patch.setattr(zipfile, "ZIP64_LIMIT", 1000)
        zip_site.content = zipped(b"a comment")
    assert b"PK\x06\x06" in zip_site.content[-500:]
    path = fetch_zip_member(zip_site.url, lambda archive: archive.getinfo(member).filename)
    assert read(path, member) == read(io.BytesIO(zip_site.content), member)


def test_a_member_that_was_cut_goes_on_in_this_call_and_in_a_later_one(zip_site, monkeypatch):
    start, stop = span(zip_site)
    n_small = 4  # requests before the member's: what the server can do, and the directory
    zip_site.faults = [{}] * n_small + [{"cut": 10_000}]
    path = fetch_zip_member(zip_site.url, middle)
    assert f"bytes={start + 10_000}-{stop - 1}" in zip_site.ranges_asked()
    assert read(path) == MIDDLE
    path.unlink()
    monkeypatch.setattr(fetching, "RETRIES", 0)
    zip_site.faults = [{}] * n_small + [{"cut": 20_000}]
    refusal(fetch_zip_member, zip_site.url, middle)
    zip_site.requests.clear()
    assert read(fetch_zip_member(zip_site.url, middle)) == MIDDLE
    assert f"bytes={start + 20_000}-{stop - 1}" in zip_site.ranges_asked()
    assert zip_site.sent() < stop - start - 19_000


def test_a_member_of_a_zip_that_has_changed_starts_over(zip_site, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "RETRIES", 0)
        zip_site.faults = [{}] * 4 + [{"cut": 10_000}]
        refusal(fetch_zip_member, zip_site.url, middle)
    zip_site.content, zip_site.tag = zipped(last=b""), '"b"'
    assert read(fetch_zip_member(zip_site.url, middle)) == MIDDLE
    start, stop = span(zip_site)
    assert zip_site.ranges_asked()[-1] == f"bytes={start}-{stop - 1}"
    assert len(files()) == 1


def test_ranges_may_come_in_shorter_pieces(zip_site):
    start, stop = span(zip_site)
    zip_site.longest_range = 30_000
    assert read(fetch_zip_member(zip_site.url, middle)) == MIDDLE
    assert f"bytes={start + 30_000}-{stop - 1}" in zip_site.ranges_asked()


def test_the_directory_is_asked_for_again_when_it_is_cut(zip_site):
    zip_site.faults = [{}, {"cut": 5}, {}, {}, {"cut": 30}]
    assert read(fetch_zip_member(zip_site.url, middle)) == MIDDLE


def test_a_zip_comes_whole_where_ranges_are_refused(zip_site):
    zip_site.ranges = False
    path = fetch_zip_member(zip_site.url, middle, sum_of(zip_site.content))
    assert path.read_bytes() == zip_site.content
    assert list(record()) == [zip_site.url]
    n_requests = len(zip_site.requests)
    assert fetch_zip_member(zip_site.url, middle) == path
    assert len(zip_site.requests) == n_requests
    path.unlink()
    assert "as given" in refusal(fetch_zip_member, zip_site.url, middle, "0" * 64)
    assert files() == []


def test_a_zip_whose_checksum_is_given_comes_whole_and_is_verified(zip_site):
    zip_site.content = zip_of(**{"a.2d.txt": b"the 1 2\n", "a.3d.txt": b"the 1 2 3\n"})
    choose = partial(choose_member, zip_site.url, 2)
    of = {"source": "glove-text", "path": zip_site.url, "dim": 2, "vocabulary_limit": None}
    asked = VectorSource(**of, sha256=sum_of(zip_site.content))
    assert local_copy("vectors.a", asked, choose).read_bytes() == zip_site.content
    wrong = asked.model_copy(update={"sha256": "0" * 64})
    assert "as given" in refusal(local_copy, "vectors.a", wrong, choose)
    assert files() == []
    open_to_any = asked.model_copy(update={"sha256": None})
    assert read(local_copy("vectors.a", open_to_any, choose), "a.2d.txt") == b"the 1 2\n"


def test_a_zip_comes_whole_where_ranges_are_refused_half_way(zip_site):
    class Fickle(list):
        def pop(self, _):
            zip_site.ranges = len(zip_site.requests) < 5
            return {}

    zip_site.faults = Fickle([{}])
    assert fetch_zip_member(zip_site.url, middle).read_bytes() == zip_site.content
    start, stop = span(zip_site)
    assert zip_site.ranges_asked()[-2:] == [f"bytes={start}-{stop - 1}", None]
    assert files() == ["file.zip"]


@pytest.mark.parametrize("ranges", [True, False])
def test_what_is_no_zip_is_refused(zip_site, ranges):
    zip_site.ranges, zip_site.content = ranges, b"<html>" * 1000
    said = refusal(fetch_zip_member, zip_site.url, middle)
    assert said == f"{zip_site.url} is no zip that can be read: File is not a zip file"


def test_a_member_that_is_corrupt_leaves_nothing(zip_site):
    content = bytearray(zip_site.content)
    content[1000] ^= 1
    zip_site.content = bytes(content)
    said = refusal(fetch_zip_member, zip_site.url, lambda archive: archive.namelist()[0])
    assert "Bad CRC-32 for file 'first.txt'" in said
    assert files() == []
    assert not fetching.RECORD.exists()


def test_a_member_that_changed_is_refused_until_the_user_accepts_it(zip_site):
    fetch_zip_member(zip_site.url, lambda archive: archive.namelist()[2]).unlink()
    before = fetching.RECORD.read_bytes()
    zip_site.content = zipped(last=OTHER)
    said = refusal(fetch_zip_member, zip_site.url, lambda archive: archive.namelist()[2])
    assert said.startswith(
        f"{zip_site.url}#last.txt has SHA-256 {sum_of(OTHER)}, not {sum_of(CONTENT)}"
    )
    assert said.endswith("in data/downloads.json: to accept it, remove its entry there")
    assert fetching.RECORD.read_bytes() == before
    assert files() == []
    fetching.RECORD.unlink()
    assert (
        read(fetch_zip_member(zip_site.url, lambda archive: archive.namelist()[2]), "last.txt")
        == OTHER
    )


def test_what_the_chooser_refuses_is_refused(zip_site):
    def choose(archive: zipfile.ZipFile) -> str:
        raise InputError(f"none of {len(archive.namelist())} will do")

    assert refusal(fetch_zip_member, zip_site.url, choose) == "none of 3 will do"


def zip_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_member_that_only_its_content_tells_is_found_by_ranges(zip_site):
    text = "".join(f"word{n} 0.{n} 0.2\n" for n in range(20_000)).encode()
    model = b"\xba\x16\x4f\x2f" + bytes(3_000_000)
    zip_site.content = zip_of(**{"a.bin": model, "a.vec": text, "README.txt": b"Version 3\n"})
    choose = partial(choose_member, zip_site.url, None)
    path = fetch_zip_member(zip_site.url, choose)
    assert read(path, "a.vec") == text
    assert zip_site.sent() < len(zip_site.content) - 1_000_000
    n_requests = len(zip_site.requests)
    assert fetch_zip_member(zip_site.url, choose) == path
    assert len(zip_site.requests) == n_requests
    assert sum(len(block.words) for block in vector_file(path)) == 20_000


@pytest.mark.parametrize("ranges", [True, False])
def test_a_zip_without_vectors_that_can_be_read_is_refused(zip_site, ranges):
    zip_site.ranges, choose = ranges, partial(choose_member, zip_site.url, None)
    zip_site.content = zip_of(**{"a.txt": b"of words\n", "b": b""})
    path = fetch_zip_member(zip_site.url, choose)  # the only one it can be
    with pytest.raises(InputError, match="line 1: no word with numbers"):
        list(vector_file(path))
    fetching.RECORD.unlink()
    zip_site.content, zip_site.tag = zip_of(**{"a.txt": b"of words\n", "b": b"1"}), '"b"'
    path.unlink()
    said = refusal(fetch_zip_member, zip_site.url, choose)
    assert said.startswith(f"{zip_site.url} holds no vectors: a.txt, line 1: no word with")
    assert (files() == []) == ranges


def test_an_encrypted_member_is_refused_before_it_is_downloaded(zip_site):
    content = bytearray(zip_of(**{"a.txt": bytes(100_000)}))
    content[content.index(b"PK\x01\x02") + 8] = 1
    zip_site.content = bytes(content)
    said = refusal(fetch_zip_member, zip_site.url, partial(choose_member, zip_site.url, None))
    assert said.startswith(f"{zip_site.url}: a.txt is encrypted: unpack it")
    assert zip_site.sent() < 10_000


def test_a_transfer_that_is_cut_while_members_are_looked_into_goes_on(zip_site):
    zip_site.content = zip_of(**{"about": b"words and vectors\n", "a.txt": b"the 1 2\n"})
    for n_before in range(4, 10):
        zip_site.faults = [{}] * n_before + [{"cut": 3}]
        path = fetch_zip_member(zip_site.url, partial(choose_member, zip_site.url, None))
        assert read(path, "a.txt") == b"the 1 2\n"
        assert zip_site.faults == []
        path.unlink()


def test_a_server_in_trouble_while_members_are_looked_into_is_what_is_said(zip_site):
    zip_site.content = zip_of(**{"about": b"words and vectors\n", "a.txt": b"the 1 2\n"})
    zip_site.faults = [{}] * 6 + [{"status": 404}]
    said = refusal(fetch_zip_member, zip_site.url, partial(choose_member, zip_site.url, None))
    assert said == f"{zip_site.url}: HTTP 404 Not Found"
