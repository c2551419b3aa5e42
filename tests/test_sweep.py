"""The sweep and the ablation, run through DVC's queue on a small project."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from experiments import ablation, sweep
from tests.conftest import PROJECT, edit_params

pytestmark = pytest.mark.slow


@pytest.fixture
def project(reproduced, run, tmp_path) -> Path:
    """The reproduced project with the tools, committed."""
    root = shutil.copytree(reproduced, tmp_path / "project")
    shutil.copytree(PROJECT / "experiments", root / "experiments")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Add the tools")
    return root


def test_a_sweep_ends_with_the_curve_of_the_points_that_did_not_fail(project, run):
    command = ["python", "-m", "experiments.sweep", "-S", "train.samples=20,9999,60", "-j", "2"]
    done = run(project, *command, check=False)
    assert done.returncode == 1
    assert "3/3" in done.stderr
    assert "failed=1" in done.stderr
    [failed] = [line for line in done.stderr.splitlines() if line.endswith("shows why")]
    log = run(project, "dvc", "queue", "logs", failed.split()[0]).stdout
    assert "train.samples is 9999, but the train split has 200 reviews" in log
    table = pd.read_csv(project / "experiments/learning_curve.csv")
    assert sorted(table["train.samples"].unique()) == [20, 40, 60]  # 40: the project's own run
    assert "Over train.samples, " in done.stdout
    assert "Running stage 'download" not in log  # it is in the cache that all share


def test_an_ablation_runs_a_setting_without_each_of_its_lines(project, run):
    variants = {"learned": ("random", True), "pretrained": ("glove", False)}
    rows = {name: {"vectors": v, "trainable": t} for name, (v, t) in variants.items()}
    edit_params(project, variants=rows, train__epochs=1)
    setting = {"model": {"head": "mean"}, "tokenize": {"num_bigrams": 50}}
    (project / "setting.yaml").write_text(yaml.safe_dump(setting))
    command = ["python", "-m", "experiments.ablation", "--setting", "setting.yaml", "--out", "out"]
    done = run(project, *command, "-S", "train.samples=20,40")
    table = pd.read_csv(project / "out/ablation.csv")
    # Without the mean there would be no setting: bigrams need it.
    assert list(table["without"].unique()) == ["nothing", "tokenize.num_bigrams"]
    assert len(table) == 2 * 2 * 2
    assert (table[table["without"] == "nothing"]["change"] == 0).all()
    assert "| tokenize.num_bigrams |" in done.stdout
    assert "failed" not in done.stdout


def test_a_setting_is_read_as_dvc_takes_it(tmp_path):
    path = tmp_path / "setting.yaml"
    path.write_text("train: {epochs: 3, schedule: linear}\nseed: 1\n")
    assert sweep.read_setting(path) == [
        "++train.epochs=3", '++train.schedule="linear"', "++seed=1",
    ]  # fmt: skip


def test_every_line_of_the_strong_setting_is_needed_or_can_be_left_out(monkeypatch):
    monkeypatch.chdir(PROJECT)
    setting = sweep.read_setting(Path("experiments/strong.yaml"))
    assert ablation.is_valid(setting)
    left_out = ablation.without(setting, ["train.validation_samples"])
    assert "model.head" not in left_out
    assert "embed.adapted.dim" not in left_out
    assert "train.word_dropout" in left_out
    assert all(len(rest) == len(setting) - 1 for key, rest in left_out.items() if key != "nothing")
