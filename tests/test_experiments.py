"""Sweep, learning curve and ablation, by the numbers: what a pipeline of known numbers gives."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import getsource
from io import StringIO
from itertools import chain, permutations
from pathlib import Path
from statistics import mean, stdev
from textwrap import wrap
from types import SimpleNamespace
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

from experiments import ablation
from tests.conftest import PROJECT, edit_params, tables_of

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
        "roc_auc": round(0.2 + 0.9 * accuracy, 4),
        "log_loss": round(1 - accuracy, 4),
        "accuracy_std": round(start / 100 + samples / 9000, 4),
    }


def compare(params: dict, variant: str) -> dict[str, float]:
    """What the pipeline says of a variant's gaps: intervals that are longer to one side."""
    low, high = 0.02 + params["train"]["samples"] / 5000, 0.01 + params["train"]["samples"] / 4000
    narrow = (3 / params["train"].get("repeats", 3)) ** 0.5
    found = {}
    for metric, width in (("accuracy", narrow), ("roc_auc", 0.7 * narrow)):
        gap = score(params, variant)[metric] - score(params, "learned")[metric]
        found[metric] = round(gap, 4)
        found[f"{metric}_low"] = round(gap - low * width, 4)
        found[f"{metric}_high"] = round(gap + high * width, 4)
    return found


def draws_of(params: dict, variant: str, metric: str) -> list[float]:
    """What the pipeline says of the repeats of a variant, beside each other; three of them."""
    scored, step = score(params, variant), 0.01 + len(metric) / 1000 + len(variant) / 500
    if metric == "accuracy":
        step = scored["accuracy_std"]
    return [round(scored[metric] + step * (repeat - 1), 4) for repeat in range(3)]


def validate(params: dict, variant: str, repeat: int, epoch: int) -> float:
    """What the pipeline says of a variant after an epoch, on what it validates on."""
    accuracy = score(params, variant)["accuracy"]
    spread = 0.003 + params["train"]["samples"] / 40_000
    return round(accuracy - 0.05 + 0.004 * epoch + spread * repeat**2, 4)


def best_of(params: dict) -> dict:
    """What the pipeline says is best, but at 50 texts of a.csv not better than one label."""
    scored = {variant: score(params, variant)["accuracy"] for variant in params["variants"]}
    first, second, *_ = sorted(scored, key=scored.get, reverse=True)
    samples = params["train"]["samples"]
    is_b = params["download"]["texts"]["path"].endswith("b.csv")
    return {
        "variant": first,
        "second": second,
        "undecided": ["tfidf"] if "tfidf" in scored and samples == 100 else [],
        "accuracy": round(samples / 1e4, 4),
        "accuracy_low": round(samples / 1e4 - 0.001, 4),
        "accuracy_high": round(samples / 1e4 + 0.002, 4),
        "over_majority_low": 0.01 if is_b or samples > 50 else -0.01,
        "over_texts_low": round(0.1 + samples / 1e3, 4),
        "over_texts_high": round(0.2 + samples / 1e3, 4),
    }


def tried(params: dict, variant: str) -> list[tuple]:
    """What the pipeline says that each repeat tried: learning rate or C, shares, epoch, chosen."""
    samples, of_start = params["train"]["samples"], 2 if variant == "pretrained" else 1
    if variant == "finetuned":
        return []
    if variant == "tfidf":
        chosen = [(3 * samples, 0, 1, 0), (samples / 10, 1, 0, 0), (12 * samples, 0, 1, 0)]
    else:
        rates = [0.03 * of_start, 0.001 * of_start, 0.01 * of_start]
        chosen = [(r, samples // 10 + n) for r, n in zip(rates, (5, 1, 2), strict=True)]
    rows = []
    for repeat, row in enumerate(chosen):
        rows += [(repeat, *row, True), (repeat, *(99 for _ in row), False)]
    return rows


def evaluate(params: dict) -> None:
    """Write what the pipeline says; of b.csv there is no outcome with flatten at 100 texts."""
    is_b = params["download"]["texts"]["path"].endswith("b.csv")
    if is_b and params["model"]["head"] == "flatten" and params["train"]["samples"] == 100:
        sys.exit("error: flatten at 100 texts")
    metrics, variants = Path("metrics"), params["variants"]
    evaluation = {variant: score(params, variant) for variant in variants}
    evaluation["gap"] = {f"{v}-learned": compare(params, v) for v in variants if v != "learned"}
    evaluation["majority"] = 0.52 if is_b else 0.525
    evaluation["best"] = best_of(params)
    (metrics / "evaluation.json").write_text(json.dumps(evaluation))
    left = 0.02 if params["train"]["samples"] == 100 else 0.001
    planning = {}
    for name, gap in evaluation["gap"].items():
        half = (gap["accuracy_high"] - gap["accuracy_low"]) / 2
        half *= 0.5 if name == "finetuned-learned" else 1
        planning[name] = {"half_width": half, "half_width_of_any_draws": left}
    (metrics / "planning.json").write_text(json.dumps({"gap": planning}))
    (metrics / "coverage.json").write_text(
        json.dumps({"glove": {"share_of_tokens": 0.15 if is_b else 0.9}})
    )
    data = {"name": "a.csv", "labels": ["bad", "good"], "train": [170, 150], "test": [42, 38]}
    if is_b:
        data = {"name": "b.csv", "labels": ["no", "yes"], "train": [101, 134], "test": [34, 31]}
    (metrics / "data.json").write_text(json.dumps(data))
    for name in ("training", "tuning"):
        (metrics / name).mkdir(exist_ok=True)
    names = ("accuracy", "roc_auc", "log_loss")
    lines = [f"variant,repeat,{','.join(names)}"]
    for variant in variants:
        for repeat, values in enumerate(
            zip(*(draws_of(params, variant, n) for n in names), strict=True)
        ):
            lines.append(f"{variant},{repeat},{','.join(map(str, values))}")
    (metrics / "scores.csv").write_text("\n".join(lines) + "\n")
    for variant in variants:
        lines = ["repeat,epoch,val_accuracy"]
        for repeat in range(params["train"]["repeats"]):
            for epoch in range(1, params["train"]["epochs"] + 1):
                lines.append(f"{repeat},{epoch},{validate(params, variant, repeat, epoch)}")
        (metrics / "training" / f"{variant}.csv").write_text("\n".join(lines) + "\n")
        lines = [f"repeat,{'C,plain,rare' if variant == 'tfidf' else 'learning_rate'},epoch,chosen"]
        lines += [",".join(map(str, row)) for row in tried(params, variant)]
        (metrics / "tuning" / f"{variant}.csv").write_text("\n".join(lines) + "\n")


PIPELINE = f"""
import json, sys, yaml
from pathlib import Path

{"".join(map(getsource, (score, compare, draws_of, validate, best_of, tried, evaluate)))}
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
      - metrics/planning.json: {cache: false}
      - metrics/scores.csv: {cache: false}
      - metrics/training: {cache: false}
      - metrics/tuning: {cache: false}
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
        recorded = (path.name for path in (PROJECT / "experiments").iterdir() if path.is_dir())
        ignored = shutil.ignore_patterns("__pycache__", *recorded)
        shutil.copytree(PROJECT / name, root / name, ignore=ignored)
    for name in (".dvc/config", ".dvcignore", ".gitignore", "data/.gitignore", "params.yaml"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    edit_params(
        root, seed=0, download__texts__source="table", download__texts__path="inputs/b.csv",
        variants={name: {"vectors": "glove", "trainable": True} for name in VARIANTS},
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
    """What the tools said and wrote, in three copies of a project; tests read it."""

    def build(root: Path) -> None:
        make(root / "made", run)

        def do(project: Path, tool: str, *arguments: str) -> Done:
            command = ("python", "-m", f"experiments.{tool}", *arguments)
            done = run(project, *command, check=False)
            workers = [*project.glob(".dvc/tmp/exps/celery/dvc-exp-worker-*.out")]
            return Done(done.returncode, done.stdout, done.stderr, len(workers))

        def sweep(project: Path) -> dict:
            grid = options("download.texts.path=inputs/a.csv,inputs/b.csv", "train.samples=100,20")
            said = {"sweep": do(project, "sweep", "--setting", "tuned.yaml", *grid)}
            return said | {"points": points_of(project, run)}

        def sweep_little(project: Path) -> dict:
            values = options("download.texts.path=inputs/b.csv", "train.samples=100")
            said = {"failing": do(project, "sweep", "-j", "1", *values)}
            one = ["--over", "tokenize.maxlen", "--panel", "train.epochs", *options("seed=3")]
            one += ["-j", "1"]
            said["one"] = do(project, "sweep", "--setting", "tuned.yaml", *one)
            few = options("train.samples=9999,20", "seed=2,1", "train.epochs=3,2")
            few += ["--panel", "model.head", "--out", "out", "--metric", "log_loss"]
            return said | {"few": do(project, "sweep", *few), "points": points_of(project, run)}

        def widen(project: Path) -> dict:
            grid = options("train.samples=20,50,100")
            limits = ["--until", "0.015", "--max-draws", "8", "--out", "out"]
            said = {"until": do(project, "sweep", *limits, *grid)}
            return said | {"points": points_of(project, run)}

        def ablate(project: Path) -> dict:
            run(
                project, "dvc", "exp", "run", "--temp", "--name", "other", "--set-param",
                "+variants.other={vectors: random, trainable: true}", "-S", "train.samples=30",
            )  # fmt: skip
            values = options("train.samples=20", "model.head=flatten")
            setting = ["--setting", "lines.yaml", "--out", "of/lines"]
            said = {"whole": do(project, "ablation", *setting, *values)}
            values = options("download.texts.path=inputs/b.csv", "train.samples=100,20")
            setting = ["--setting", "lines.yaml", "-j", "2"]
            said["ablation"] = do(project, "ablation", *setting, *values)
            points = points_of(project, run) | {"trunk": point()}
            said["all"] = do(project, "learning_curve")
            run(project, "git", "commit", "--quiet", "--allow-empty", "--message", "Go on")
            named = [name for name in points if name not in ("trunk", "other")]
            panels = ["--panel", "train.epochs, tokenize.maxlen", "--over", "train.samples"]
            places = ["--setting", "my own", "--out", "of/all", "--metric", "roc_auc"]
            said["named"] = do(project, "learning_curve", *panels, *places, "--", *named)
            return said | {"points": points}

        def ask(project: Path) -> dict:
            values = ["train.repeats=3", "train.epochs=2", "tokenize.maxlen=100"]
            values += ["variants.tfidf={vectors: tfidf, trainable: false}"]
            values += ["variants.learned.vectors=random"]
            of_a = options(*values, "download.texts.test_fraction=0.6")
            of_a += ["--strong", "-j", "1", "--out", "of/strong"]
            said = {"strong": do(project, "answer", *of_a)}
            of_b = options(*values, "download.texts.test_fraction=0.45", "model.head=flatten")
            of_b += options("download.texts.path=inputs/b.csv")
            said["answer"] = do(project, "answer", *of_b)
            return said | {"points": points_of(project, run)}

        # The longest first, and no more than cores: whoever waits for the queue asks it again.
        jobs = {
            "ablated": ablate, "little": sweep_little, "asked": ask, "swept": sweep,
            "widened": widen,
        }  # fmt: skip
        for name in jobs:
            shutil.copytree(root / "made", root / name)
        with ThreadPoolExecutor(2) as pool:
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


def holm(gaps: list[tuple[float, float, float]]) -> list[float]:
    """The corrected p-values of gaps and their ends: Student's of 2 degrees of freedom."""
    values = []
    for gap, low, high in gaps:
        t = T * abs(gap) / (gap - low if gap > 0 else high - gap)
        values.append(1 - t / (2 + t**2) ** 0.5)
    ranked = [(len(values) - place) * p for place, p in enumerate(sorted(values))]
    return [min(1, max(ranked[: sorted(values).index(p) + 1])) for p in values]


def judged(points: list[dict], variant: str, metric: str) -> list[dict]:
    """What learning_curve.csv says of a variant's gaps at the points of a panel."""
    is_b = points[0]["download"]["texts"]["path"].endswith("b.csv")
    doubtful = LITTLE_KNOWN if is_b and variant != "tfidf" else None
    names = dict(zip(("gap", "gap_low", "gap_high"), ("", "_low", "_high"), strict=True))
    found = []
    for params in points:
        gaps = compare(params, variant)
        found.append({name: gaps.get(f"{metric}{end}") for name, end in names.items()})
        if metric == "log_loss":
            gap = score(params, variant)["log_loss"] - score(params, "learned")["log_loss"]
            found[-1]["gap"] = round(gap, 4)
    told = not doubtful and metric != "log_loss"
    corrected = holm([tuple(row.values()) for row in found]) if told else [None] * len(found)
    for row, p in zip(found, corrected, strict=True):
        row["gap_p"] = p
        row["verdict"] = "no verdict" if p is None else "not significant"
        if p is not None and p < 0.05:
            row["verdict"] = "beats" if row["gap"] > 0 else "loses"
        missing = None if metric != "log_loss" else "there is no interval for log_loss"
        row["doubt"] = "; ".join(filter(None, [doubtful, missing])) or None
    return found


def curve(
    panels: list[list[dict]], keys: dict[str, Callable], data: str, setting: str,
    metric: str = "accuracy", variants: Sequence[str] = VARIANTS,
) -> pd.DataFrame:  # fmt: skip
    """What learning_curve.csv says of panels: the keys are columns, each of a function of these."""
    rows = []
    for points in panels:
        gaps = {variant: judged(points, variant, metric) for variant in variants}
        gaps["learned"] = [dict.fromkeys(row) for row in gaps["learned"]]
        for place, params in enumerate(points):
            for variant in variants:
                value = score(params, variant)[metric]
                half = T * stdev(draws_of(params, variant, metric)) / REPEATS**0.5
                chance = {"accuracy": 0.52 if data == "b.csv" else 0.525, "roc_auc": 0.5}
                rows.append(
                    {key: of(params) for key, of in keys.items()}
                    | {"variant": variant, metric: value}
                    | {f"{metric}_low": round(value - half, 4)}
                    | {f"{metric}_high": round(value + half, 4)}
                    | gaps[variant][place]
                    | {"majority": chance.get(metric)}
                    | {"data": data, "texts": int(ABOUT[data].split()[0])}
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


def check_curve(folder: Path, expected: pd.DataFrame, points: dict[str, dict]) -> str:
    """Check a learning_curve.csv, the experiments that it names by what Git has of them.

    Returns the hash of what its runs share.
    """
    table = pd.read_csv(folder / "learning_curve.csv")
    assert table.columns[-6:].tolist() == [
        "experiment", "data", "texts", "labels", "setting", "shared",
    ]  # fmt: skip
    found = table.drop(columns=["experiment", "shared"])
    pd.testing.assert_frame_equal(
        found.drop(columns="gap_p"), expected.drop(columns="gap_p"), check_dtype=False, rtol=0,
        atol=1e-9,
    )  # fmt: skip
    assert found["gap_p"].tolist() == pytest.approx(expected["gap_p"].tolist(), 1e-3, nan_ok=True)
    [metric] = {"accuracy", "roc_auc", "log_loss"} & {*table.columns}
    for row in table.to_dict("records"):
        assert score(points[row["experiment"]], row["variant"])[metric] == row[metric]
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    [shared] = table["shared"].unique()
    return shared


NO_VERDICT = "has no verdict against `learned` at every measured size."
CROSSING = re.compile(r"near ([\d,]+) \(95 %: ([\d,]+) to ([\d,]+)\)")
TITLES = {
    "accuracy": "accuracy", "roc_auc": "area under the ROC curve",
    "log_loss": "log loss (lower is better)",
}  # fmt: skip


def page(
    data: str, setting: str, panels: dict[str, list[dict]], over: dict[str, Callable],
    said: dict[str, dict[str, str]], metric: str = "accuracy",
) -> str:  # fmt: skip
    """What learning_curve.md says: for each panel its sentences, its table and its doubts.

    said: of a panel's title and a variant, what the sentence says.
    """
    [(key, of)] = over.items()
    named = f"{data}{setting and f', setting {setting}'}: {ABOUT[data]}"
    lines = [f"# Test {TITLES[metric]} on {named}", ""]
    for title, points in panels.items():
        lines += [f"### {title}", ""]
        lines += [f"- Over {key}, `{v}` {said[title][v]}" for v in VARIANTS[1:]]
        lines += ["", f"| {key} | learned | pretrained | gap | finetuned | gap |"]
        lines += ["| --: | --: | --: | --: | --: | --: |"]
        gaps = {variant: judged(points, variant, metric) for variant in VARIANTS}
        for place, params in enumerate(points):
            cells = [str(of(params)), f"{score(params, 'learned')[metric]:.3f}"]
            for variant in VARIANTS[1:]:
                gap, low, high, _, verdict, _ = gaps[variant][place].values()
                mark = "**" if verdict in ("beats", "loses") else ""
                cells.append(f"{score(params, variant)[metric]:.3f}")
                ends = "" if low is None else f" ({low:+.3f} to {high:+.3f})"
                cells.append(f"{mark}{gap:+.3f}{mark}{ends}")
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
        if doubt := gaps["pretrained"][0]["doubt"]:
            doubt = doubt.replace("_", "\\_")
            lines += [f"There is no verdict where there is doubt: everywhere {doubt}.", ""]
    if metric != "log_loss":
        share = "0.500" if metric == "roc_auc" else "0.520" if data == "b.csv" else "0.525"
        lines += [
            "Each gap has its own 95 % interval. Bold gaps are significant at 5 % after Holm's"
            " correction over all gaps of a variant.",
            "",
            f"Always the most frequent label: {TITLES[metric]} {share}.",
            "",
        ]
    if any(params["train"]["samples"] == 100 for params in chain(*panels.values())):
        lines += [OVERLAPS[data], ""]
    return "\n".join(lines)


OVERLAPS = {
    data: f"At train.samples 100 draws overlap: each has more than a fifth of the {n_texts} texts"
    " to train on. There the intervals of gaps are widened for what the draws share. Where a draw"
    " has all texts, they speak of these texts with other seeds and other test texts."
    for data, n_texts in (("a.csv", 320), ("b.csv", 235))
}


def alone(data: str, setting: str, params: dict, place: str, metric: str = "accuracy") -> str:
    """What is printed of a run alone."""
    named = f"{data}{setting and f', setting {setting}'}: {ABOUT[data]}"
    lines = [*wrap(f"Test {TITLES[metric]} on {named}; {place}", 79), "with 95 % intervals:"]
    for row in curve([[params]], {}, data, "", metric).to_dict("records"):
        band = f"{row[metric]:.3f} ({row[f'{metric}_low']:.3f} to {row[f'{metric}_high']:.3f})"
        gap = f"  gap {row['gap']:+.3f} ({row['gap_low']:+.3f} to {row['gap_high']:+.3f})"
        lines.append(f"{row['variant']:<20}  {band}{gap if row['variant'] != 'learned' else ''}")
    if data == "b.csv":
        lines += wrap(f"There is no verdict where there is doubt: everywhere {LITTLE_KNOWN}.", 79)
    return "\n".join(lines) + "\n"


def tuned(data: str, *sizes: int) -> list[dict]:
    """The points of some sizes with the setting of tuned.yaml."""
    return [point(data, samples=samples, maxlen=50, epochs=3) for samples in sizes]


def folders(project: Path) -> list[str]:
    found = (path.name for path in (project / "experiments").iterdir() if path.is_dir())
    return sorted({*found} - {"__pycache__"})


def check_written(project: Path, done: Done, pages: dict[str, str], *alone: str) -> None:
    """Check that pages are in these folders, printed, and named, in whichever order.

    Crossings are compared by number; what is printed of a run alone has no folder.
    """
    for folder, text in pages.items():
        written = (project / folder / "learning_curve.md").read_text()
        assert CROSSING.sub("near …", written) == CROSSING.sub("near …", text)
        found, expected = (
            [int(n.replace(",", "")) for near in CROSSING.findall(of) for n in near]
            for of in (written, text)
        )
        assert found == pytest.approx(expected, rel=0.06)  # of 2,000 draws, to two digits
    printed = [(project / folder / "learning_curve.md").read_text() for folder in pages]
    assert done.out in ["".join(f"{t}\n" for t in p) for p in permutations([*printed, *alone])]
    said = [f"{folder}/learning_curve.csv, .md and .png" for folder in pages]
    assert sorted(done.err.splitlines()[-len(said) :]) == sorted(said)


def fieller(points: list[dict], variant: str) -> str:
    """Where the gap of two points changes its sign, and the interval of that, by Fieller.

    At the share w of the way over the logarithm of the size, the gap and its half width are those
    of the ends with the weights 1 - w and w; the ends of the interval are where both are as large.
    """
    (gap, *ends), (gap_2, *ends_2) = (
        [compare(params, variant)[f"accuracy{end}"] for end in ("", "_low", "_high")]
        for params in points
    )
    half, half_2 = (ends[1] - ends[0]) / 2, (ends_2[1] - ends_2[0]) / 2
    size, size_2 = (params["train"]["samples"] for params in points)

    def where(sign: int) -> str:
        low, high = 0.0, 1.0
        for _ in range(50):
            w = (low + high) / 2
            width = (((1 - w) * half) ** 2 + (w * half_2) ** 2) ** 0.5
            low, high = (w, high) if (1 - w) * gap + w * gap_2 > sign * width else (low, w)
        return f"{float(f'{size * (size_2 / size) ** low:.2g}'):.0f}"

    return f"near {where(0)} (95 %: {where(1)} to {where(-1)})"


def test_a_sweep_draws_its_points_that_ended_well_by_data(ran):
    project, points = ran.root / "swept", ran.points["swept"]
    of_a = tuned("a.csv", 20, 100)
    folder, title = "experiments/a.csv-tuned", "model.head flatten"
    crossing = {variant: fieller(of_a, variant) for variant in VARIANTS[1:]}
    said = {
        variant: f"beats `learned` at 20, and loses to it at 100; the lines cross {near}."
        for variant, near in crossing.items()
    }
    pages = {folder: page("a.csv", "tuned", {title: of_a}, SAMPLES, {title: said})}
    check_curve(project / folder, curve([of_a], HEAD | SAMPLES, "a.csv", "tuned"), points)
    # Of the other file, the point with 100 samples has failed.
    place = "train.samples 20, model.head flatten"
    check_written(
        project, ran.said["sweep"], pages, alone("b.csv", "tuned", *tuned("b.csv", 20), place)
    )


def test_of_a_sweep_a_point_that_failed_is_named_and_ends_it_with_1(ran):
    done = ran.said["sweep"]
    assert done.status == 1
    assert "4/4" in done.err
    assert "failed=1" in done.err
    said = re.findall(r"^(\w{7}) failed: dvc queue logs \1 shows why$", done.err, re.MULTILINE)
    assert len(said) == 1
    assert len(ran.points["swept"]) == 3
    assert "error" not in done.err


OF_ALL = {
    "a.csv": {"flatten": [20, 50]},  # the second is the commit's own
    "b.csv": {"flatten": [20], "mean": [20, 100]},  # flatten at 100 has failed
}


def test_all_runs_give_a_curve_for_each_data_set_and_what_it_leaves_out_is_named(ran):
    project, points = ran.root / "ablated", ran.points["ablated"]
    said = {
        "pretrained": "beats `learned` at every measured size.",
        "finetuned": "beats `learned` at 20, and is not significantly different at 50.",
    }
    pages, shared = {}, set()
    for data, sizes in OF_ALL.items():
        panels = {
            f"model.head {head}": [point(data, head, n) for n in of] for head, of in sizes.items()
        }
        folder = f"experiments/{data}"
        none = dict.fromkeys(VARIANTS, NO_VERDICT)
        few = dict.fromkeys(VARIANTS, NO_VERDICT.replace("every measured size", "20"))
        of_b = {"model.head flatten": few, "model.head mean": none}
        told = {"model.head flatten": said} if data == "a.csv" else of_b
        pages[folder] = page(data, "", panels, SAMPLES, told)
        expected = curve([*panels.values()], HEAD | SAMPLES, data, "")
        shared.add(check_curve(project / folder, expected, points))
    assert len(shared) == 2
    done = ran.said["all"]
    check_written(project, done, pages)
    assert done.status == 0
    left_out = [line for line in done.err.splitlines() if "left out" in line]
    assert len(left_out) == 1
    assert left_out[0].startswith("other is left out: another variants.other.")


def test_named_runs_of_an_earlier_commit_give_a_curve_of_them_alone_in_any_metric(ran):
    project, points = ran.root / "ablated", ran.points["ablated"]
    means = [point("b.csv", "mean", samples) for samples in (20, 100)]
    folder, title = "of/all/b.csv-my-own-roc_auc", "train.epochs 2, tokenize.maxlen 100"
    said = {title: dict.fromkeys(VARIANTS, NO_VERDICT)}
    pages = {folder: page("b.csv", "my own", {title: means}, SAMPLES, said, "roc_auc")}
    expected = curve([means], EPOCHS | MAXLEN | SAMPLES, "b.csv", "my own", "roc_auc")
    check_curve(project / folder, expected, points)
    done = ran.said["named"]
    place = "train.samples 20, train.epochs 2, tokenize.maxlen 100"
    check_written(
        project, done, pages, alone("a.csv", "my own", point(samples=20), place, "roc_auc")
    )
    assert done.status == 0
    [flat] = [name for name, of in points.items() if is_at(of, "b.csv", "flatten", 20)]
    assert f"{flat} is left out: another model.head" in done.err.splitlines()


def is_at(params: dict, data: str, head: str, samples: int) -> bool:
    return (
        params["download"]["texts"]["path"].endswith(data)
        and params["model"]["head"] == head
        and params["train"]["samples"] == samples
    )


def test_the_tools_write_no_other_folder(ran):
    assert folders(ran.root / "swept") == ["a.csv-tuned"]
    assert folders(ran.root / "little") == []
    assert folders(ran.root / "ablated") == ["a.csv", "b.csv", "b.csv-lines"]


def test_as_many_points_run_at_a_time_as_asked_for(ran):
    found = {name: done.n_workers for name, done in ran.said.items()}
    assert found == {
        "whole": 1, "ablation": 2, "all": 2, "named": 2, "failing": 1, "one": 1, "few": 2,
        "sweep": 2, "until": 2, "strong": 1, "answer": 2,
    }  # fmt: skip


def test_a_sweep_of_one_point_prints_its_result_and_ends_well(ran):
    params, done = point(maxlen=50, epochs=3, seed=3), ran.said["one"]
    assert done.status == 0
    place = "tokenize.maxlen 50, train.epochs 3"
    assert done.out == alone("a.csv", "tuned", params, place) + "\n"


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
    expected = curve([*panels.values()], HEAD | EPOCHS | SEED, "a.csv", "", "log_loss")
    check_curve(project / "out", expected, ran.points["little"])
    no_verdict = dict.fromkeys(VARIANTS, NO_VERDICT.replace("size", "value"))
    said = dict.fromkeys(panels, no_verdict)
    check_written(project, done, {"out": page("a.csv", "", panels, SEED, said, "log_loss")})


def test_where_every_point_has_failed_nothing_is_drawn(ran):
    done = ran.said["failing"]
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith(" shows why\n")


def test_a_sweep_adds_draws_until_a_width_or_a_limit_and_says_where_it_ends(ran):
    points, done = ran.points["widened"], ran.said["until"]
    assert done.status == 0
    halves = {}
    for of in points.values():
        gap = compare(of, "pretrained")  # the wider one
        half = (gap["accuracy_high"] - gap["accuracy_low"]) / 2
        halves[of["train"]["samples"], of["train"]["repeats"]] = f"± {half:.4f}"
    said = [
        f"train.samples=20: {halves[20, 3]} with 3 draws, going on with 6",
        f"train.samples=50: {halves[50, 3]} with 3 draws, going on with 6",
        f"train.samples=100: {halves[100, 3]} with 3 draws, and no number of draws gives ± 0.015",
        f"train.samples=50: {halves[50, 6]} with 6 draws, going on with 8",
        f"train.samples=50: {halves[50, 8]} with 8 draws, which is the limit (--max-draws)",
    ]
    assert [line for line in done.err.splitlines() if "±" in line] == said
    assert {*halves} == {(20, 3), (20, 6), (50, 3), (50, 6), (50, 8), (100, 3)}


def test_the_curve_has_of_each_point_the_run_with_the_most_draws(ran):
    project, points = ran.root / "widened", ran.points["widened"]
    table = pd.read_csv(project / "out/learning_curve.csv")
    table["repeats"] = [points[name]["train"]["repeats"] for name in table["experiment"]]
    assert dict(zip(table["train.samples"], table["repeats"], strict=True)) == {
        20: 6, 50: 8, 100: 3,
    }  # fmt: skip
    for row in table.query("variant != 'learned'").to_dict("records"):
        gap = compare(points[row["experiment"]], row["variant"])
        assert [row["gap_low"], row["gap_high"]] == [gap["accuracy_low"], gap["accuracy_high"]]
    page = (project / "out/learning_curve.md").read_text()
    assert "The points have 3 to 8 draws each." in page


ABLATED = {"nothing": "mean", "model.head": "flatten"}  # without what, and the head then


def last_of(params: dict, variant: str) -> list[float]:
    """The accuracy of each draw after the last epoch."""
    return [validate(params, variant, draw, params["train"]["epochs"]) for draw in range(REPEATS)]


OF_ANSWER = [*VARIANTS, "tfidf"]
SIMPLEST = "the simplest: nothing is significantly more accurate"
ONE_LABEL = "nothing is significantly better than always saying the same label"


def answered(ran: SimpleNamespace, name: str, points: list[dict], take: list[str]) -> dict:
    """Check an answer but its words: each number from its own size and variant.

    take: of each size, the names that are to be taken. Returns the paragraphs of the page.
    """
    data = Path(points[0]["download"]["texts"]["path"]).name
    place = "of/strong" if name == "strong-answer" else f"experiments/{data}-answer"
    folder = ran.root / "asked" / place
    expected = curve([points], SAMPLES, data, name, variants=OF_ANSWER)
    check_curve(folder, expected, ran.points["asked"])
    text = (folder / "answer.md").read_text()
    found, sizes = tables_of(text), [params["train"]["samples"] for params in points]
    best = [best_of(params | {"variants": OF_ANSWER}) for params in points]
    assert found["What to take"][1:] == [
        [str(size), names, f"`{of['variant']}` {of['accuracy']:+.3f} ({of['accuracy_low']:+.3f} to"
         f" {of['accuracy_high']:+.3f}) against `{of['second']}`"]
        for size, names, of in zip(sizes, take, best, strict=True)
    ]  # fmt: skip
    rows = found["Accuracy by number of labels"]
    assert rows[0] == ["labels", *(f"`{name}`" for name in OF_ANSWER)]
    for row, params in zip(rows[1:], points, strict=True):
        means = [f"{score(params, variant)['accuracy']:.3f}" for variant in OF_ANSWER]
        assert [cell.split()[0] for cell in row] == [str(params["train"]["samples"]), *means]
    assert found["What each chose"][1:] == [
        [str(n), f"0.01, {n // 10 + 2} epochs", f"0.02, {n // 10 + 2} epochs", "",
         f"C {3 * n}, plain 0, rare 1"]
        for n in sizes
    ]  # fmt: skip
    html = (folder / "answer.html").read_text()
    assert "<title>Which start for these texts, and from how many labels on?</title>" in html
    assert "data:image/png;base64," in html
    of, last = best[-1], score(points[-1], best[-1]["variant"])
    half = T * last["accuracy_std"] / REPEATS**0.5
    always = {"a.csv": "bad has 0.525", "b.csv": "yes has 0.520"}[data]
    end = (
        f"With {sizes[-1]} labels the most accurate, {of['variant']}, has an accuracy of"
        f" {last['accuracy']:.3f} ({last['accuracy'] - half:.3f} to {last['accuracy'] + half:.3f}"
        f" over draws, {of['over_texts_low']:.3f} to {of['over_texts_high']:.3f} over test texts);"
        f" always saying {always}."
    )
    end += " tfidf needs no vectors and no network." * (take[-1] == "`tfidf`")
    said = " ".join(ran.said[name.partition("-")[0]].out.split())
    assert end in said
    assert said.endswith(f"The page: {place}/answer.html")
    sections = [part.split("\n\n") for part in text.removesuffix("\n").split("\n\n## ")]
    return {title: blocks for title, *blocks in sections} | {"said": said}


def test_an_answer_takes_each_number_from_its_own_run_and_says_what_is_missing(ran):
    points, done = [point("b.csv", "flatten", n) for n in (50, 130)], ran.said["answer"]
    assert done.status == 1  # flatten at 100 texts fails
    assert "3 sizes to measure: 50 100 130 labels" in done.err
    found = answered(ran, "answer", points, ["no recommendation", "`learned`"])
    assert found["said"].startswith(
        "On b.csv, 235 texts to train on and 65 to test on, labels no and yes: At 50 nothing can be"
        f" recommended ({LITTLE_KNOWN}); at 130 take learned, significantly the most accurate."
    )
    [cost] = found["What it cost"]
    assert re.fullmatch(
        r"2 sizes, 3 draws and 4 variants: this run took [0-2]\.\d minutes, 2 sizes at a time\."
        r" What was in DVC's cache before took no time\.",
        cost,
    )


def test_the_strong_answer_says_what_its_variants_are(ran):
    points, done = [point("a.csv", "mean", n) for n in (50, 100)], ran.said["strong"]
    assert done.status == 0
    found = answered(ran, "strong-answer", points, ["no recommendation", "`tfidf`"])
    assert (
        f"At 50 nothing can be recommended ({ONE_LABEL}); at 100 take tfidf, {SIMPLEST}."
        in found["said"]
    )
    made = "(pretrained vectors beside ones fitted to the text, trained on)"
    assert (
        "This is the strong setting. All variants read the last 100 words of a text, and up to"
        f" 1,600 pairs of adjacent words: learned (random vectors, trained on), pretrained {made},"
        f" finetuned {made} and tfidf (no embedding: a logistic regression on TF-IDF, weighed by"
        " naive Bayes, beside up to 100 columns fitted to the text)."
    ) in found["said"]
    assert found["What it cost"][0].startswith("2 sizes, 3 draws and 4 variants: this run took ")
    assert "1 size at a time" in found["What it cost"][0]


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
    table = pd.read_csv(ran.root / "ablated/of/lines/ablation.csv")
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
