"""Every stage, disturbed: it says so in one line, leaves nothing behind, and the next run mends it.

tests/README.md has the table. Faults of the disk are real file systems, mounted in a namespace of
the test's own; where the system does not allow that, these tests are skipped.
"""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT, edit_params
from tests.test_pipeline import content, ran

MODULES = {  # of DVC's stages
    "download": "download",
    "vectors@glove": "download",
    "tokenize": "tokenize",
    "embed": "embed",
    "train@learned": "train",
    "predict": "predict",
    "evaluate": "evaluate",
    "report": "report",
}
# Each of these, put on PYTHONPATH as sitecustomize, disturbs a stage at a certain moment. It ends
# when it is about to give its first output its name.
AT_THE_FIRST_OUTPUT = """
import os, sys
from pathlib import Path
if "stages.{module}" in sys.orig_argv:
    Path.replace = lambda self, target: os.kill(os.getpid(), {signal})
"""
# It gets no more than {spare} KiB of memory: from when it has read params.yaml, with all imported,
# or from when it begins to write its first output.
NO_MORE_MEMORY = """
import resource, sys
from pathlib import Path
name, method = {moment}
before, armed = getattr(Path, method), []
def and_then_no_more(self, *arguments, **options):
    result = before(self, *arguments, **options)
    if name in (self.name, result.name if isinstance(result, Path) else "") and not armed:
        armed.append(True)
        with open("/proc/self/statm") as pages:
            size = int(pages.read().split()[0]) * resource.getpagesize() + ({spare} << 10)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    return result
if "stages.{module}" in sys.orig_argv:
    setattr(Path, method, and_then_no_more)
"""
ONCE_IT_HAS_BEGUN = ("params.yaml", "read_text")
# Memory runs out to the last byte while an output is written.
NO_MEMORY_AT_ALL = """
import resource
from pathlib import Path
from stages.shared.errors import run
from stages.shared.files import whole
def main():
    with whole(Path("output")) as folder:
        folder.mkdir()
        (folder / "part").touch()
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
        taken = []
        for size in 1 << 20, 1 << 14, 1 << 10:
            try:
                while True:
                    taken.append(bytearray(size))
            except MemoryError:
                pass
        raise MemoryError
run(main)
"""
# A file vanishes once it opens another one.
VANISHING = """
import os, sys
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("{opened}") and os.path.exists("{path}"):
        os.rename("{path}", "{path}.away")
if "stages.{module}" in sys.orig_argv:
    sys.addaudithook(hook)
"""
CAN_MOUNT = not subprocess.call(
    ["unshare", "--map-root-user", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
    stderr=subprocess.DEVNULL,
) if shutil.which("unshare") else False  # fmt: skip
needs_mount = pytest.mark.skipif(not CAN_MOUNT, reason="no namespace to mount a file system in")
needs_limit = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="no size of a process to limit"
)
pytestmark = pytest.mark.slow
each_stage = pytest.mark.parametrize("stage", MODULES)


@pytest.fixture(scope="session")
def run(run_alone):
    """Each program a process of its own, as a user has it."""
    return run_alone


@pytest.fixture(scope="module")
def project(reproduced, tmp_path_factory) -> Path:
    """A project that has run, whose stages are disturbed one after the other."""
    return shutil.copytree(reproduced, tmp_path_factory.mktemp("faults") / "project")


def command_of(stage: str) -> str:
    return f"python -m stages.{MODULES[stage]} {stage.partition('@')[2]}".rstrip()


def in_namespace(script: str) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", "bash", "-euc", script]


def assert_one_line(done: subprocess.CompletedProcess, *said: str) -> None:
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if "%|" not in line]
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("error: ")
    assert all(part in lines[-1] for part in said), lines[-1]


def run_by_hand(project: Path, run, stage: str) -> subprocess.CompletedProcess:
    return run(project, *command_of(stage).split(), check=False)


def finished(project: Path) -> dict[str, bytes]:
    """The content of a project without the repeats that wait for a training to go on."""
    return {k: v for k, v in content(project).items() if "unfinished-" not in k}


def assert_mended(project: Path, run, stage: str, before: dict[str, bytes]) -> None:
    assert run_by_hand(project, run, stage).returncode == 0
    assert content(project) == before


def assert_dvc_mends_what_fails(project: Path, run, stage: str, monkeypatch) -> None:
    """With a fault on PYTHONPATH, let DVC run a stage, which must fail; without it, run all."""
    before = content(project)
    forget(project, stage)
    done = run(project, "dvc", "repro", "--single-item", stage, check=False)
    assert done.returncode != 0
    assert f"failed to reproduce '{stage}'" in done.stderr
    left = content(project)
    assert {path: left[path] for path in before if path in left}.items() <= before.items()
    monkeypatch.delenv("PYTHONPATH")
    assert stage in ran(run(project, "dvc", "repro"))
    assert content(project) == before


@pytest.fixture
def disturb(monkeypatch, tmp_path):
    """Makes something happen in the middle of a stage, whoever starts it."""

    def arm(stage: str, program: str, **details: object) -> None:
        program = program.format(module=MODULES[stage], **details)
        (tmp_path / "sitecustomize.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return arm


def forget(project: Path, stage: str) -> None:
    """Make DVC run a stage as if for the first time."""
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    del lock["stages"][stage]
    (project / "dvc.lock").write_text(yaml.safe_dump(lock))
    shutil.rmtree(project / ".dvc/cache/runs", ignore_errors=True)


@each_stage
def test_a_stage_that_is_killed_leaves_no_half_and_is_run_again(
    project, run, stage, disturb, monkeypatch
):
    disturb(stage, AT_THE_FIRST_OUTPUT, signal=int(signal.SIGKILL))
    assert_dvc_mends_what_fails(project, run, stage, monkeypatch)


@each_stage
def test_a_stage_that_is_interrupted_says_so_and_leaves_nothing(
    project, run, stage, disturb, monkeypatch
):
    before = content(project)
    disturb(stage, AT_THE_FIRST_OUTPUT, signal=int(signal.SIGINT))
    assert_one_line(run_by_hand(project, run, stage), "interrupted")
    assert finished(project).items() <= before.items()
    monkeypatch.delenv("PYTHONPATH")
    assert_mended(project, run, stage, before)


@needs_limit
@each_stage
def test_memory_that_runs_out_is_said_in_one_line(project, run, stage, disturb, monkeypatch):
    before = content(project)
    first = {
        "download": "texts.parquet", "vectors@glove": "glove", "tokenize": "train",
        "embed": "embeddings", "train@learned": "repeat_0.csv", "predict": "test.parquet",
        "evaluate": "history.csv", "report": "figures",
    }  # fmt: skip
    output = (first[stage] + ".partial", "with_name")
    for moment in ONCE_IT_HAS_BEGUN, output:
        disturb(stage, NO_MORE_MEMORY, moment=moment, spare=0)
        done = run_by_hand(project, run, stage)
        if done.returncode or moment != output:  # what is left to do may need no more
            assert_one_line(done, "out of memory")
        assert finished(project) == before
    monkeypatch.delenv("PYTHONPATH")
    assert_mended(project, run, stage, before)


@needs_limit
def test_what_is_half_written_goes_even_without_memory(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    done = run(tmp_path, sys.executable, "-c", NO_MEMORY_AT_ALL, check=False)
    assert_one_line(done, "out of memory")
    assert [*tmp_path.iterdir()] == []


@needs_limit
@pytest.mark.parametrize(("stage", "spare"), [("train@learned", 32 << 10), ("predict", 16 << 10)])
def test_where_native_code_gives_up_for_want_of_memory_dvc_says_so_and_mends_it(
    project, run, stage, spare, disturb, monkeypatch
):
    disturb(stage, NO_MORE_MEMORY, moment=ONCE_IT_HAS_BEGUN, spare=spare)
    assert_dvc_mends_what_fails(project, run, stage, monkeypatch)


@pytest.mark.parametrize(
    ("stage", "opened", "path"),
    [
        ("tokenize", "train.partial/labels.npy", "data/raw/texts.parquet"),
        ("embed", "words.txt", "data/raw/vectors/glove/matrix.npy"),
        ("train@learned", "random.npy", "data/sequences/train/labels.npy"),
        ("predict", "test/labels.npy", "data/models/finetuned/repeat_1.weights.h5"),
        ("evaluate", "train/sequences.npy", "data/raw/texts.parquet"),
        ("report", "coverage.json", "metrics/scores.csv"),
    ],
)
def test_an_input_that_vanishes_meanwhile_is_named(project, run, stage, opened, path, disturb):
    before = content(project)
    disturb(stage, VANISHING, opened=opened, path=path)
    done = run_by_hand(project, run, stage)
    away = project / f"{path}.away"
    away.rename(project / path)
    assert_one_line(done, str(Path(path).parent), "No such file or directory", "dvc repro")
    assert content(project) == before


@pytest.mark.parametrize(
    ("stage", "key"), [("download", "texts"), ("vectors@glove", "vectors.glove")]
)
def test_what_was_to_be_downloaded_and_vanishes_meanwhile_is_named(
    project, run, stage, key, disturb
):
    before = content(project)
    section = yaml.safe_load((project / "params.yaml").read_text())["download"]
    for part in key.split("."):
        section = section[part]
    path = section["path"]
    disturb(stage, VANISHING, opened=".txt", path=path)
    done = run_by_hand(project, run, stage)
    Path(f"{path}.away").rename(path)
    assert_one_line(done, f"download.{key}.path", "there is no", path)
    assert content(project) == before


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
def test_no_stage_writes_outside_the_repository(make_project, run, tmp_path):
    root, elsewhere = make_project(tmp_path / "inside"), tmp_path / "elsewhere"
    edit_params(root, variants={"learned": {"vectors": "random", "trainable": True}})
    for folder in ("home", "tmp"):
        (elsewhere / folder).mkdir(parents=True)
    stages = ["download", "download glove", "tokenize", "embed", "train learned", "predict"]
    stages += ["evaluate", "report"]
    script = f"""
        export HOME={elsewhere}/home TMPDIR={elsewhere}/tmp
        unset XDG_CACHE_HOME XDG_CONFIG_HOME KERAS_HOME MPLCONFIGDIR
        for folder in {root} {elsewhere}; do mount --bind $folder $folder; done
        for folder in $(cut -d " " -f 5 /proc/self/mountinfo); do
            case $folder in
                {root}|{elsewhere}|/proc*|/sys*|/dev*) ;;
                *) mount -o remount,bind,ro $folder ;;
            esac
        done
        cd {root}
        ! touch {tmp_path}/outside 2> /dev/null
        {"; ".join(f"python -m stages.{stage}" for stage in stages)}
    """
    run(root, *in_namespace(script))
    assert (root / "metrics/report.html").exists()
    assert [path for path in elsewhere.rglob("*") if path.is_file()] == []


@needs_mount
def test_the_default_pipeline_needs_no_network(make_project, run, tmp_path):
    root = make_project(tmp_path / "offline")
    for kind, source in (("texts", "imdb-package"), ("vectors__glove", "glove-package")):
        edit_params(root, **{f"download__{kind}__source": source, f"download__{kind}__path": None})
    run(root, "dvc", "init", "--no-scm", "--force")
    done = run(root, "unshare", "--map-root-user", "--net", "dvc", "repro")
    assert "report" in ran(done)
