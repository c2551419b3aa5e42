"""Every stage, disturbed: it says so in one line, leaves nothing behind, and the next run mends it.

tests/README.md has the table. Faults of the disk are real file systems, mounted in a namespace of
the test's own; where the system does not allow that, these tests are skipped.
"""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import edit_params
from tests.test_pipeline import ran

STAGES = {
    "download": ("download", "reviews"),
    "tokenize": ("tokenize_pad",),
    "embed": ("build_embedding",),
    "train": ("train", "learned"),
    "evaluate": ("evaluate",),
}
# Put on PYTHONPATH, it ends a stage when that is about to give its first output its name.
AT_THE_FIRST_OUTPUT = """
import os, sys
from pathlib import Path
if "stages.{module}" in sys.orig_argv:
    Path.replace = lambda self, target: os.kill(os.getpid(), {signal})
"""
CAN_MOUNT = not subprocess.call(
    ["unshare", "--map-root-user", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
    stderr=subprocess.DEVNULL,
) if shutil.which("unshare") else False  # fmt: skip
needs_mount = pytest.mark.skipif(not CAN_MOUNT, reason="no namespace to mount a file system in")
pytestmark = pytest.mark.slow
each_stage = pytest.mark.parametrize("stage", STAGES)


@pytest.fixture(scope="module")
def project(reproduced, tmp_path_factory) -> Path:
    """A project that has run, whose stages are disturbed one after the other."""
    return shutil.copytree(reproduced, tmp_path_factory.mktemp("faults") / "project")


def content(root: Path) -> dict[str, bytes]:
    """Every file of data/ and metrics/, so also one that should not have been left."""
    files = (path for folder in ("data", "metrics") for path in (root / folder).rglob("*"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.is_file()}


def command_of(stage: str) -> str:
    module, *arguments = STAGES[stage]
    return " ".join(["python", "-m", f"stages.{module}", *arguments])


def in_namespace(script: str) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", "bash", "-euc", script]


def assert_one_line(done: subprocess.CompletedProcess, *said: str) -> None:
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if "%|" not in line]
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("error: ")
    assert all(part in lines[-1] for part in said), lines[-1]


def assert_mended(project: Path, run, stage: str, before: dict[str, bytes]) -> None:
    run(project, "python", "-m", f"stages.{STAGES[stage][0]}", *STAGES[stage][1:])
    assert content(project) == before


@pytest.fixture
def end_in_the_middle(monkeypatch, tmp_path):
    """Makes a stage get a signal in the middle of its work, whoever starts it."""

    def arm(stage: str, sign: signal.Signals) -> None:
        program = AT_THE_FIRST_OUTPUT.format(module=STAGES[stage][0], signal=int(sign))
        (tmp_path / "sitecustomize.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    yield arm
    monkeypatch.delenv("PYTHONPATH", raising=False)


def forget(project: Path, name: str) -> None:
    """Make DVC run a stage as if for the first time."""
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    del lock["stages"][name]
    (project / "dvc.lock").write_text(yaml.safe_dump(lock))
    shutil.rmtree(project / ".dvc/cache/runs", ignore_errors=True)


def name_for_dvc(stage: str) -> str:
    return "@".join([stage, *STAGES[stage][1:]])


@each_stage
def test_a_stage_that_is_killed_leaves_no_half_and_is_run_again(
    project, run, stage, end_in_the_middle, monkeypatch
):
    before, name = content(project), name_for_dvc(stage)
    forget(project, name)
    end_in_the_middle(stage, signal.SIGKILL)
    done = run(project, "dvc", "repro", "--single-item", name, check=False)
    assert done.returncode != 0
    left = content(project)
    assert {path: left[path] for path in before if path in left}.items() <= before.items()
    monkeypatch.delenv("PYTHONPATH")
    assert name in ran(run(project, "dvc", "repro"))
    assert content(project) == before


@each_stage
def test_a_stage_that_is_interrupted_says_so_and_leaves_nothing(
    project, run, stage, end_in_the_middle, monkeypatch
):
    before = content(project)
    end_in_the_middle(stage, signal.SIGINT)
    module, *arguments = STAGES[stage]
    done = run(project, "python", "-m", f"stages.{module}", *arguments, check=False)
    assert_one_line(done, "interrupted")
    left = {path for path in content(project).keys() - before.keys() if "unfinished-" not in path}
    assert left == set()
    monkeypatch.delenv("PYTHONPATH")
    assert_mended(project, run, stage, before)


@needs_mount
@each_stage
def test_a_full_disk_is_said_in_one_line(project, run, stage):
    before = content(project)
    script = f"""
        for folder in data metrics; do
            size=$(du --apparent-size --block-size=1 -s $folder | cut -f1)
            cp -a $folder /tmp/full-$$ && mount -t tmpfs -o size=$((size + 65536)) tmpfs $folder
            cp -a /tmp/full-$$/. $folder && rm -r /tmp/full-$$
            head -c 1G /dev/zero > $folder/filler 2> /dev/null || true
        done
        {command_of(stage)}
    """
    assert_one_line(run(project, *in_namespace(script), check=False), "No space left on device")
    assert content(project) == before
    assert_mended(project, run, stage, before)


@needs_mount
@each_stage
def test_a_folder_that_is_read_only_is_said_in_one_line(project, run, stage):
    before = content(project)
    script = f"""
        for folder in data metrics; do
            mount --bind $folder $folder && mount -o remount,bind,ro $folder
        done
        {command_of(stage)}
    """
    assert_one_line(run(project, *in_namespace(script), check=False), "Read-only file system")
    assert content(project) == before


def test_two_runs_at_once_do_no_damage(project, run):
    before = content(project)
    edit_params(project, train__epochs=3)
    commands = [
        subprocess.Popen(["dvc", "repro"], cwd=project, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]  # fmt: skip
    outputs = [command.communicate()[0] for command in commands]
    assert 0 in [command.returncode for command in commands]
    for command, said in zip(commands, outputs, strict=True):
        assert command.returncode == 0 or "lock" in said
        assert "Traceback" not in said
    assert "up to date" in run(project, "dvc", "repro").stdout
    edit_params(project, train__epochs=2)
    run(project, "dvc", "repro")
    assert content(project) == before


@needs_mount
def test_the_default_pipeline_needs_no_network(make_project, run, tmp_path):
    root = make_project(tmp_path / "offline")
    for kind, source in (("reviews", "imdb-package"), ("vectors", "glove-package")):
        edit_params(root, **{f"download__{kind}__source": source, f"download__{kind}__path": None})
    run(root, "dvc", "init", "--no-scm", "--force")
    done = run(root, "unshare", "--map-root-user", "--net", "dvc", "repro")
    assert "evaluate" in ran(done)
