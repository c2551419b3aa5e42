"""User, password and token of a URL stay where the user wrote them."""

import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.conftest import edit_params
from tests.test_pipeline import ran

SECRET = "confidential"
pytestmark = pytest.mark.slow


@pytest.fixture
def address(aclimdb, tmp_path) -> str:
    """Where a server on loopback has the texts, behind //."""
    folder = tmp_path / "served"
    folder.mkdir()
    archive = ["tar", "-czf", str(folder / "reviews.tar.gz"), "-C", str(aclimdb.parent), "aclImdb"]
    subprocess.run(archive, check=True)
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/reviews.tar.gz"
        server.shutdown()


def test_no_output_no_report_and_no_message_has_a_secret(reproduced, run, address, tmp_path):
    root = shutil.copytree(reproduced, tmp_path / "copy")
    url = f"http://me:{SECRET}@{address}?token={SECRET}"
    edit_params(root, download__texts__path=url)
    done = run(root, "dvc", "repro")
    assert ran(done) == ["download", "evaluate", "report"]
    assert SECRET not in done.stdout + done.stderr
    assert f"http://{address}?token=***" in (root / "data/downloads.json").read_text()
    assert address in (root / "metrics/report.md").read_text()
    files = [path for path in root.rglob("*") if path.is_file() and ".dvc" not in path.parts]
    told = {path.name for path in files if SECRET in path.read_bytes().decode("latin-1")}
    assert told == {"params.yaml", "dvc.lock"}  # what DVC compares with is what the user wrote

    for path in (
        f"ftp://me:{SECRET}@{address}",
        [url],
        f"http://me:{SECRET}@{address}.not?token={SECRET}",
    ):
        edit_params(root, download__texts__path=path)
        done = run(root, "python", "-m", "stages.download", check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert SECRET not in done.stdout + done.stderr
