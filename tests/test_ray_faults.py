"""The sweep on a Ray cluster whose nodes, tasks and remote fail."""

import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest
import requests
from moto.server import ThreadedMotoServer

from tests.conftest import PATIENCE
from tests.ray_cluster import assert_every_point_once, finish, results, wait_for

pytest_plugins = ["tests.ray_cluster"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def run(run_alone):
    """Each program a process of its own, as a user has it."""
    return run_alone


def test_a_node_that_is_killed_loses_no_point(machines, mine, start, run, expected):
    sweeping = start(mine)
    wait_for(lambda: machines.processes("stages.train", "second"))
    machines.kill("second")
    wait_for(lambda: not machines.processes("dvc", "second"))
    out, err = finish(sweeping)
    assert "nodes=3" in err
    assert "nodes=2" in err
    assert "raylet" not in out + err
    assert_every_point_once(run, mine, expected)


def test_what_is_killed_for_its_memory_is_tried_again(machines, mine, start, run, expected):
    sweeping = start(mine)
    # The kernel takes the stage, Ray's memory monitor the process that runs the task.
    [stage, *_] = wait_for(lambda: machines.processes("stages.train", "first"))
    log = Path(stage.cwd()) / ".dvc/tmp/log"
    wait_for(lambda: "train learned:" in log.read_text())
    stage.kill()  # DVC goes on in the line of its progress bar
    [stage, *_] = wait_for(lambda: machines.processes("stages.train", "second"))
    point = next(p for p in stage.parents() if "ray::" in " ".join(p.cmdline()))
    point.kill()
    gone = [stage]
    wait_for(lambda: not psutil.wait_procs(gone, timeout=0)[1])
    finish(sweeping)
    assert_every_point_once(run, mine, expected)


def test_what_a_killed_attempt_still_writes_meets_no_other(machines, mine, monkeypatch):
    from experiments import ray_sweep

    monkeypatch.setattr(tempfile, "tempdir", str(machines.folder / "first"))
    monkeypatch.chdir(mine)
    source = ray_sweep.read_source()
    with ray_sweep.workspace(source, "point") as former:
        late = former / ".dvc/tmp/late"
    # touch and mkdir fail where the folder is just being removed; the loop goes on.
    loop = f"while :; do mkdir -p {late.parent}; touch {late}; done 2>/dev/null"
    writing = subprocess.Popen(["sh", "-c", loop])
    try:
        wait_for(late.exists)
        with ray_sweep.workspace(source, "point") as root:
            wait_for(late.exists)
            assert not (root / ".dvc/tmp/late").exists()
            assert (root / "dvc.yaml").exists()
    finally:
        writing.kill()
        writing.wait()


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


def test_an_interrupted_sweep_goes_on_with_what_is_missing(machines, mine, start, run, expected):
    points = ["train.samples=20,30", "download.vectors.glove.dim=null,9"]  # the file's are of 8
    sweeping = start(mine, *points)
    wait_for(lambda: results(run, mine))
    sweeping.send_signal(signal.SIGINT)
    _, err = finish(sweeping, status=1)
    assert err.splitlines()[-1].startswith("interrupted: ")
    wait_for(lambda: not machines.processes("dvc"))
    assert len(results(run, mine)) == 1
    _, err = finish(start(mine, *points), status=1)
    assert "4/4" in err
    assert "failed=2" in err
    assert "download.vectors.glove.dim" in err
    assert_every_point_once(run, mine, expected)
