"""What one has run, nobody runs again: not a colleague who pulls, nor oneself on the way back."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from moto.server import ThreadedMotoServer

from stages.shared import artifacts
from tests.conftest import edit_params
from tests.test_pipeline import content, ran


class Remote(NamedTuple):
    url: str
    endpointurl: str | None = None
    credentials: tuple[str, ...] = ()


@pytest.fixture
def folder(tmp_path) -> Remote:
    """A folder that all can reach."""
    return Remote(str(tmp_path / "storage"))


@pytest.fixture
def s3() -> Remote:
    """A bucket of an S3-compatible server on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    requests.put(f"{endpoint}/bucket", timeout=10).raise_for_status()
    yield Remote("s3://bucket/reviews", endpoint, ("access_key_id", "secret_access_key"))
    server.stop()


@pytest.fixture
def mine(reproduced, tmp_path) -> Path:
    """The reproduced project, its cache and its Git history, in a folder of its own."""
    return shutil.copytree(reproduced, tmp_path / "mine")


def add_remote(run, root: Path, remote: Remote) -> None:
    run(root, "dvc", "remote", "add", "--default", "storage", remote.url)
    if remote.endpointurl:
        run(root, "dvc", "remote", "modify", "storage", "endpointurl", remote.endpointurl)
    run(root, "git", "commit", "--quiet", "--all", "--message", "Add a remote")


def log_in(run, root: Path, remote: Remote) -> None:
    for option in remote.credentials:
        run(root, "dvc", "remote", "modify", "--local", "storage", option, "confidential")


def clone(run, source: Path, target: Path) -> Path:
    run(target.parent, "git", "clone", "--quiet", str(source), target.name)
    return target


def assert_nothing_is_left_to_run(run, root: Path) -> None:
    for command in ("status", "repro"):
        assert "Data and pipelines are up to date" in run(root, "dvc", command).stdout


@pytest.mark.parametrize("kind", ["folder", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_clone_that_pulls_has_every_byte_and_runs_nothing(mine, run, tmp_path, kind, request):
    remote = request.getfixturevalue(kind)
    add_remote(run, mine, remote)
    log_in(run, mine, remote)
    run(mine, "dvc", "push")
    theirs = clone(run, mine, tmp_path / "theirs")
    log_in(run, theirs, remote)
    assert not (theirs / "data/raw").exists()
    assert not (theirs / ".dvc/cache").exists()
    run(theirs, "dvc", "pull")
    assert_nothing_is_left_to_run(run, theirs)
    assert content(theirs) == content(mine)
    assert run(theirs, "git", "status", "--porcelain").stdout == ""
    assert run(theirs, "git", "grep", "confidential", check=False).stdout == ""


def test_an_experiment_shows_what_it_changed_and_travels_with_its_artifacts(
    mine, run, tmp_path, folder
):
    before = json.loads((mine / artifacts.EVALUATION).read_text())
    add_remote(run, mine, folder)
    run(tmp_path, "git", "clone", "--quiet", "--bare", str(mine), "origin")
    run(mine, "git", "remote", "add", "origin", str(tmp_path / "origin"))
    frozen = ("-S", "variants.finetuned.trainable=false")
    done = run(mine, "dvc", "exp", "run", "--name", "still", *frozen)
    assert ran(done) == ["train@finetuned", "predict", "evaluate", "report"]
    after = json.loads((mine / artifacts.EVALUATION).read_text())
    assert after["finetuned"] == after["pretrained"]  # for now they are the same variant
    diff = json.loads(run(mine, "dvc", "metrics", "diff", "--all", "--json").stdout)
    rows, finetuned = diff[str(artifacts.EVALUATION)], "finetuned-learned"
    for variant in ("learned", "pretrained", "finetuned"):
        row = rows[f"{variant}.accuracy"]
        assert (row["old"], row["new"]) == tuple(of[variant]["accuracy"] for of in (before, after))
    gaps = [of["gap"][finetuned] for of in (before, after)]
    for key in ("accuracy", "accuracy_low", "accuracy_high"):
        row = rows[f"gap.{finetuned}.{key}"]
        assert [row["old"], row["new"]] == [gap[key] for gap in gaps]
    run(mine, "dvc", "exp", "push", "origin", "still")

    theirs = clone(run, tmp_path / "origin", tmp_path / "theirs")
    assert "still" in run(theirs, "dvc", "exp", "list", "origin").stdout
    run(theirs, "dvc", "exp", "pull", "origin", "still")
    run(theirs, "dvc", "exp", "apply", "still")
    assert_nothing_is_left_to_run(run, theirs)
    assert content(theirs) == content(mine)
    changed = run(theirs, "git", "diff", "--name-only").stdout.splitlines()
    assert {"params.yaml", "dvc.lock", "metrics/evaluation.json"} <= set(changed)


@pytest.mark.slow
def test_a_parameter_that_goes_there_and_back_and_there_trains_once(mine, run):
    back = content(mine)
    edit_params(mine, train__epochs=1)
    assert len(ran(run(mine, "dvc", "repro"))) == 7  # four variants and what follows
    there = content(mine)
    assert there["metrics/evaluation.json"] != back["metrics/evaluation.json"]
    for epochs, expected in ((2, back), (1, there)):
        edit_params(mine, train__epochs=epochs)
        assert ran(run(mine, "dvc", "repro")) == ["evaluate", "report"]
        assert content(mine) == expected
