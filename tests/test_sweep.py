"""The sweep and the ablation: which points there are, and what DVC's queue makes of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from scipy import stats

from experiments import ablation, answer, dvc_queue, more_draws, points, sweep
from stages.shared.errors import InputError
from tests.conftest import PROJECT, edit_params

slow = pytest.mark.slow
SIZES = [10, 20, 50, 100]  # of the standard grid, that fit 200 texts of which 50 are held out


@pytest.fixture
def project(reproduced, run, tmp_path) -> Path:
    """The reproduced project with the tools, committed."""
    root = shutil.copytree(reproduced, tmp_path / "project")
    shutil.copytree(PROJECT / "experiments", root / "experiments")
    describe(root)
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Add the tools")
    return root


def describe(root: Path) -> None:
    """Write what `evaluate` says of the data, where it does not yet."""
    path = root / "metrics/data.json"
    if not path.exists():
        data = {"name": "aclImdb", "labels": ["neg", "pos"], "train": [100, 100], "test": [30, 30]}
        path.write_text(json.dumps(data | {"test_in_train": 0, "two_labels": 0}))


@pytest.fixture
def here(make_project, run, tmp_path, monkeypatch) -> Path:
    """A project that nothing was run in; the test stands in it."""
    root = make_project(tmp_path / "here")
    run(root, "git", "init", "--quiet")
    monkeypatch.chdir(root)
    return root


def write_table(path: Path, n_rows: int) -> str:
    path.parent.mkdir(exist_ok=True)
    texts = [f"text {row} is {'good' if row % 2 else 'bad'}" for row in range(n_rows)]
    pd.DataFrame({"text": texts, "label": [row % 2 for row in range(n_rows)]}).to_csv(path)
    return str(path)


def values_of(grid: list[list[str]], key: str) -> list[str]:
    """The last value of a parameter at each point: the one that holds."""
    return [{points.key_of(e): e.partition("=")[2] for e in point}.get(key) for point in grid]


def test_a_point_is_shown_by_what_is_asked_for_of_it_without_secrets():
    point = ["++train.samples=5", "seed=1", "download.texts.path=https://me:key@host/a.csv?t=s"]
    assert points.shown(point, ["train.samples", "seed"]) == "train.samples=5 seed=1"
    assert points.shown(point) == (
        "train.samples=5 seed=1 download.texts.path=https://***@host/a.csv?t=***"
    )


def test_without_options_it_does_what_the_docs_say(monkeypatch):
    monkeypatch.setattr("sys.argv", ["sweep"])
    found = sweep.parse()
    assert (found.jobs, found.max_draws, found.metric) == (2, 40, "accuracy")
    assert (found.cpus, found.memory, found.gpus, found.ray, found.until) == (1, 2, 0, None, None)


@pytest.mark.parametrize("tool", [sweep, ablation, answer])
def test_a_folder_that_cant_be_made_is_refused_before_anything_runs(
    tool, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        monkeypatch.setattr("sys.argv", ["tool", "--out", str(tmp_path / name)])
        with pytest.raises(SystemExit):
            tool.main()
        said = f"--out: {tmp_path}/file is no folder that can be written to\n"
        assert capsys.readouterr().err.endswith(said)
    assert sweep.new_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("text", ["", "- 1\n", "word\n"])
def test_a_setting_that_holds_no_parameters_is_refused(text, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=r"a\.yaml holds no parameters, such as `train: \{epochs"):
        points.read_setting(tmp_path / "a.yaml")


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "x"])
def test_a_width_to_reach_is_a_share(value, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["sweep", "--until", value])
    with pytest.raises(SystemExit):
        sweep.parse()
    assert f"argument --until: invalid share value: '{value}'" in capsys.readouterr().err


def test_the_standard_grid_fits_the_data(here, capsys):
    grid, n_refused = points.plan([], [])
    assert values_of(grid, "train.samples") == [str(size) for size in SIZES for _ in range(3)]
    assert values_of(grid, "model.head") == ["flatten", "mean", "conv"] * len(SIZES)
    assert n_refused == 0
    assert "validation_samples" not in capsys.readouterr().err


def test_the_standard_grid_of_the_default_data(monkeypatch):
    monkeypatch.chdir(PROJECT)
    sizes = values_of(points.plan([], [])[0], "train.samples")
    assert sizes[::3] == ["100", "200", "500", "1000", "2000", "5000", "10000"]
    assert set(values_of(points.plan([], [])[0], "train.validation_samples")) == {None}


def test_of_few_texts_fewer_are_held_out_to_validate_on(here, capsys):
    edit_params(here, train__validation_samples=10000)
    write_table(here / "inputs/größe [1], x.csv", 400)
    data = ["download.texts.source=table", "download.texts.path=inputs/größe [1], x.csv"]
    grid, _ = points.plan([], data)
    assert set(values_of(grid, "train.validation_samples")) == {"64"}
    assert values_of(grid, "train.samples")[::3] == ["10", "20", "50", "100", "200"]
    # A point runs in another folder.
    path = f'"{here}/inputs/größe [1], x.csv"'
    assert set(values_of(grid, "download.texts.path")) == {path}
    said = "train.validation_samples is 64 here: the train split has only 320 texts\n"
    assert capsys.readouterr().err.endswith(said)
    # What the user gave stays, and sizes fit beside it.
    grid, _ = points.plan([], [*data, "train.validation_samples=250"])
    assert values_of(grid, "train.samples")[::3] == ["10", "20", "50"]


def test_each_data_set_of_a_sweep_has_its_own_grid(here):
    tables = ",".join(write_table(here / f"{n}.csv", n) for n in (100, 400))
    edit_params(here, train__validation_samples=10)
    grid, _ = points.plan([], ["download.texts.source=table", f"download.texts.path={tables}"])
    of = pd.Series(values_of(grid, "train.samples")).groupby(
        [Path(path.strip('"')).name for path in values_of(grid, "download.texts.path")]
    )
    assert of.unique().map(list).to_dict() == {
        "100.csv": ["10", "20", "50"], "400.csv": ["10", "20", "50", "100", "200"],
    }  # fmt: skip


def test_what_a_head_cant_read_is_left_out_of_the_standard_grid(here, capsys):
    grid, n_refused = points.plan([], ["tokenize.num_bigrams=50"])
    assert values_of(grid, "model.head") == ["mean"] * len(SIZES)
    assert n_refused == 0
    assert "the standard grid has only the head mean: tokenize.num_bigrams" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("setting", "given", "n_points"),
    [
        ([], ["train.epochs=1"], 12),
        ([], ["train.epochs=1", "download.texts.duplicates=drop"], 12),
        ([], ["train.samples=20"], 1),
        ([], ["train.samples=20,30", "train.epochs=1"], 2),
        ([], ["model.head=mean,conv"], 2),
        ([], ["seed=0,1"], 2),
        ([], ["seed=range(0,3)"], 3),
        ([], ["train.samples=20,20,30"], 2),
        (["++model.head=mean"], [], 1),
        (["++model.head=mean"], ["download.texts.duplicates=drop"], 1),
        (["++model.head=mean"], ["train.samples=20,30"], 2),
    ],
)
def test_the_standard_grid_is_there_unless_another_is_given(here, setting, given, n_points):
    grid, _ = points.plan(setting, given)
    assert len(grid) == n_points
    for entry in [*setting, *given]:
        key, _, value = entry.lstrip("+").partition("=")
        if "," not in value:
            assert set(values_of(grid, key)) == {value}


def test_files_whose_names_are_together_too_long_for_one_are_swept(tmp_path):
    files = [tmp_path / f"{letter * 100}.csv" for letter in "abc"]
    several = f"download.texts.path={','.join(map(str, files))}"
    assert points.expand([several]) == [[f"++download.texts.path={file}"] for file in files]


@pytest.mark.parametrize(
    ("given", "n_points", "said"),
    [
        (
            ["train.samples=20,200,201"],
            2,
            "1 of 3 points can't run and is left out: train.samples=201: the train split has 200"
            " texts: train.samples can be at most 200",
        ),
        (
            ["tokenize.num_bigrams=0,9", "model.head=mean,conv,flatten"],
            4,
            "2 of 6 points can't run and are left out: tokenize.num_bigrams=9 model.head=conv,"
            " tokenize.num_bigrams=9 model.head=flatten: tokenize.num_bigrams is 9, but model.head"
            " conv reads words in order: set the one to 0 or the other to mean",
        ),
        (
            ["train.samples=20,x"],
            1,
            "1 of 2 points can't run and is left out: train.samples=x: train.samples is 'x', but"
            " should be a valid integer",
        ),
    ],
)
def test_points_that_cant_run_are_named_and_left_out(here, capsys, given, n_points, said):
    grid, n_refused = points.plan([], given)
    assert len(grid) == n_points
    assert n_refused > 0
    assert capsys.readouterr().err.endswith(said + "\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("train.samples", r"-S train\.samples: should be KEY=VALUE, such as"),
        ("=3", "-S =3: should be KEY=VALUE, such as"),
        ("train.smaples=3", r"train\.smaples is not a parameter; known here: samples, "),
        ("train.samples=", r"train\.samples is '', but should be a valid integer"),
        ("train.samples=201", "the train split has 200 texts: train.samples can be at"),
        ("train.validation_samples=195", "too few for the smallest size, 10"),
        ("download.texts.path=no[where", "can't be read: put the value into quotes of its own"),
        ("download.texts.path=nowhere", "there is no nowhere"),
        pytest.param(f"download.texts.path={400 * 'n'}", "there is no nnn", id="a long path"),
        ("seed=${x}", "Interpolation key 'x' not found"),
        ("train=3", "train is 3, but should have keys below it; known there: samples,"),
    ],
)
def test_where_no_point_can_run_one_line_says_why(here, given, said):
    with pytest.raises(InputError, match=said) as caught:
        points.plan([], [given])
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_points_that_are_left_out_are_named_without_the_secrets_of_their_urls(here, capsys):
    key = "download.vectors.glove.path"
    url = "http://user:PASSWORD@host/v.txt?token=TOKEN"
    points.plan([], [f"{key}='{url}',v.txt", "train.samples=20,9999"])
    said = capsys.readouterr().err
    assert f"{key}='http://***@host/v.txt?token=*** train.samples=9999, " in said
    assert "PASSWORD" not in said
    assert "TOKEN" not in said
    with pytest.raises(InputError) as caught:  # cut short in the middle of the password
        points.expand([f"{key}=[http://user:{'PASSWORD' * 20}@host"])
    assert "PASSWORD" not in str(caught.value)


def test_only_parameters_can_be_drawn_over(here):
    points.check_keys([], ["train.samples", "embed.random.dim"])
    with pytest.raises(InputError, match="--over and --panel take parameters, and accuracy is"):
        points.check_keys([], ["accuracy"])


@pytest.mark.parametrize(
    "value", ["größe [1], x.csv", 'a "b" \\', "\\", "a=b {c}", 0.5, None, True]
)
def test_a_quoted_value_is_taken_as_it_is(here, value):
    point = ["++download.texts.source=folder", f"++download.texts.positive={points.quoted(value)}"]
    assert points.settings_of(point).download.texts.positive == value


def test_a_point_that_dvc_misses_once_has_not_failed(monkeypatch):
    seen = iter([
        {"a": ("1234567", "Queued")},
        {},  # a worker takes it while DVC looks
        {"a": ("1234567", "Running")},
        {"a": ("1234567", "Success")},
    ])  # fmt: skip
    monkeypatch.setattr(dvc_queue, "states", lambda: next(seen))
    monkeypatch.setattr(dvc_queue, "POLL_SECONDS", 0)
    assert dvc_queue.wait(["a"], 1) == {}


def test_a_point_that_was_taken_out_of_the_queue_has_failed(monkeypatch):
    monkeypatch.setattr(dvc_queue, "states", dict)
    monkeypatch.setattr(dvc_queue, "POLL_SECONDS", 0)
    assert dvc_queue.wait(["a"], 1) == {"a": ""}


@pytest.mark.parametrize(("deserted", "n_revived"), [([True] * 2, 1), ([True, False] * 3, 0)])
def test_workers_are_started_again_where_nobody_is_at_work_twice_in_a_row(
    monkeypatch, deserted, n_revived
):
    left, revived = iter(deserted), []
    waiting = chain(repeat({"a": ("1234567", "Queued")}, 2 + len(deserted)), [{}, {}])
    monkeypatch.setattr(dvc_queue, "states", lambda: next(waiting))
    monkeypatch.setattr(dvc_queue, "is_deserted", lambda: next(left))
    monkeypatch.setattr(dvc_queue, "revive", revived.append)
    monkeypatch.setattr(dvc_queue, "POLL_SECONDS", 0)
    dvc_queue.wait(["a"], 3)
    assert revived == [3] * n_revived
    assert next(left, None) is None


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ("", {"cpus": 1, "memory": 2, "gpus": 0}),
        ("--cpus 2 --memory 3.5 --gpus 1", {"cpus": 2, "memory": 3.5, "gpus": 1}),
    ],
)
def test_a_cluster_is_given_what_a_point_may_take(monkeypatch, options, limits):
    given = []
    monkeypatch.setattr(sweep, "on_ray", lambda grid, **options: given.append(options) or [])
    command = f"sweep -S seed=1,2 --ray auto {options}"
    monkeypatch.setattr("sys.argv", command.split())
    monkeypatch.chdir(PROJECT)
    with pytest.raises(SystemExit) as end:
        sweep.main()
    assert given == [{"address": "auto"} | limits]
    assert end.value.code == 1  # no point was run


@pytest.fixture
def queue(monkeypatch):
    """A queue in which some names wait already; `started` says with how many workers it was."""
    there = SimpleNamespace(waiting=[], failed={}, started=[], ends=None)

    def start(*arguments: str) -> None:
        there.started.append(arguments)
        if there.ends == arguments[0]:
            raise KeyboardInterrupt

    def states() -> dict:
        return dict.fromkeys(there.waiting, ("", "Queued")) | {"old": ("", "Success")}

    monkeypatch.setattr(dvc_queue, "states", states)
    monkeypatch.setattr(dvc_queue, "uncached", lambda: ["download"])
    monkeypatch.setattr(dvc_queue, "queue", lambda values: values[0].upper())
    monkeypatch.setattr(dvc_queue, "dvc", start)
    monkeypatch.setattr(dvc_queue, "wait", lambda names, jobs: there.failed)
    return there


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        ("", ""),
        ("a", "the queue holds 1 other experiment, which will run too (a):"),
        ("abc", "the queue holds 3 other experiments, which will run too (a, b, c):"),
        ("abcd", "the queue holds 4 other experiments, which will run too (a, b, c, …):"),
    ],
)
def test_what_waits_in_the_queue_already_is_said_before_a_sweep(queue, waiting, said, capsys):
    queue.waiting = [*waiting]
    assert dvc_queue.run_queue([["x"], ["y"]], 3) == ["X", "Y"]
    told = capsys.readouterr().err.partition(" dvc queue remove --queued takes out what waits\n")
    assert told[0].rpartition("\n")[2] == said if said else not told[1]
    assert queue.started == [("repro", "--quiet", "download"), ("queue", "start", "--jobs", "3")]


def test_a_point_that_failed_is_named_with_what_shows_why(queue, capsys):
    queue.failed = {"Y": "1234567", "X": ""}
    assert dvc_queue.run_queue([["x"], ["y"], ["z"]], 1) == [None, None, "Z"]
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "X failed: it was taken out of the queue",
        "1234567 failed: dvc queue logs 1234567 shows why",
    ]


@pytest.mark.parametrize(
    ("when", "said"),
    [("repro", dvc_queue.BEFORE_START), ("queue", dvc_queue.AFTER_START)],
)
def test_who_interrupts_a_sweep_is_told_what_goes_on(queue, when, said):
    queue.ends = when
    with pytest.raises(SystemExit, match=f"^{re.escape(f'interrupted: {said}')}$"):
        dvc_queue.run_queue([["x"]], 1)


def test_of_what_dvc_says_one_line_is_told_with_its_command(little):
    with pytest.raises(SystemExit, match=r"^error: dvc exp: .*'nothing'.*$") as end:
        dvc_queue.dvc("exp", "apply", "nothing")
    assert "\n" not in str(end.value)


def test_outside_of_a_repository_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: dvc queue: you are not inside of a DVC r"):
        dvc_queue.dvc("queue", "status")


@pytest.mark.parametrize(
    ("draws", "widths", "then"),
    [
        (5, (0.01, 0.005), 5),  # as narrow as asked for
        (5, (0.011, 0.005), 10),
        (30, (0.011, 0.01), 40),  # the limit
        (40, (0.011, 0.005), 40),
        (60, (0.011, 0.005), 60),
        (5, (0.03, 0.011), 5),  # what test texts leave is too wide
        (1, (float("inf"), float("inf")), 2),
        (2, (float("inf"), float("inf")), 2),  # one group of test texts
    ],
)
def test_a_point_goes_on_with_twice_the_draws_while_that_can_help(draws, widths, then):
    assert more_draws.next_draws(draws, more_draws.Widths(*widths), 0.01, 40) == then


@pytest.mark.parametrize(
    ("draws", "widths", "said"),
    [
        (1, (float("inf"), float("inf")), "no interval with 1 draw, going on with 2"),
        (5, (0.0114, 0.005), "± 0.0114 with 5 draws, going on with 10"),
        (5, (0.03, 0.011), "± 0.0300 with 5 draws, and no number of draws gives ± 0.01"),
        (40, (0.0114, 0.005), "± 0.0114 with 40 draws, which is the limit (--max-draws)"),
    ],
)
def test_it_is_said_how_a_wide_point_goes_on(draws, widths, said):
    assert more_draws.outcome(draws, more_draws.Widths(*widths), 0.01, 40) == said


def test_one_draw_that_is_the_limit_says_nothing_of_more():
    unknown = more_draws.Widths(float("inf"), float("inf"))
    said = "no interval with 1 draw, which is the limit (--max-draws)"
    assert more_draws.outcome(1, unknown, 0.01, 1) == said


@pytest.mark.parametrize("sd", [0.01, 0.02, 0.03])
def test_draws_until_a_width_keep_the_coverage_and_draws_until_significance_do_not(sd):
    covered, found, studies = 0, 0, sd * np.random.default_rng(0).normal(size=(1000, 40))
    numbers = (5, 10, 20, 40)
    widths = [stats.sem(studies[:, :n], axis=1) * stats.t.ppf(0.975, n - 1) for n in numbers]
    for gaps, *of_each in zip(studies, *widths, strict=True):
        halves, n, more = dict(zip(numbers, of_each, strict=True)), 0, 5
        while more > n:
            n = more
            more = more_draws.next_draws(n, more_draws.Widths(halves[n], 0), 0.01, 40)
        covered += abs(gaps[:n].mean()) <= halves[n]
        found += any(abs(gaps[:n].mean()) > half for n, half in halves.items())
    assert covered >= 910  # two standard errors below 92.5 %
    assert found >= 110  # above 11 % of studies without a gap


def test_of_a_point_that_failed_no_more_draws_are_made(here):
    runs = iter([[None, None]])
    grid = [["++train.samples=20"], ["++train.samples=30"]]
    assert [*more_draws.run_until(grid, lambda _: next(runs), 0.01, 40)] == []


def test_until_does_not_go_with_several_numbers_of_draws(here, run):
    shutil.copytree(PROJECT / "experiments", here / "experiments")
    command = ["python", "-m", "experiments.sweep", "--until", "0.01", "-S", "train.repeats=2,3"]
    done = run(here, *command, check=False)
    assert done.returncode == 1
    said = "error: --until finds train.repeats: give it one value, to start from"
    assert done.stderr.splitlines() == [said]


@slow
def test_a_sweep_ends_with_the_curve_of_its_points_that_did_not_fail(project, run):
    values = ["-S", "train.samples=20,9999,60", "-S", "download.vectors.glove.dim=8,9"]
    done = run(project, "python", "-m", "experiments.sweep", *values, "-j", "2", check=False)
    assert done.returncode == 1
    assert "2 of 6 points can't run and are left out: train.samples=9999 " in done.stderr
    assert "4/4" in done.stderr
    assert "failed=2" in done.stderr
    failed = [line for line in done.stderr.splitlines() if line.endswith("shows why")]
    assert len(failed) == 2
    log = run(project, "dvc", "queue", "logs", failed[0].split()[0]).stdout
    assert "error: " in log
    assert "Running stage 'download" not in log  # it is in the cache that all share
    table = pd.read_csv(project / "experiments/aclImdb/learning_curve.csv")
    assert sorted(table["train.samples"].unique()) == [20, 60]  # 40 is the project's own run
    assert set(table["data"]) == {"aclImdb"}
    assert set(table["texts"]) == {260}
    assert set(table["labels"]) == {"neg, pos"}
    title = (
        "# Test accuracy on aclImdb: 260 texts (200 to train on, 60 to test on), labels neg and pos"
    )
    assert done.stdout.splitlines()[0] == title


@slow
def test_a_clone_below_any_folder_runs_all_that_there_is(imdb, make_project, run, tmp_path, glove):
    root = make_project(tmp_path / "meine Daten [1] ü")
    shutil.copytree(PROJECT / "experiments", root / "experiments")
    variants = {"learned": ("random", True), "pretrained": ("glove", False)}
    rows = {name: {"vectors": v, "trainable": t} for name, (v, t) in variants.items()}
    edit_params(root, variants=rows, train__epochs=1)
    reviews = imdb.to_pandas()[["text", "label"]]
    for name, seed in (("[a] ü.csv", 0), ("b.csv", 1)):
        (root / "inputs").mkdir(exist_ok=True)
        reviews.sample(250, random_state=seed).to_csv(root / "inputs" / name, index=False)
    run(root, "git", "init", "--quiet")
    run(root, "git", "config", "user.name", "Test")
    run(root, "git", "config", "user.email", "test@example.com")
    run(root, "dvc", "repro")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Run the pipeline")

    # What waits in the queue is another's, and joins no curve.
    run(root, "dvc", "exp", "run", "--queue", "-S", "train.samples=25", "--name", "waiting")
    both = [
        "download.texts.source=table",
        "download.texts.path='inputs/[a] ü.csv',inputs/b.csv",
    ]
    values = [word for value in (*both, "train.samples=20,30") for word in ("-S", value)]
    done = run(root, "python", "-m", "experiments.sweep", *values)
    assert "the queue holds 1 other experiment, which will run too (waiting)" in done.stderr
    found = {}
    for path in root.glob("experiments/*/learning_curve.csv"):
        if path.parent.name not in ("imdb", "strong"):
            found[path.parent.name] = pd.read_csv(path)
    assert {*found} == {"a-ü.csv", "b.csv"}
    for table in found.values():
        assert sorted(table["train.samples"].unique()) == [20, 30]
    assert not {*found["b.csv"]["experiment"]} & {*found["a-ü.csv"]["experiment"]}

    # DVC itself needs a cache whose path is ASCII to run elsewhere than in the workspace.
    run(root, "dvc", "cache", "dir", "--local", str(tmp_path / "cache"))
    run(root, "dvc", "exp", "run", "--temp", "--name", "elsewhere", "-S", "train.samples=35")
    run(root, "dvc", "exp", "run", "--queue", "--name", "queued", "-S", "train.samples=45")
    run(root, "dvc", "queue", "start")
    wait_for_queue(root, run)
    listed = run(root, "dvc", "exp", "list", "--name-only").stdout.split()
    assert {"elsewhere", "queued"} <= {*listed}


def wait_for_queue(root: Path, run) -> None:
    """Wait until the queue of a project is empty."""
    while any(
        state in run(root, "dvc", "queue", "status").stdout for state in ("Queued", "Running")
    ):
        pass


@slow
def test_a_single_point_prints_its_result(project, run):
    (project / "setting.yaml").write_text("model: {head: mean}\ntrain: {epochs: 1}\n")
    command = ["python", "-m", "experiments.sweep", "--setting", "setting.yaml"]
    done = run(project, *command, "-S", "download.vectors.glove.vocabulary_limit=10")
    lines = done.stdout.strip().splitlines()
    assert all(len(line) < 80 for line in lines)
    assert " ".join(lines).startswith("Test accuracy on aclImdb, setting setting: 260 texts")
    scores = {
        line.split()[0]: line for line in lines if line.split()[0] in ("learned", "finetuned")
    }
    assert "gap" not in scores["learned"]
    assert " to " in scores["finetuned"].partition("gap")[2]


@pytest.fixture
def little(run, tmp_path, monkeypatch) -> Path:
    """A project of one stage that does not end while its file `wait` is there."""
    root = tmp_path / "little"
    root.mkdir()
    stage = {"cmd": f"while test -e {root}/wait; do sleep 0.1; done; echo {{}} > out.json"}
    stage |= {"params": ["x"], "metrics": ["out.json"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"only": stage}}))
    (root / "params.yaml").write_text("x: 1\n")
    run(root, "git", "init", "--quiet")
    run(root, "git", "config", "user.name", "Test")
    run(root, "git", "config", "user.email", "test@example.com")
    run(root, "dvc", "init", "--quiet")
    run(root, "git", "add", ".")
    run(root, "git", "commit", "--quiet", "--message", "Begin")
    monkeypatch.setattr(dvc_queue, "POLL_SECONDS", 0.2)
    monkeypatch.chdir(root)
    return root


def test_a_cache_at_a_path_of_other_letters_is_reached_at_one_of_ascii(
    little, tmp_path, run, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(dvc_queue, "ascii_cache", dvc_queue.ascii_cache.__wrapped__)
    assert dvc_queue.ascii_cache() == {}
    monkeypatch.chdir(shutil.copytree(little, tmp_path / "größe"))
    for name, value in dvc_queue.ascii_cache().items():
        monkeypatch.setenv(name, value)
    path = Path(dvc_queue.dvc("cache", "dir").strip())
    assert str(path).isascii()
    assert path.parent.parent == tmp_path
    assert path.readlink() == tmp_path / "größe/.dvc/cache/files/md5"


def test_outside_of_a_repository_the_queue_is_an_error_of_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: dvc queue: you are not inside of a DVC"):
        dvc_queue.states()


def test_values_of_parameters_are_options_of_dvc():
    assert dvc_queue.options(["a=1", "b=2"]) == ["--set-param", "a=1", "--set-param", "b=2"]


def test_what_the_cache_lacks_is_found_by_names_of_any_language_in_any_locale(little):
    outs = [{"path": "größe", "md5": "0" * 32 + ".dir"}]
    others = [{"path": "of which none takes a part", "md5": "1" * 32}]
    second = {"deps": [{"path": "größe/part"}], "outs": others}
    stages = {"first": {"outs": outs}, "second": second}
    lock = yaml.safe_dump({"stages": stages}, allow_unicode=True)
    (little / "dvc.lock").write_text(lock, "utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    code = "from experiments.dvc_queue import uncached; print(*uncached())"
    found = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | ascii_only | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert found.stdout == "first\n"


@pytest.mark.slow
def test_points_that_were_run_run_again_in_a_clone_that_has_not_run_the_commit(
    run, tmp_path, monkeypatch
):
    run(tmp_path, "git", "clone", "--quiet", PROJECT, "clone")
    run(tmp_path / "clone", "git", "config", "user.name", "Test")
    run(tmp_path / "clone", "git", "config", "user.email", "test@example.com")
    monkeypatch.chdir(tmp_path / "clone")
    point = ["embed.random.dim=8", "train.samples=20", "train.repeats=2", "train.epochs=1"]
    for _ in range(2):
        assert dvc_queue.run_queue([[*point, "model.head=mean"]], 1) != [None]


def workers(root: Path) -> list[psutil.Process]:
    """The workers of a project's queue."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(root) and "queue-worker" in process.info["cmdline"]
    ]


def test_where_a_worker_has_left_before_it_took_a_point_another_is_started(little):
    name = dvc_queue.queue(["x=2"])  # as if the only worker had ended while this was queued
    assert dvc_queue.wait([name], 1) == {}


def test_a_point_that_a_worker_took_while_it_ended_is_run(little):
    name = dvc_queue.queue(["x=2"])
    (taken,) = little.glob(".dvc/tmp/exps/celery/broker/in/*.celery.msg")
    taken.rename(taken.parents[1] / "processed" / taken.name)  # as who takes a message does
    assert dvc_queue.states()[name][1] == "Running"
    assert dvc_queue.wait([name], 1) == {}


@pytest.mark.parametrize("also", ["worker", "experiment"])
def test_of_a_killed_worker_what_had_not_ended_by_itself_has_failed(little, run, also):
    def kill() -> None:
        while not (begun := [*little.glob(".dvc/tmp/exps/run/*/*.json")]):
            time.sleep(0.1)
        for process in workers(little):
            process.kill()
        if also == "experiment":
            begun = psutil.Process(json.loads(begun[0].read_text())["pid"])
            for process in [*begun.children(recursive=True), begun]:
                process.kill()
        (little / "wait").unlink()

    (little / "wait").touch()
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        names = dvc_queue.run_queue([["x=2"], ["x=3"]], 1)
        killed.result()
    assert names.count(None) == (also == "experiment")
    assert set(run(little, "dvc", "exp", "list", "--name-only").stdout.split()) == {*names} - {None}


@slow
def test_an_interrupted_sweep_leaves_its_points_in_the_queue(project, run):
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.sweep", "-S", "train.samples=20,30"],
        cwd=project, env=dvc_queue.environment() | {"DVC_NO_ANALYTICS": "1"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while "Running" not in run(project, "dvc", "queue", "status").stdout:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("interrupted: DVC's workers go on; dvc queue stop")
    assert "Traceback" not in err
    wait_for_queue(project, run)
    assert run(project, "dvc", "queue", "status").stdout.count("Success") == 2


@slow
def test_an_ablation_runs_a_setting_without_each_of_its_lines(project, run):
    variants = {"learned": ("random", True), "pretrained": ("glove", False)}
    rows = {name: {"vectors": v, "trainable": t} for name, (v, t) in variants.items()}
    edit_params(project, variants=rows, train__epochs=1)
    setting = {"model": {"head": "mean"}, "tokenize": {"num_bigrams": 50}}
    (project / "setting.yaml").write_text(yaml.safe_dump(setting))
    command = ["python", "-m", "experiments.ablation", "--setting", "setting.yaml", "--out", "out"]
    done = run(project, *command, "-S", "train.samples=20,40")
    table = pd.read_csv(project / "out/ablation.csv")
    assert done.stdout.startswith("# aclImdb, setting setting: ")
    # Without the mean there would be no setting: bigrams need it.
    assert list(table["without"].unique()) == ["nothing", "tokenize.num_bigrams"]
    assert len(table) == 2 * 2 * 2
    assert (table[table["without"] == "nothing"]["change"] == 0).all()
    assert "| tokenize.num_bigrams |" in done.stdout
    assert "failed" not in done.stdout


def test_what_a_point_sets_twice_is_not_swept():
    grid = [["++train.epochs=3", "++seed=1", f"++train.epochs={n}"] for n in (5, 5)]
    assert points.varying(grid) == []
    assert points.varying([*grid, ["++train.epochs=3"]]) == ["train.epochs"]


def test_a_setting_is_read_as_dvc_takes_it(tmp_path):
    path = tmp_path / "setting.yaml"
    path.write_text("train: {epochs: 3, schedule: linear}\nseed: 1\n")
    assert points.read_setting(path) == [
        "++train.epochs=3", '++train.schedule="linear"', "++seed=1",
    ]  # fmt: skip


def test_a_setting_with_a_key_twice_is_refused_with_the_line(tmp_path):
    path = tmp_path / "setting.yaml"
    path.write_text("train: {samples: 1000}\nseed: 1\ntrain: {epochs: 30}\n")
    with pytest.raises(InputError) as caught:
        points.read_setting(path)
    said = str(caught.value)
    assert said.startswith(f"{path} can't be read: not valid YAML: the key train is there a second")
    assert ", line 3, column 1" in said
    assert "\n" not in said


def test_an_ablation_without_texts_to_validate_on_is_refused_before_a_point_is_queued(
    here, monkeypatch
):
    (here / "setting.yaml").write_text("train: {validation_samples: 0, epochs: 3}\n")
    argv = ["ablation", "--setting", "setting.yaml", "-S", "train.samples=20,40"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(InputError, match=r"add -S train\.validation_samples=5000"):
        ablation.main()
    # Given, the number holds at each point, and its line is never left out.
    setting, given = points.read_setting(here / "setting.yaml"), "++train.validation_samples=30"
    left_out = ablation.without(setting, [points.key_of(given)])
    assert [*left_out] == ["nothing", "train.epochs"]
    for rest in left_out.values():
        assert points.settings_of([*rest, given]).train.validation_samples == 30
        ablation.check_validation([*rest, given])


def test_an_ablation_tells_urls_apart_and_does_not_tell_their_secrets(little, run):
    (little / "metrics/training").mkdir(parents=True)
    rows = "repeat,epoch,val_accuracy\n0,1,0.5\n0,2,0.6\n"
    (little / "metrics/training/learned.csv").write_text(rows)
    run(little, "git", "add", "metrics")
    run(little, "git", "commit", "--quiet", "--message", "Train")
    finished = [{"Experiment": n, "rev": "HEAD", "learned.log_loss": 0.5} for n in "abc"]
    urls = [f"http://me:PW@host/v.txt?token={token}" for token in ("SECRET", "OTHER")]
    axis, places = "download.vectors.glove.path", [*urls, "v.txt"]
    names = {n: ("nothing", (place,)) for n, place in zip("abc", places, strict=True)}
    table = ablation.collect(finished, names, [axis])
    hidden = "http://***@host/v.txt?token=***"
    assert set(table[axis]) == {hidden, f"{hidden} (2)", "v.txt"}
    assert table["accuracy"].tolist() == [0.6] * 3
    assert table["change"].tolist() == [0] * 3


def test_an_ablation_of_draws_that_left_no_text_to_validate_on_says_so(little, run):
    (little / "metrics/training").mkdir(parents=True)
    for name, last in (("learned", "0.6"), ("pretrained", "")):
        rows = f"repeat,epoch,val_accuracy\n0,1,{last}\n0,2,{last}\n"
        (little / f"metrics/training/{name}.csv").write_text(rows)
    run(little, "git", "add", "metrics")
    run(little, "git", "commit", "--quiet", "--message", "Train")
    names = {"a": ("nothing", ())}
    finished = [{"Experiment": "a", "rev": "HEAD", "pretrained.log_loss": 0.5}]
    with pytest.raises(
        InputError, match=r"no accuracy on validation texts .* train\.samples lower"
    ):
        ablation.collect(finished, names, [])
    table = ablation.collect([finished[0] | {"learned.log_loss": 0.5}], names, [])
    assert table[["variant", "accuracy"]].to_numpy().tolist() == [["learned", 0.6]]


def test_an_ablation_runs_at_least_one_point_at_a_time(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ablation", "-j", "0"])
    with pytest.raises(SystemExit):
        ablation.main()
    assert "invalid positive value: '0'" in capsys.readouterr().err


def test_every_line_of_the_strong_setting_is_needed_or_can_be_left_out(monkeypatch):
    monkeypatch.chdir(PROJECT)
    setting = points.read_setting(Path("experiments/strong.yaml"))
    assert ablation.is_valid(setting)
    left_out = ablation.without(setting, ["train.validation_samples"])
    assert "model.head" not in left_out
    assert {"embed.adapted.vectors", "embed.adapted.weighting"} <= {*left_out}
    assert "train.word_dropout" in left_out
    assert all(len(rest) == len(setting) - 1 for key, rest in left_out.items() if key != "nothing")
