"""download: every source lands in the same form, and bad input stops it with one line."""

import numpy as np
import pytest

from stages import reviews
from stages.artifacts import InputError
from stages.packages import packaged_file
from tests.conftest import edit_params


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a package that carries one file, data.bin, with content `abc`."""
    info = tmp_path / "carrier-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    (tmp_path / "data.bin").write_bytes(b"abc")
    monkeypatch.syspath_prepend(tmp_path)
    return "carrier"


def test_a_packaged_file_is_taken_only_with_the_expected_checksum(package):
    right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert packaged_file(package, "data.bin", right).read_bytes() == b"abc"
    with pytest.raises(InputError, match=f"SHA-256 {right}, not {'0' * 64}"):
        packaged_file(package, "data.bin", "0" * 64)


def test_a_missing_package_or_file_is_named(package):
    with pytest.raises(InputError, match=r"package carrier has no file other\.bin"):
        packaged_file(package, "other.bin", "")
    with pytest.raises(InputError, match="package no-such-package is not installed"):
        packaged_file("no-such-package", "data.bin", "")


def test_the_package_gives_the_last_fifth_of_each_label_to_test(imdb):
    table = imdb.to_pandas()
    assert table.value_counts(["split", "label"]).to_dict() == {
        ("train", 0): 10_000,
        ("train", 1): 10_000,
        ("test", 0): 2_500,
        ("test", 1): 2_500,
    }
    assert list(reviews.block_split(np.array([0, 1, 0, 1, 0, 0, 0]))) == ["train"] * 6 + ["test"]


@pytest.mark.parametrize(
    ("what", "changes", "said"),
    [
        ("vectors", {"download__vectors__path": "nowhere"}, "vectors.path: there is no nowhere"),
        ("reviews", {"download__reviews__path": "nowhere"}, "reviews.path: there is no nowhere"),
        ("reviews", {"train__samples": -1}, "train.samples is -1"),
    ],
)
def test_a_stage_that_is_refused_says_one_line_and_leaves_nothing(
    make_project, run, tmp_path, what, changes, said
):
    root = make_project(tmp_path)
    edit_params(root, **changes)
    done = run(root, "python", "-m", "stages.download", what, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert [path.name for path in (root / "data").rglob("*") if path.is_file()] == [".gitignore"]


def test_an_interrupted_landing_leaves_no_half_written_output(make_project, run, tmp_path):
    root = make_project(tmp_path)
    (root / "vectors.txt").write_text("a 1 2\n" * 100_000 + "b 1\n")
    edit_params(root, download__vectors__path="vectors.txt")
    done = run(root, "python", "-m", "stages.download", "vectors", check=False)
    assert done.returncode == 1
    assert "vectors.txt, line 100001" in done.stderr
    assert list((root / "data/raw").iterdir()) == []
