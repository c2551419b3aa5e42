"""What DVC's cache holds is found damaged, file by file."""

import hashlib
import json
from pathlib import Path

import pytest

from stages.shared import integrity


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Puts a content into a cache, under the MD5 of another if one is given."""
    monkeypatch.setattr(integrity, "cache_folder", lambda: tmp_path)

    def put(content: bytes, of: bytes | None = None, kind: str = "") -> tuple[str, Path]:
        md5 = hashlib.md5(content if of is None else of).hexdigest() + kind
        path = tmp_path / "files/md5" / md5[:2] / md5[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return md5, path

    return put


def test_a_damaged_file_of_the_cache_is_found_and_a_whole_or_missing_one_is_not(cached):
    whole, _ = cached(b"whole")
    damaged, path = cached(b"damaged", of=b"before")
    assert integrity.damaged_in_cache(whole) == []
    assert integrity.damaged_in_cache(damaged) == [path]
    assert integrity.damaged_in_cache("0" * 32) == []


def test_of_a_folder_in_the_cache_its_damaged_files_are_found(cached):
    listed = [cached(b"whole"), cached(b"damaged", of=b"before"), cached(b"too", of=b"this")]
    listing = [{"md5": md5, "relpath": str(n)} for n, (md5, _) in enumerate(listed)]
    folder, _ = cached(json.dumps(listing).encode(), kind=".dir")
    assert integrity.damaged_in_cache(folder) == [path for _, path in listed[1:]]


def test_of_a_folder_whose_list_is_damaged_the_list_is_found(cached):
    folder, path = cached(b"[", of=b"[]", kind=".dir")
    assert integrity.damaged_in_cache(folder) == [path]
