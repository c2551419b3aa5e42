"""The sweep on a Ray cluster: a head and two nodes of this machine, each with its own folder."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import requests
import yaml
from moto.server import ThreadedMotoServer

from experiments import sweep
from tests.conftest import PROJECT, edit_params

pytestmark = pytest.mark.slow
POINTS = "train.samples=20,30"
PATIENCE = 240  # seconds


@pytest.fixture(scope="module")
def small(make_project, run, tmp_path_factory) -> Path:
    """A project whose points take seconds, and of which nothing has been run."""
    root = make_project(tmp_path_factory.mktemp("ray") / "small")
    shutil.copytree(PROJECT / "experiments", root / "experiments")
    edit_params(root, train__epochs=1)
    params = yaml.safe_load((root / "params.yaml").read_text())
    del params["variants"]["finetuned"]
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
        patch.setenv("RAY_AUTH_TOKEN", uuid4().hex)
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

    def start(root: Path, values: str = POINTS) -> subprocess.Popen:
        command = [sys.executable, "-m", "experiments.sweep", "-S", values]
        process = subprocess.Popen(
            [*command, "--ray", machines.cluster.address, "--memory", "0.1"],
            cwd=root, env=sweep.environment() | {"DVC_NO_ANALYTICS": "1"}, text=True,
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


def test_points_are_those_of_the_queue_and_what_they_share_runs_once_on_a_node(
    machines, mine, start, run, expected
):
    machines.kill("second")
    machines.kill("first")
    machines.add("first", cpus=2)
    sweeping = start(mine)
    held = wait_for(lambda: machines.processes("stages.download"))
    for stage in held:
        stage.suspend()
    workspaces = machines.folder / "first" / f"dvc-sweep-{os.getuid()}" / "workspaces"
    wait_for(lambda: len([*workspaces.glob("*/dvc.yaml")]) == 2)
    time.sleep(10)  # in which the other point could have started on it too
    for stage in held:
        stage.resume()
    out, err = finish(sweeping)
    assert "2/2" in err
    assert "Over train.samples, " in out
    [ran] = [line for line in out.splitlines() if " ran " in line]
    once = {"download@reviews 1", "download@vectors 1", "tokenize 1", "embed 1"}
    assert once <= set(ran.partition(" ran ")[2].split(", "))
    assert "train@learned 2" in ran
    assert_every_point_once(run, mine, expected)

    name = next(word for word in run(mine, "dvc", "exp", "list", "--name-only").stdout.split())
    run(mine, "git", "stash")
    run(mine, "dvc", "exp", "apply", name)
    assert "up to date" in run(mine, "dvc", "status").stdout
    machines.kill("first")


def test_a_node_that_is_killed_loses_no_point(machines, mine, start, run, expected):
    sweeping = start(mine)
    wait_for(lambda: machines.processes("stages.train", "second"))
    machines.kill("second")
    wait_for(lambda: not machines.processes("dvc", "second"))
    finish(sweeping)
    assert_every_point_once(run, mine, expected)


def test_what_is_killed_for_its_memory_is_tried_again(machines, mine, start, run, expected):
    sweeping = start(mine)
    # The kernel takes the stage, Ray's memory monitor the process that runs the task.
    [stage, *_] = wait_for(lambda: machines.processes("stages.train", "first"))
    stage.kill()
    [stage, *_] = wait_for(lambda: machines.processes("stages.train", "second"))
    point = next(p for p in stage.parents() if "ray::" in " ".join(p.cmdline()))
    point.kill()
    gone = [stage]
    wait_for(lambda: not psutil.wait_procs(gone, timeout=0)[1])
    finish(sweeping)
    assert_every_point_once(run, mine, expected)


def test_a_remote_that_is_away_is_waited_for(machines, mine, start, run, expected):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = {
        "endpointurl": url,
        "access_key_id": "confidential",
        "secret_access_key": "secretive",
    }
    run(mine, "dvc", "remote", "modify", "--local", "storage", "url", "s3://bucket/reviews")
    for option, value in options.items():
        run(mine, "dvc", "remote", "modify", "--local", "storage", option, value)
    sweeping = start(mine)
    for node in ("first", "second"):
        [first, *_] = wait_for(lambda node=node: machines.processes("dvc push", node))
        first.wait(PATIENCE)
        wait_for(lambda node=node: machines.processes("dvc push", node))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    server.start()
    try:
        requests.put(f"{url}/bucket", timeout=10).raise_for_status()
        out, err = finish(sweeping)
    finally:
        server.stop()
    assert "confidential" not in out + err
    assert "secretive" not in out + err
    ran = [line for line in out.splitlines() if " ran " in line]
    assert len(ran) == 2
    assert all("train@learned 1" in line for line in ran)
    assert_every_point_once(run, mine, expected)


def test_a_point_submitted_twice_is_there_once(machines, mine, start, run, expected):
    for sweeping in [start(mine, "train.samples=20,20"), start(mine, "train.samples=20")]:
        finish(sweeping)
    assert_every_point_once(run, mine, expected, points=1)


def test_two_users_sweep_at_once(machines, small, start, run, tmp_path, expected):
    users = [take(run, small, tmp_path / user) for user in ("one", "other")]
    for sweeping in [start(user, "train.samples=20") for user in users]:
        finish(sweeping)
    for user in users:
        assert_every_point_once(run, user, expected, points=1)
        assert (tmp_path / f"{user.name}-storage").exists()


def test_an_interrupted_sweep_goes_on_with_what_is_missing(machines, mine, start, run, expected):
    sweeping = start(mine, "train.samples=20,9999,30")
    wait_for(lambda: results(run, mine))
    sweeping.send_signal(signal.SIGINT)
    _, err = finish(sweeping, status=1)
    assert err.splitlines()[-1].startswith("interrupted: ")
    wait_for(lambda: not machines.processes("dvc"))
    assert len(results(run, mine)) == 1
    _, err = finish(start(mine, "train.samples=20,9999,30"))
    assert "3/3" in err
    assert "failed=1" in err
    assert "train.samples is 9999, but the train split has 200 reviews" in err
    assert_every_point_once(run, mine, expected)


def test_without_ray_the_option_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sys, "argv", ["experiments.sweep", "--ray", "auto"])
    with pytest.raises(SystemExit, match=r"pip install -r requirements-ray\.txt"):
        sweep.main()


def test_what_would_not_run_elsewhere_is_refused_with_a_line(machines, small, start, tmp_path):
    root = shutil.copytree(small, tmp_path / "mine")
    _, err = finish(start(root), status=1)
    assert err == "error: nodes share by a DVC remote: dvc remote add --default NAME URL\n"
    edit_params(root, train__samples=50)
    _, err = finish(start(root), status=1)
    assert err == "error: nodes run what is committed, and params.yaml differs\n"
