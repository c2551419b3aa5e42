"""Training that is interrupted goes on from the last finished repeat, to the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.shared import artifacts
from tests.conftest import PATIENCE, edit_params

REPEATS = 6
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def run(run_alone):
    """Each program a process of its own, as a user has it."""
    return run_alone


@pytest.fixture(scope="module")
def long(reproduced, tmp_path_factory) -> Path:
    """A project whose training takes a while, with the matrices and sequences it needs."""
    root = shutil.copytree(reproduced, tmp_path_factory.mktemp("interrupted") / "long")
    edit_params(root, train__repeats=REPEATS, train__epochs=600)
    return root


def outputs(root: Path) -> dict[str, bytes]:
    files = [*(root / artifacts.model("learned")).iterdir(), root / artifacts.training("learned")]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def undisturbed(long, run) -> dict[str, bytes]:
    run(long, "python", "-m", "stages.train", "learned")
    assert not (long / artifacts.unfinished("learned")).exists()
    return outputs(long)


def interrupt(root: Path, sign: signal.Signals) -> subprocess.CompletedProcess:
    """Train, and send a signal as soon as two repeats are finished."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train", "learned"], cwd=root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )  # fmt: skip
    folder = root / artifacts.unfinished("learned")
    deadline = time.monotonic() + PATIENCE
    while len([*folder.glob("repeat_?.sha256")]) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(sign)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_an_interrupted_training_goes_on_and_gives_the_same_bytes(long, undisturbed, run, sign):
    done = interrupt(long, sign)
    if sign == signal.SIGINT:
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == "error: interrupted"
        assert "Traceback" not in done.stderr
    left = len([*(long / artifacts.unfinished("learned")).glob("repeat_?.sha256")])
    assert 2 <= left < REPEATS
    done = run(long, "python", "-m", "stages.train", "learned")
    assert f"{left} of {REPEATS} repeats were finished before: going on" in done.stdout
    assert outputs(long) == undisturbed
    assert not (long / artifacts.unfinished("learned")).exists()


def test_what_another_run_left_unfinished_is_not_gone_on_from(long, undisturbed, run):
    interrupt(long, signal.SIGKILL)
    edit_params(long, train__learning_rate=0.002, train__epochs=2)
    done = run(long, "python", "-m", "stages.train", "learned")
    edit_params(long, train__learning_rate=0.001, train__epochs=600)
    assert "finished before" not in done.stdout
    assert outputs(long).keys() == undisturbed.keys()
    assert outputs(long) != undisturbed


def test_a_finished_repeat_that_the_disk_has_damaged_is_trained_again(long, undisturbed, run):
    interrupt(long, signal.SIGKILL)
    weights = long / artifacts.unfinished("learned") / artifacts.weights("learned", 0).name
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    left = len([*weights.parent.glob("repeat_?.sha256")])
    done = run(long, "python", "-m", "stages.train", "learned")
    assert f"{left - 1} of {REPEATS} repeats were finished before" in done.stdout
    assert outputs(long) == undisturbed
