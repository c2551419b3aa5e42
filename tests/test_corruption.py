"""A bit that turns over where it is stored, in data/ or in DVC's cache: nothing computes on it."""

import os
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import edit_params
from tests.test_pipeline import changed_stages, content

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(reproduced, tmp_path) -> Path:
    """The reproduced project, its cache and its Git history, in a folder of its own."""
    return shutil.copytree(reproduced, tmp_path / "copy")


def flip(path: Path) -> None:
    """Turn a bit over as a failing disk does: time, size and permissions stay."""
    was, whole = path.stat(), bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(whole)
    path.chmod(was.st_mode)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def refusal(run, root: Path, stage: str) -> str:
    """Let DVC run a stage that must refuse its input; returns the command in its message."""
    done = run(root, "dvc", "repro", "--single-item", stage, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    [said] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "is not what was written there" in said
    assert f"failed to reproduce '{stage}'" in done.stderr
    return said.split(": ")[-1].split(",")[0]


def test_dvc_sees_what_was_changed_in_data_and_restores_it(copy, run):
    before = content(copy)
    made = [path for path in (copy / "data").glob("*/**/*") if path.is_file() and path.suffix]
    outputs = [path for path in made if path.parent.name != "trained_on"]  # which is Git's
    for path in outputs:
        flip(path)
        os.utime(path)
    stages = {"download", "vectors@glove", "tokenize", "embed", "predict", "evaluate", "report"}
    trained = {f"train@{variant}" for variant in ("learned", "pretrained", "finetuned", "tfidf")}
    assert changed_stages(run, copy) == stages | trained
    run(copy, "dvc", "repro")
    assert content(copy) == before


@pytest.mark.parametrize(
    ("output", "file"),
    [
        ("data/embeddings", "data/embeddings/glove.npy"),
        ("data/sequences/train", "data/sequences/train/sequences.npy"),
    ],
)
def test_what_a_damaged_cache_hands_out_is_refused_and_how_it_is_mended_is_said(
    copy, run, output, file
):
    before = content(copy)
    for path in (copy / ".dvc/cache/files/md5").glob("*/*"):
        if path.read_bytes() == before[file]:
            flip(path)
    shutil.rmtree(copy / output) if output != file else (copy / output).unlink()
    run(copy, "dvc", "checkout")
    assert content(copy)[file] != before[file]  # DVC hands it out, and finds nothing wrong with it
    assert "up to date" in run(copy, "dvc", "status").stdout

    edit_params(copy, train__epochs=1)
    mend = refusal(run, copy, "train@pretrained")
    assert content(copy).keys() <= before.keys()
    run(copy, *shlex.split(mend))
    edit_params(copy, train__epochs=2)
    run(copy, "dvc", "repro")
    assert content(copy) == before


def test_what_turned_over_in_data_alone_is_refused_and_comes_back_from_the_cache(copy, run):
    before = content(copy)
    run(copy, "dvc", "status")  # in this folder, it sees the files for the first time
    flip(copy / "data/raw/texts.parquet")
    assert "up to date" in run(copy, "dvc", "status").stdout  # DVC goes by size and time
    edit_params(copy, tokenize__maxlen=10)
    mend = refusal(run, copy, "tokenize")
    run(copy, *shlex.split(mend))
    edit_params(copy, tokenize__maxlen=20)
    run(copy, "dvc", "repro")
    assert content(copy) == before


def test_a_remote_that_is_told_to_verify_does_not_hand_out_what_is_damaged(copy, run, tmp_path):
    run(copy, "dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    run(copy, "dvc", "remote", "modify", "storage", "verify", "true")
    run(copy, "dvc", "push")
    vectors = copy / "data/embeddings/glove.npy"
    for path in (tmp_path / "storage").rglob("*"):
        if path.is_file() and path.read_bytes() == vectors.read_bytes():
            flip(path)
    shutil.rmtree(copy / ".dvc/cache")
    vectors.unlink()
    done = run(copy, "dvc", "pull", check=False)
    assert done.returncode != 0
    assert "Checkout failed for following targets:\ndata/embeddings" in done.stderr
    assert not vectors.exists()
