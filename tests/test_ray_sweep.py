"""The sweep on a Ray cluster: its points, and what it refuses."""

import os
import shutil
import sys
import time

import pytest
import yaml

from experiments import sweep
from tests.conftest import PROJECT, edit_params
from tests.ray_cluster import assert_every_point_once, finish, take, wait_for

pytest_plugins = ["tests.ray_cluster"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def run(run_alone):
    """Each program a process of its own, as a user has it."""
    return run_alone


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
    wait_for(lambda: len([*workspaces.glob("*/*/dvc.yaml")]) == 2)
    time.sleep(10)  # in which the other point could have started on it too
    for stage in held:
        stage.resume()
    out, err = finish(sweeping)
    assert "2/2" in err
    assert "Over train.samples, " in out
    [ran] = [line for line in out.splitlines() if " ran " in line]
    once = {"download 1", "vectors@glove 1", "tokenize 1", "embed 1"}
    assert once <= set(ran.partition(" ran ")[2].split(", "))
    assert "train@learned 2" in ran
    assert_every_point_once(run, mine, expected)
    from experiments.ray_sweep import name_of, ref_of  # ray reads its environment as it is imported

    commit = run(mine, "git", "rev-parse", "HEAD").stdout.strip()
    for samples in (20, 30):  # each under its own name, or a later sweep would leave out the other
        ref = ref_of(commit, name_of(commit, [f"++train.samples={samples}"]))
        params = yaml.safe_load(run(mine, "git", "show", f"{ref}:params.yaml").stdout)
        assert params["train"]["samples"] == samples

    name = next(word for word in run(mine, "dvc", "exp", "list", "--name-only").stdout.split())
    run(mine, "git", "stash")
    run(mine, "dvc", "exp", "apply", name)
    assert "up to date" in run(mine, "dvc", "status").stdout
    machines.kill("first")


def test_a_point_submitted_twice_is_there_once(machines, mine, start, run, expected):
    for sweeping in [start(mine, "train.samples=20,20"), start(mine, "train.samples=20")]:
        finish(sweeping)
    assert_every_point_once(run, mine, expected, points=1)


def test_a_point_runs_again_on_a_node_where_the_commit_itself_has_not(
    machines, reproduced, start, run, tmp_path
):
    run(tmp_path, "git", "clone", "--quiet", str(reproduced), "cloned")
    shutil.copytree(PROJECT / "experiments", tmp_path / "cloned/experiments")
    mine = take(run, tmp_path / "cloned", tmp_path / "mine")
    run(mine, "git", "config", "user.name", "Test")
    run(mine, "git", "config", "user.email", "test@example.com")
    for _ in range(2):
        finish(start(mine, "tokenize.maxlen=10", "train.samples=20"))
        (name,) = run(mine, "dvc", "exp", "list", "--name-only").stdout.split()
        run(mine, "dvc", "exp", "remove", name)


def test_draws_are_added_until_a_width(machines, mine, start, run):
    until = "--until", "0.001", "--max-draws", "4"
    _, err = finish(start(mine, "train.samples=20", "train.repeats=1", options=until))
    assert "no interval with 1 draw, going on with 2" in err
    names = run(mine, "dvc", "exp", "list", "--name-only").stdout.split()
    repeats = {
        yaml.safe_load(run(mine, "git", "show", f"{ref}:params.yaml").stdout)["train"]["repeats"]
        for ref in run(
            mine, "git", "for-each-ref", "--format=%(refname)", "refs/exps"
        ).stdout.split()
        if ref.rpartition("/")[2] in names
    }
    assert repeats == {1, 2}


def test_two_users_sweep_at_once(machines, small, start, run, tmp_path, expected):
    users = [take(run, small, tmp_path / user) for user in ("one", "other")]
    for sweeping in [start(user, "train.samples=20") for user in users]:
        finish(sweeping)
    for user in users:
        assert_every_point_once(run, user, expected, points=1)
        assert (tmp_path / f"{user.name}-storage").exists()


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


def test_a_point_that_failed_is_told_without_keys_and_without_the_secrets_of_urls(tmp_path):
    from experiments.ray_sweep import failure, read_log  # ray reads its environment as it comes

    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / ".dvc/tmp/log").write_text("get http://me:PW@host/x?token=TOKEN\nwith KEY\n")
    log = read_log(tmp_path, {"password": "", "access_key_id": "KEY"})
    point = ["++train.samples=20", '++download.texts.path="http://me:PW@host/x?token=TOKEN"']
    assert failure("point-1", point, log).splitlines() == [
        'point-1 (++train.samples=20 ++download.texts.path="http://***@host/x?token=***) failed:',
        "get http://***@host/x?token=***",
        "with ***",
    ]
