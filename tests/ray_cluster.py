"""The sweep on a Ray cluster: a head and two nodes of this machine, each with its own folder."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import yaml

from experiments import dvc_queue
from tests.conftest import PATIENCE, PROJECT, edit_params

POINTS = "train.samples=20,30"
TOKEN = uuid4().hex  # a process reads it once, for all clusters


@pytest.fixture(scope="module")
def small(make_project, run, tmp_path_factory) -> Path:
    """A project whose points take seconds, and of which nothing has been run."""
    root = make_project(tmp_path_factory.mktemp("ray") / "small")
    shutil.copytree(PROJECT / "experiments", root / "experiments")
    edit_params(root, train__epochs=1)
    params = yaml.safe_load((root / "params.yaml").read_text())
    for name in ("finetuned", "tfidf"):  # two are enough
        del params["variants"][name]
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(root, "git", "init", "--quiet")
    run(root, "git", "config", "user.name", "Test")
    run(root, "git", "config", "user.email", "test@example.com")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Add the project")
    return root


def results(run, root: Path) -> list[str]:
    """The Git trees of the experiments: parameters, dvc.lock, metrics, all that Git keeps."""
    refs = run(
        root, "git", "for-each-ref", "--format=%(refname)", "refs/exps/??/*/*"
    ).stdout.split()
    return sorted(run(root, "git", "rev-parse", f"{ref}^{{tree}}").stdout for ref in refs)


@pytest.fixture(scope="module")
def expected(small, run) -> list[str]:
    """The same points, run by DVC's queue."""
    root = shutil.copytree(small, small.parent / "queue")
    done = run(root, "python", "-m", "experiments.sweep", "-S", POINTS, "-j", "2")
    assert "failed=0" in done.stderr
    trees = results(run, root)
    assert len(trees) == 2
    return trees


class Machines:
    """A cluster of two nodes beside the head, which runs no points."""

    def __init__(self, folder: Path):
        from ray.cluster_utils import Cluster

        self.folder = folder
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        self.nodes = {}
        for name in ("first", "second"):
            self.add(name)

    def add(self, name: str, cpus: int = 1) -> None:
        (self.folder / name).mkdir(exist_ok=True)
        environment = {"TMPDIR": str(self.folder / name)}
        self.nodes[name] = self.cluster.add_node(num_cpus=cpus, env_vars=environment)

    def kill(self, name: str) -> None:
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)

    def processes(self, text: str, name: str = "") -> list[psutil.Process]:
        """The processes that points have started on a node, or on any, by their command."""
        return [p for p in psutil.process_iter() if self.owns(p, text, name)]

    def owns(self, process: psutil.Process, text: str, name: str) -> bool:
        try:
            return (
                text in " ".join(process.cmdline())
                and process.status() != psutil.STATUS_ZOMBIE
                and Path(process.cwd()).is_relative_to(self.folder / name)
            )
        except psutil.Error:
            return False


@pytest.fixture(scope="module")
def all_machines(tmp_path_factory) -> Iterator[Machines]:
    with pytest.MonkeyPatch.context() as patch:
        # Who knows no token can run nothing here.
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        pytest.importorskip("ray")  # it reads them as it is imported
        machines = Machines(tmp_path_factory.mktemp("machines"))
        yield machines
        machines.cluster.shutdown()


@pytest.fixture
def machines(all_machines) -> Iterator[Machines]:
    """Both nodes, with nothing in their folders."""
    for name in ("first", "second"):
        shutil.rmtree(all_machines.folder / name, ignore_errors=True)
        (all_machines.folder / name).mkdir()
        if name not in all_machines.nodes:
            all_machines.add(name)
    yield all_machines
    assert not all_machines.processes("dvc")


@pytest.fixture
def mine(small, run, tmp_path) -> Path:
    return take(run, small, tmp_path / "mine")


def take(run, small: Path, root: Path) -> Path:
    """A copy of the project, with a folder beside it as its remote."""
    shutil.copytree(small, root)
    run(root, "dvc", "remote", "add", "--local", "--default", "storage", f"../{root.name}-storage")
    return root


@pytest.fixture
def start(machines, tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts the sweep in a project; it is ended with the test."""
    started = []

    def start(root: Path, *values: str, options: tuple[str, ...] = ()) -> subprocess.Popen:
        given = [word for value in values or [POINTS] for word in ("-S", value)]
        command = [sys.executable, "-m", "experiments.sweep", *given, *options]
        process = subprocess.Popen(
            [*command, "--ray", machines.cluster.address, "--memory", "0.1"],
            cwd=root, env=dvc_queue.environment() | {"DVC_NO_ANALYTICS": "1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def finish(process: subprocess.Popen, status: int = 0) -> tuple[str, str]:
    """Wait for a sweep; returns what it printed."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, err
    assert "Traceback" not in err
    print(err)  # what failed, should an assertion fail
    return out, err


def wait_for(condition: Callable[[], object]) -> object:
    deadline = time.monotonic() + PATIENCE
    while not (met := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return met


def assert_every_point_once(run, root: Path, expected: list[str], points: int = 2) -> None:
    found = results(run, root)
    assert len({*found} & {*expected}) == len(found) == points
    shown = run(root, "dvc", "exp", "show", "--csv", "--hide-workspace").stdout
    assert shown.count("\npoint-") == points
