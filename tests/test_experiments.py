"""Sweep, learning curve and ablation, by the numbers: what a pipeline of known numbers gives."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from inspect import getsource
from io import StringIO
from itertools import chain, pairwise, permutations
from pathlib import Path
from statistics import mean, stdev
from types import SimpleNamespace
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

from experiments import ablation
from tests.conftest import PROJECT, edit_params

VARIANTS = ["learned", "pretrained", "finetuned"]
REPEATS, T = 3, 4.302653  # so many standard errors to a side has a 95 % band of three draws
TUNED = {"tokenize": {"maxlen": 50}, "train": {"epochs": 3}}
LINES = {"train": {"samples": 30}, "model": {"head": "mean"}}
ABOUT = {
    "a.csv": "400 texts (320 to train on, 80 to test on), labels bad and good",
    "b.csv": "300 texts (235 to train on, 65 to test on), labels no and yes",
}
LITTLE_KNOWN = "only 15.0 % of the train split's words have a vector in glove"


def score(params: dict, variant: str) -> dict[str, float]:
    """What the pipeline says of a variant: no two points and no two variants have the same."""
    slopes = {"learned": (0.41, 0.0031), "pretrained": (0.59, 0.0007), "finetuned": (0.52, 0.0013)}
    start, slope = slopes.get(variant, (0.3, 0.001))
    samples = params["train"]["samples"]
    accuracy = start + slope * samples + 0.0003 * params["tokenize"]["maxlen"]
    accuracy += 0.002 * params["train"]["epochs"] + 0.0111 * params["seed"]
    if params["model"]["head"] == "mean":
        accuracy += 0.017 if variant == "learned" else 0.029
    if params["download"]["texts"]["path"].endswith("b.csv"):
        accuracy -= 0.03
    return {
        "accuracy": round(accuracy, 4),
        "log_loss": round(1 - accuracy, 4),
        "accuracy_std": round(start / 100 + samples / 9000, 4),
    }


def compare(params: dict, variant: str) -> dict[str, float]:
    """What the pipeline says of a variant's gap: an interval that is longer to one side."""
    gap = score(params, variant)["accuracy"] - score(params, "learned")["accuracy"]
    low, high = 0.02 + params["train"]["samples"] / 5000, 0.01 + params["train"]["samples"] / 4000
    return {
        "accuracy": round(gap, 4),
        "accuracy_low": round(gap - low, 4),
        "accuracy_high": round(gap + high, 4),
    }


def validate(params: dict, variant: str, repeat: int, epoch: int) -> float:
    """What the pipeline says of a variant after an epoch, on what it validates on."""
    accuracy = score(params, variant)["accuracy"]
    spread = 0.003 + params["train"]["samples"] / 40_000
    return round(accuracy - 0.05 + 0.004 * epoch + spread * repeat**2, 4)


def evaluate(params: dict) -> None:
    """Write what the pipeline says; of b.csv there is no outcome with flatten at 100 texts."""
    is_b = params["download"]["texts"]["path"].endswith("b.csv")
    if is_b and params["model"]["head"] == "flatten" and params["train"]["samples"] == 100:
        sys.exit("error: flatten at 100 texts")
    metrics, variants = Path("metrics"), params["variants"]
    evaluation = {variant: score(params, variant) for variant in variants}
    evaluation["gap"] = {f"{v}-learned": compare(params, v) for v in variants if v != "learned"}
    (metrics / "evaluation.json").write_text(json.dumps(evaluation))
    (metrics / "coverage.json").write_text(
        json.dumps({"glove": {"share_of_tokens": 0.15 if is_b else 0.9}})
    )
    data = {"name": "a.csv", "labels": ["bad", "good"], "train": [170, 150], "test": [42, 38]}
    if is_b:
        data = {"name": "b.csv", "labels": ["no", "yes"], "train": [101, 134], "test": [34, 31]}
    (metrics / "data.json").write_text(json.dumps(data))
    (metrics / "training").mkdir(exist_ok=True)
    for variant in variants:
        lines = ["repeat,epoch,val_accuracy"]
        for repeat in range(params["train"]["repeats"]):
            for epoch in range(1, params["train"]["epochs"] + 1):
                lines.append(f"{repeat},{epoch},{validate(params, variant, repeat, epoch)}")
        (metrics / "training" / f"{variant}.csv").write_text("\n".join(lines) + "\n")


PIPELINE = f"""
import json, sys, yaml
from pathlib import Path

{"".join(map(getsource, (score, compare, validate, evaluate)))}
params = yaml.safe_load(Path("params.yaml").read_text())
if sys.argv[1] == "download":
    shown = Path(params["download"]["texts"]["path"]).read_text()
    Path("data/raw").mkdir(parents=True, exist_ok=True)
    Path("data/raw/texts.parquet").write_text(shown)
else:
    evaluate(params)
"""
STAGES = """
stages:
  download:
    cmd: python pipeline.py download
    deps: [pipeline.py]
    params: [download]
    outs: [data/raw/texts.parquet]
  evaluate:
    cmd: python pipeline.py evaluate
    deps: [pipeline.py, data/raw/texts.parquet]
    params: [seed, download, tokenize, embed, model, train, variants]
    outs:
      - metrics/data.json: {cache: false}
      - metrics/training: {cache: false}
    metrics:
      - metrics/coverage.json: {cache: false}
      - metrics/evaluation.json: {cache: false}
"""


class Done(NamedTuple):
    """How a command ended, what it wrote, and how many workers DVC's queue has had until then."""

    status: int
    out: str
    err: str
    n_workers: int


def make(root: Path, run: Callable) -> None:
    """Make a project of that pipeline, run on a.csv and committed."""
    for name in ("experiments", "stages"):
        ignored = shutil.ignore_patterns("__pycache__", "imdb", "strong")
        shutil.copytree(PROJECT / name, root / name, ignore=ignored)
    for name in (".dvc/config", ".dvcignore", ".gitignore", "data/.gitignore", "params.yaml"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    edit_params(
        root, seed=0, download__texts__source="table", download__texts__path="inputs/b.csv",
        tokenize__maxlen=100, model__head="flatten", train__samples=50, train__repeats=REPEATS,
        train__epochs=2,
    )  # fmt: skip
    for name in ("metrics", "inputs"):
        (root / name).mkdir()
    for name, n_rows in (("a", 400), ("b", 300)):
        rows = "".join(f"text {n} of {name},{'good' if n % 2 else 'bad'}\n" for n in range(n_rows))
        (root / f"inputs/{name}.csv").write_text("text,label\n" + rows)
    (root / "pipeline.py").write_text(PIPELINE)
    (root / "dvc.yaml").write_text(STAGES)
    (root / "tuned.yaml").write_text(yaml.safe_dump(TUNED, sort_keys=False))
    (root / "lines.yaml").write_text(yaml.safe_dump(LINES, sort_keys=False))
    run(root, "git", "init", "--quiet", "--initial-branch", "trunk")
    run(root, "git", "config", "user.name", "Test")
    run(root, "git", "config", "user.email", "test@example.com")
    run(root, "git", "add", "--force", "inputs")
    run(root, "dvc", "repro", "download")  # in DVC's cache: points that land it at once can fail
    edit_params(root, download__texts__path="inputs/a.csv")
    run(root, "dvc", "repro")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Run the pipeline")


def options(*values: str) -> list[str]:
    return [word for value in values for word in ("-S", value)]


def points_of(root: Path, run: Callable) -> dict[str, dict]:
    """What Git has of each experiment that has ended: its parameters, by its name."""
    refs = run(root, "git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    refs = [ref for ref in refs if ref.count("/") == 4]
    return {
        ref.split("/")[4]: yaml.safe_load(run(root, "git", "show", f"{ref}:params.yaml").stdout)
        for ref in refs
    }


@pytest.fixture(scope="session")
def ran(run, made_once) -> SimpleNamespace:
    """What the tools said and wrote, in four copies of a project; tests read it."""

    def build(root: Path) -> None:
        make(root / "made", run)

        def do(project: Path, tool: str, *arguments: str) -> Done:
            command = ("python", "-m", f"experiments.{tool}", *arguments)
            done = run(project, *command, check=False)
            workers = [*project.glob(".dvc/tmp/exps/celery/dvc-exp-worker-*.out")]
            return Done(done.returncode, done.stdout, done.stderr, len(workers))

        def sweep(project: Path) -> dict:
            more = options("train.samples=35", "tokenize.maxlen=50", "train.epochs=3")
            run(project, "dvc", "exp", "run", "--temp", "--name", "more", *more)
            grid = options(
                "download.texts.path=inputs/a.csv,inputs/b.csv",
                "model.head=mean,flatten", "train.samples=100,20",
            )  # fmt: skip
            said = {"sweep": do(project, "sweep", "--setting", "tuned.yaml", *grid)}
            points = points_of(project, run)
            said["all"] = do(project, "learning_curve")
            run(project, "git", "commit", "--quiet", "--allow-empty", "--message", "Go on")
            heads = {name: params["model"]["head"] for name, params in points.items()}
            named = [name for name, head in heads.items() if head == "mean" or name == "more"]
            panels = ["--panel", "train.epochs, tokenize.maxlen", "--over", "train.samples"]
            places = ["--setting", "my own", "--out", "out"]
            said["named"] = do(project, "learning_curve", *panels, *places, "--", *named)
            return said | {"points": points}

        def sweep_little(project: Path) -> dict:
            one = ["--over", "tokenize.maxlen", "--panel", "train.epochs", *options("seed=3")]
            one += ["-j", "1"]
            said = {"one": do(project, "sweep", "--setting", "tuned.yaml", *one)}
            few = options("train.samples=9999,20", "seed=2,1", "train.epochs=3,2")
            few += ["--panel", "model.head", "--out", "out"]
            return said | {"few": do(project, "sweep", *few), "points": points_of(project, run)}

        def ablate(project: Path) -> dict:
            run(
                project, "dvc", "exp", "run", "--temp", "--name", "other", "--set-param",
                "+variants.other={vectors: random, trainable: true}",
            )  # fmt: skip
            values = options("train.samples=20", "model.head=flatten")
            setting = ["--setting", "lines.yaml", "--out", "out"]
            said = {"whole": do(project, "ablation", *setting, *values)}
            values = options("download.texts.path=inputs/b.csv", "train.samples=100,20")
            setting = ["--setting", "lines.yaml", "-j", "2"]
            return said | {"ablation": do(project, "ablation", *setting, *values)}

        def fail(project: Path) -> dict:
            values = options("download.texts.path=inputs/b.csv", "train.samples=100")
            return {"failing": do(project, "sweep", "-j", "1", *values)}

        jobs = {"swept": sweep, "little": sweep_little, "ablated": ablate, "failed": fail}
        for name in jobs:
            shutil.copytree(root / "made", root / name)
        with ThreadPoolExecutor() as pool:
            futures = {name: pool.submit(job, root / name) for name, job in jobs.items()}
        said = {name: future.result() for name, future in futures.items()}
        (root / "said.json").write_text(json.dumps(said))

    root = made_once("experiments", build)
    content = json.loads((root / "said.json").read_text())
    found, points = {}, {}
    for name, said in content.items():
        points[name] = said.pop("points", {})
        found |= {command: Done(*done) for command, done in said.items()}
    return SimpleNamespace(root=root, said=found, points=points)


def point(
    data: str = "a.csv", head: str = "flatten", samples: int = 50,
    maxlen: int = 100, epochs: int = 2, seed: int = 0,
) -> dict:  # fmt: skip
    """The parameters of a point, those of `make` unless given."""
    return {
        "seed": seed,
        "download": {"texts": {"path": f"inputs/{data}"}},
        "tokenize": {"maxlen": maxlen},
        "model": {"head": head},
        "train": {"samples": samples, "epochs": epochs},
    }


def curve(points: list[dict], keys: dict[str, Callable], data: str, setting: str) -> pd.DataFrame:
    """What learning_curve.csv says of points: the keys are columns, each of a function of these."""
    rows = []
    for params in points:
        for variant in VARIANTS:
            scored, compared = score(params, variant), compare(params, variant)
            half = T * scored["accuracy_std"] / REPEATS**0.5
            doubt = LITTLE_KNOWN if data == "b.csv" else None
            if variant == "learned":
                compared, doubt = dict.fromkeys(compared), None
            rows.append(
                {key: of(params) for key, of in keys.items()}
                | {"variant": variant, "accuracy": scored["accuracy"]}
                | {"accuracy_low": round(scored["accuracy"] - half, 4)}
                | {"accuracy_high": round(scored["accuracy"] + half, 4)}
                | {key.replace("accuracy", "gap"): value for key, value in compared.items()}
                | {"doubt": doubt, "data": data, "texts": int(ABOUT[data].split()[0])}
                | {"labels": ABOUT[data].split("labels ")[1].replace(" and ", ", ")}
                | {"setting": setting or None}
            )
    return as_read(pd.DataFrame(rows))


def as_read(table: pd.DataFrame) -> pd.DataFrame:
    """What a table is once it was written and read."""
    return pd.read_csv(StringIO(table.to_csv(index=False)))


HEAD = {"model.head": lambda params: params["model"]["head"]}
SAMPLES = {"train.samples": lambda params: params["train"]["samples"]}
EPOCHS = {"train.epochs": lambda params: params["train"]["epochs"]}
MAXLEN = {"tokenize.maxlen": lambda params: params["tokenize"]["maxlen"]}
SEED = {"seed": lambda params: params["seed"]}


def check_curve(folder: Path, expected: pd.DataFrame, points: dict[str, dict]) -> None:
    """Check a learning_curve.csv, the experiments that it names by what Git has of them."""
    table = pd.read_csv(folder / "learning_curve.csv")
    assert table.columns[-6:].tolist() == [
        "experiment", "data", "texts", "labels", "setting", "shared",
    ]  # fmt: skip
    found = table.drop(columns=["experiment", "shared"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=0, atol=1e-9)
    assert table["shared"].nunique() == 1
    for row in table.to_dict("records"):
        params = points[row["experiment"]]
        assert score(params, row["variant"])["accuracy"] == row["accuracy"]
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def zero(sizes: list[int], values: list[float]) -> int:
    """Where values change their sign, straight over the logarithm of the size."""
    for (x, y), (x_2, y_2) in pairwise(zip(sizes, values, strict=True)):
        if y > 0 > y_2:
            return round(x * (x_2 / x) ** (y / (y - y_2)))
    raise ValueError("no change of sign")


def sentence(variant: str, points: list[dict], over: str) -> str:
    """Who wins where: on a.csv the others where texts are few, on b.csv it can't be told."""
    gaps, said = [compare(params, variant) for params in points], f"{variant} against learned:"
    if points[0]["download"]["texts"]["path"].endswith("b.csv"):
        return f"- Over {over}, {said} no answer at any size."
    if over == "seed":
        return f"- Over {over}, {said} {variant} wins at every value."
    sizes = [params["train"]["samples"] for params in points]
    low, high, cross = (
        zero(sizes, [gap[f"accuracy{end}"] for gap in gaps]) for end in ("_low", "_high", "")
    )
    return (
        f"- Over {over}, {said} {variant} wins below {low}, learned wins above {high}, and between"
        f" them no winner is significant (the lines cross at {cross})."
    )


def page(data: str, setting: str, panels: dict[str, list[dict]], over: dict[str, Callable]) -> str:
    """What learning_curve.md says: for each panel its sentences, its table and its doubts."""
    [(key, of)] = over.items()
    lines = [f"# {data}{setting and f', setting {setting}'}: {ABOUT[data]}", ""]
    for title, points in panels.items():
        lines += [f"### {title}", ""] if title else []
        lines += [sentence(variant, points, key) for variant in VARIANTS[1:]]
        lines += ["", f"| {key} | learned | pretrained | gap | finetuned | gap |"]
        lines += ["| --: | --: | --: | --: | --: | --: |"]
        for params in points:
            cells = [str(of(params)), f"{score(params, 'learned')['accuracy']:.3f}"]
            for variant in VARIANTS[1:]:
                gap, low, high = compare(params, variant).values()
                cells.append(f"{score(params, variant)['accuracy']:.3f}")
                cells.append(f"{gap:+.3f} ({low:+.3f} to {high:+.3f})")
            lines.append(f"| {' | '.join(cells)} |")
        doubt = f"No winner is named where there is doubt: everywhere {LITTLE_KNOWN}."
        lines += ["", *([doubt, ""] if data == "b.csv" else [])]
    return "\n".join(lines)


def tuned(data: str, head: str, *sizes: int) -> list[dict]:
    """The points of some sizes with the setting of tuned.yaml."""
    return [point(data, head, samples, maxlen=50, epochs=3) for samples in sizes]


def folders(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "experiments").iterdir() if path.is_dir())


def check_written(project: Path, done: Done, pages: dict[str, str]) -> None:
    """Check that pages are in these folders, printed, and named, in whichever order."""
    for folder, text in pages.items():
        assert (project / folder / "learning_curve.md").read_text() == text
    assert done.out in ["".join(f"{text}\n" for text in p) for p in permutations(pages.values())]
    said = [f"{folder}/learning_curve.csv, .md and .png" for folder in pages]
    assert sorted(done.err.splitlines()[-len(said) :]) == sorted(said)


SWEPT = {
    "a.csv": {"flatten": [20, 100], "mean": [20, 100]},
    "b.csv": {"flatten": [20], "mean": [20, 100]},  # the other one has failed
}


def test_a_sweep_draws_its_points_that_ended_well_by_data_and_head(ran):
    project, points = ran.root / "swept", ran.points["swept"]
    pages = {}
    for data, sizes in SWEPT.items():
        panels = {f"model.head {h}": tuned(data, h, *sizes[h]) for h in ("flatten", "mean")}
        folder = f"experiments/{data}-tuned"
        pages[folder] = page(data, "tuned", panels, SAMPLES)
        check_curve(
            project / folder,
            curve([*chain(*panels.values())], HEAD | SAMPLES, data, "tuned"),
            points,
        )
    check_written(project, ran.said["sweep"], pages)


def test_of_a_sweep_a_point_that_failed_is_named_and_ends_it_with_1(ran):
    done = ran.said["sweep"]
    assert done.status == 1
    assert "8/8" in done.err
    assert "failed=1" in done.err
    said = re.findall(r"^(\w{7}) failed: dvc queue logs \1 shows why$", done.err, re.MULTILINE)
    assert len(said) == 1
    assert len(ran.points["swept"]) == 8  # 7 of the sweep, and `more`
    assert "error" not in done.err


def test_all_runs_give_a_curve_for_each_data_set_and_what_it_leaves_out_is_named(ran):
    project, points = ran.root / "swept", ran.points["swept"]
    pages = {}
    for data, sizes in SWEPT.items():
        more = {"flatten": [20, 35, 100]} if data == "a.csv" else {}
        panels = {f"model.head {h}": tuned(data, h, *n) for h, n in (sizes | more).items()}
        folder = f"experiments/{data}"
        pages[folder] = page(data, "", panels, SAMPLES)
        check_curve(
            project / folder, curve([*chain(*panels.values())], HEAD | SAMPLES, data, ""), points
        )
    done = ran.said["all"]
    check_written(project, done, pages)
    assert done.status == 0
    left_out = [line for line in done.err.splitlines() if "left out" in line]
    assert left_out == ["trunk is left out: another tokenize.maxlen, train.epochs"]


def test_named_runs_of_an_earlier_commit_give_a_curve_of_them_alone(ran):
    project, points = ran.root / "swept", ran.points["swept"]
    pages, shared = {}, set()
    for data in SWEPT:
        means = tuned(data, "mean", 20, 100)
        folder = f"out/{data}-my-own"
        pages[folder] = page(data, "my own", {"train.epochs 3, tokenize.maxlen 50": means}, SAMPLES)
        expected = curve(means, EPOCHS | MAXLEN | SAMPLES, data, "my own")
        check_curve(project / folder, expected, points)
        shared |= {*pd.read_csv(project / folder / "learning_curve.csv")["shared"]}
    done = ran.said["named"]
    check_written(project, done, pages)
    assert done.status == 0
    assert "more is left out: another model.head" in done.err.splitlines()
    assert len(shared) == 2


def test_the_tools_write_no_other_folder(ran):
    assert folders(ran.root / "swept") == ["a.csv", "a.csv-tuned", "b.csv", "b.csv-tuned"]
    assert folders(ran.root / "little") == folders(ran.root / "failed") == []
    assert folders(ran.root / "ablated") == ["b.csv-lines"]


def test_as_many_points_run_at_a_time_as_asked_for(ran):
    found = {name: done.n_workers for name, done in ran.said.items()}
    assert found == {
        "sweep": 2, "all": 2, "named": 2, "one": 1, "few": 2, "whole": 1, "ablation": 2,
        "failing": 1,
    }  # fmt: skip


def test_a_sweep_of_one_point_prints_its_result_and_ends_well(ran):
    params, done = point(maxlen=50, epochs=3, seed=3), ran.said["one"]
    assert done.status == 0
    lines = [
        "a.csv, setting tuned: 400 texts (320 to train on, 80 to test on), labels bad",
        "and good; tokenize.maxlen 50, train.epochs 3",
        "with 95 % intervals:",
    ]
    for row in curve([params], {}, "a.csv", "").to_dict("records"):
        band = f"{row['accuracy']:.3f} ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
        gap = f"  gap {row['gap']:+.3f} ({row['gap_low']:+.3f} to {row['gap_high']:+.3f})"
        lines.append(f"{row['variant']:<20}  {band}{gap if row['variant'] != 'learned' else ''}")
    assert done.out.splitlines() == [*lines, ""]


def test_a_sweep_without_points_that_cant_run_ends_with_1_and_draws_the_others(ran):
    project, done = ran.root / "little", ran.said["few"]
    assert done.status == 1
    assert "4 of 8 points can't run and are left out: train.samples=9999 seed=2 " in done.err
    panels = {
        f"model.head flatten, train.epochs {epochs}": [
            point(samples=20, epochs=epochs, seed=seed) for seed in (1, 2)
        ]
        for epochs in (2, 3)
    }
    expected = curve([*chain(*panels.values())], HEAD | EPOCHS | SEED, "a.csv", "")
    check_curve(project / "out", expected, ran.points["little"])
    check_written(project, done, {"out": page("a.csv", "", panels, SEED)})


def test_where_every_point_has_failed_nothing_is_drawn(ran):
    done = ran.said["failing"]
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith(" shows why\n")


ABLATED = {"nothing": "mean", "model.head": "flatten"}  # without what, and the head then


def last_of(params: dict, variant: str) -> list[float]:
    """The accuracy of each draw after the last epoch."""
    return [validate(params, variant, draw, params["train"]["epochs"]) for draw in range(REPEATS)]


def test_an_ablation_tells_what_each_line_is_worth_after_the_last_epoch(ran):
    expected = []
    for key, head in ABLATED.items():
        for samples in (100, 20):
            if (head, samples) == ("flatten", 100):  # which fails
                continue
            for variant in VARIANTS:
                whole = last_of(point("b.csv", "mean", samples), variant)
                draws = last_of(point("b.csv", head, samples), variant)
                change = round(mean(draws) - mean(whole), 4)
                values = [round(mean(draws), 4), round(stdev(draws), 4), change]
                expected.append([key, samples, variant, *values, "b.csv", 300, "no, yes"])
    columns = ["without", "train.samples", "variant", "accuracy", "std", "change"]
    columns += ["data", "texts", "labels"]
    table = pd.read_csv(ran.root / "ablated/experiments/b.csv-lines/ablation.csv")
    expected = pd.DataFrame(expected, columns=columns)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=0, atol=1e-9)
    assert ran.said["ablation"].status == 0


def test_the_page_of_an_ablation_has_a_column_for_each_point_and_variant(ran):
    heads = [f"{variant}, {samples}" for samples in (100, 20) for variant in VARIANTS]
    lines = [f"# b.csv, setting lines: {ABOUT['b.csv']}", "", f"| without | {' | '.join(heads)} |"]
    lines.append("| --- | --: | --: | --: | --: | --: | --: |")
    for key, head in ABLATED.items():
        cells = [key]
        for samples in (100, 20):
            for variant in VARIANTS:
                whole = mean(last_of(point("b.csv", "mean", samples), variant))
                left = mean(last_of(point("b.csv", head, samples), variant))
                change = f" ({left - whole:+.3f})".replace("-", "\N{MINUS SIGN}")
                cell = f"{left:.3f}{change if key != 'nothing' else ''}"
                cells.append("failed" if (head, samples) == ("flatten", 100) else cell)
        lines.append(f"| {' | '.join(cells)} |")
    page = (ran.root / "ablated/experiments/b.csv-lines/ablation.md").read_text()
    assert page.splitlines() == lines
    assert ran.said["ablation"].out == page + "\n"


def test_an_ablation_of_given_lines_alone_has_the_whole_setting_in_its_table(ran):
    params = point(head="flatten", samples=20)
    table = pd.read_csv(ran.root / "ablated/out/ablation.csv")
    assert table["without"].tolist() == ["nothing"] * 3
    assert table["variant"].tolist() == VARIANTS
    assert table["accuracy"].tolist() == [round(mean(last_of(params, v)), 4) for v in VARIANTS]
    accuracies = " | ".join(f"{mean(last_of(params, v)):.3f}" for v in VARIANTS)
    lines = ran.said["whole"].out.splitlines()
    assert lines[0] == f"# a.csv, setting lines: {ABOUT['a.csv']}"
    assert lines[2:5] == [
        "| without | learned | pretrained | finetuned |",
        "| --- | --: | --: | --: |",
        f"| nothing | {accuracies} |",
    ]


def test_a_point_at_which_the_whole_setting_failed_has_no_change():
    rows = [["nothing", "learned", 20, 0.6, 0.0], ["seed", "learned", 20, 0.5, -0.1]]
    rows += [["seed", "learned", 100, 0.75, None]]
    table = pd.DataFrame(rows, columns=["without", "variant", "size", "accuracy", "change"])
    assert ablation.markdown(table, ["size"]).splitlines() == [
        "| without | learned, 20 | learned, 100 |",
        "| --- | --: | --: |",
        "| nothing | 0.600 | failed |",
        "| seed | 0.500 (\N{MINUS SIGN}0.100) | 0.750 |",
    ]
