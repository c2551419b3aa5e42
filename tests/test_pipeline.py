"""The pipeline, run by DVC: what reruns after which change, and what it leaves behind."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import PATIENCE, edit_params


@pytest.fixture
def copy(reproduced, tmp_path):
    """The reproduced project, its cache and its Git history, in a folder of its own."""
    return shutil.copytree(reproduced, tmp_path / "copy")


def content(root: Path) -> dict[str, bytes]:
    """Every file of data/ and metrics/, so also one that should not have been left."""
    files = (path for folder in ("data", "metrics") for path in (root / folder).rglob("*"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.is_file()}


def changed_stages(run, root) -> set[str]:
    return set(json.loads(run(root, "dvc", "status", "--json").stdout))


def ran(done) -> list[str]:
    lines = done.stdout.splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage")]


def test_a_second_repro_runs_nothing(copy, run):
    assert "Data and pipelines are up to date" in run(copy, "dvc", "repro").stdout


def test_no_table_has_more_than_six_decimals(reproduced):
    tables = [*(reproduced / "metrics").rglob("*.csv"), *(reproduced / "data/report").glob("*.csv")]
    decimals = {path: map(len, re.findall(r"\.(\d+)", path.read_text())) for path in tables}
    longest = {path: max(of, default=0) for path, of in decimals.items()}
    trained, scores = reproduced / "metrics/training/learned.csv", reproduced / "metrics/scores.csv"
    assert longest[trained] == longest[scores] == max(longest.values()) == 6


def test_the_metrics_have_the_agreed_keys(reproduced):
    evaluation = json.loads((reproduced / "metrics/evaluation.json").read_text())
    variants = ["learned", "pretrained", "finetuned", "tfidf"]
    assert list(evaluation) == [*variants, "gap", "best", "majority"]
    scored = ["balanced_accuracy", "macro_f1", "log_loss", "roc_auc"]
    for variant in variants:
        assert list(evaluation[variant]) == [
            "accuracy", "accuracy_std", *scored, "largest_share",
        ]  # fmt: skip
    assert list(evaluation["gap"]) == [f"{name}-learned" for name in variants[1:]]
    compared = ["accuracy", "roc_auc", "balanced_accuracy", "macro_f1"]
    for name, gap in evaluation["gap"].items():
        assert list(gap) == [f"{of}{end}" for of in compared for end in ("", "_low", "_high")]
        variant = name.removesuffix("-learned")
        for metric in compared:
            difference = evaluation[variant][metric] - evaluation["learned"][metric]
            assert gap[metric] == pytest.approx(difference, abs=1.1e-4)
            assert gap[f"{metric}_low"] < gap[metric] < gap[f"{metric}_high"]
    assert list(evaluation["best"]) == [
        "variant", "second", "accuracy", "accuracy_low", "accuracy_high", "undecided",
        "over_majority", "over_majority_low", "over_majority_high",
        "over_texts_low", "over_texts_high",
    ]  # fmt: skip
    scores = (reproduced / "metrics/scores.csv").read_text().splitlines()
    assert scores[0] == "variant,repeat,accuracy,balanced_accuracy,macro_f1,log_loss,roc_auc"
    assert len(scores) == 1 + len(variants) * 2
    history = (reproduced / "metrics/training/learned.csv").read_text().splitlines()
    assert history[0] == "repeat,epoch,loss,accuracy,val_loss,val_accuracy"
    assert len(history) == 1 + 2 * 2
    predictions = pq.read_table(reproduced / "data/predictions/test.parquet").to_pandas()
    assert predictions.groupby("variant", observed=True).size().to_dict() == (
        dict.fromkeys(variants, 2 * 60)
    )


def test_the_baseline_is_fitted_and_scored_repeat_by_repeat(reproduced):
    sequences = np.load(reproduced / "data/sequences/test/sequences.npy")
    predictions = pq.read_table(reproduced / "data/predictions/test.parquet").to_pandas()
    found = predictions[predictions["variant"] == "tfidf"].pivot(
        index="repeat", columns="row", values="probability"
    )
    for repeat in range(2):
        with h5py.File(reproduced / f"data/models/tfidf/repeat_{repeat}.weights.h5") as file:
            idf, weights, bias = (file[k][:] for k in ("idf", "coefficients", "intercept"))
        for row, ids in enumerate(sequences):
            own, counts = np.unique(ids[ids > 0], return_counts=True)
            features = (1 + np.log(counts)) * idf[own]
            z = features @ weights[own] / max(np.linalg.norm(features), 1e-9) + bias[0]
            assert found.loc[repeat, row] == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-5)
    assert (found.loc[0] - found.loc[1]).abs().max() > 0.01  # else nothing was tested


def test_a_parameter_reruns_only_what_reads_it(copy, run):
    trains = {f"train@{name}" for name in ("learned", "pretrained", "finetuned", "tfidf")}
    edit_params(copy, train__samples=30)
    assert changed_stages(run, copy) == {*trains, "evaluate", "report"}
    edit_params(copy, train__samples=40, embed__random__dim=4)
    assert changed_stages(run, copy) == {"embed", "train@learned", "evaluate", "report"}
    edit_params(copy, embed__random__dim=8, tokenize__maxlen=10)
    assert changed_stages(run, copy) == {"tokenize", "report"}
    edit_params(copy, tokenize__maxlen=20, model__head="mean")
    assert changed_stages(run, copy) == {*trains, "predict", "report"}


def test_another_width_and_a_second_file_of_vectors_rerun_only_what_is_made_of_them(
    copy, run, tmp_path
):
    (tmp_path / "other.vec").write_text("3 2\nthe 1 2\nworst 3 4\nplot 5 6\n")
    vectors = yaml.safe_load((copy / "params.yaml").read_text())["download"]["vectors"]["glove"]
    before = json.loads((copy / "metrics/evaluation.json").read_text())
    glove = json.loads((copy / "metrics/coverage.json").read_text())["glove"]
    edit_params(
        copy,
        download__vectors__other=vectors
        | {"source": "fasttext", "path": str(tmp_path / "other.vec")},
        embed__other={"vectors": "other"},
        variants__other={"vectors": "other", "trainable": False},
        embed__random__dim=4,
    )
    assert ran(run(copy, "dvc", "repro")) == [
        "vectors@other", "embed", "train@learned", "train@other", "predict", "evaluate", "report",
    ]  # fmt: skip
    covered = json.loads((copy / "metrics/coverage.json").read_text())
    assert covered["glove"] == glove
    words = pq.read_table(copy / "data/sequences/vocabulary.parquet").to_pydict()
    count = dict(zip(words["word"], words["count"], strict=True))
    share = (count["the"] + count["worst"] + count["plot"]) / sum(count.values())
    assert covered["other"]["share_of_tokens"] == pytest.approx(share, abs=5e-5)
    assert covered["other"]["words_with_vector"] == 3
    matrix = np.load(copy / "data/embeddings/other.npy")
    place = {word: i for i, word in enumerate(words["word"], 1)}
    assert [matrix[place[w]].tolist() for w in ("the", "worst", "plot")] == [[1, 2], [3, 4], [5, 6]]
    assert len(matrix.any(axis=1).nonzero()[0]) == 3
    after = json.loads((copy / "metrics/evaluation.json").read_text())
    others = ["pretrained", "finetuned", "tfidf", "other"]
    assert list(after["gap"]) == [f"{name}-learned" for name in others]
    same = [name for name in before if name != "best" and after[name] == before[name]]
    assert same == ["pretrained", "finetuned", "tfidf", "majority"]
    page = (copy / "metrics/report.md").read_text()
    assert "| `other` | pretrained vectors (`other`), frozen |" in page
    assert "**Warning:** `other`: only " in page


def test_a_changed_line_reruns_only_the_stages_whose_outputs_it_may_decide(copy, run):
    stages = {
        "stages/shared/errors.py": set(),
        "stages/shared/params.py": set(),
        "stages/report/answer.py": {"report"},
        "stages/report/page.css": {"report"},
        "stages/evaluate/scores.py": {"evaluate"},
        "stages/predict/scoring.py": {"predict"},
        "stages/embed/coverage.py": {"embed"},
        "stages/shared/tables.py": {"evaluate", "report"},
    }
    for path, expected in stages.items():
        whole = (copy / path).read_text()
        (copy / path).write_text(whole + "\n")
        assert changed_stages(run, copy) == expected, path
        (copy / path).write_text(whole)


def test_a_clone_that_is_given_the_cache_has_nothing_to_do(reproduced, run, tmp_path):
    run(tmp_path, "git", "clone", "--quiet", str(reproduced), "clone")
    run(tmp_path / "clone", "dvc", "cache", "dir", "--local", str(reproduced / ".dvc/cache"))
    run(tmp_path / "clone", "dvc", "checkout")
    assert "Data and pipelines are up to date" in run(tmp_path / "clone", "dvc", "repro").stdout


def test_what_params_yaml_no_longer_names_is_removed_and_a_clone_has_nothing_to_do(copy, run):
    params = (copy / "params.yaml").read_text()
    glove = yaml.safe_load(params)["download"]["vectors"]["glove"]
    edit_params(copy, download__vectors__other=glove)
    run(copy, "dvc", "repro", "embed")
    assert (copy / "data/raw/vectors/other/words.txt").exists()
    (copy / "params.yaml").write_text(params)
    (copy / "data/raw/vectors/words.txt").write_text("of an older version\n")
    variants = yaml.safe_load(params)["variants"]
    edit_params(copy, variants={name: variants[name] for name in ("learned", "pretrained")})
    said = run(copy, "dvc", "repro").stdout.splitlines()
    for path in ("data/raw/vectors/other", "data/raw/vectors/words.txt", "data/models/finetuned",
                 "metrics/training/finetuned.csv"):  # fmt: skip
        assert not (copy / path).exists()
        assert said.count(f"{path}: removed, params.yaml does not name it any more") == 1
    assert {path.name for path in (copy / "data/models").iterdir()} == {"learned", "pretrained"}
    run(copy, "git", "commit", "--quiet", "--all", "--message", "Compare two variants")
    run(copy.parent, "git", "clone", "--quiet", str(copy), "clone")
    clone = copy.parent / "clone"
    run(clone, "dvc", "cache", "dir", "--local", str(copy / ".dvc/cache"))
    run(clone, "dvc", "checkout")
    assert "Data and pipelines are up to date" in run(clone, "dvc", "repro").stdout


def test_too_many_samples_stop_the_stage_with_one_line(copy, run):
    edit_params(copy, train__samples=300)
    done = run(copy, "python", "-m", "stages.train", "learned", check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: params.yaml: train.samples is 300, but the train split has only 200 texts:"
        " set train.samples to at most 200\n"
    )


@pytest.mark.parametrize(
    "head", ["conv", *(pytest.param(of, marks=pytest.mark.slow) for of in ("flatten", "mean"))]
)
def test_training_that_diverges_stops_with_one_line_and_leaves_nothing(copy, run, head):
    edit_params(copy, model__head=head, train__optimizer="sgd", train__learning_rate=1000)
    before = content(copy)
    done = run(copy, "python", "-m", "stages.train", "pretrained", check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"error: variants\.pretrained, repeat [01], epoch [12]: training diverged at learning rate"
        r" 1000 \((training loss \S+|a weight is no finite number)\): set a smaller"
        r" train\.learning_rate", last
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert content(copy) == before


def test_dvc_draws_every_plot(copy, run):
    page = run(copy, "dvc", "plots", "show").stdout.strip().removeprefix("file://")
    html = Path(page).read_text()
    drawn = {*re.findall(r'"title":\s*\{"text":\s*"([^"]+)"', html)}
    for plot in yaml.safe_load((copy / "dvc.yaml").read_text())["plots"][:-1]:
        [(_, settings)] = plot.items()
        assert settings["title"] in drawn
    for variant in ("learned", "pretrained", "finetuned"):
        assert f"Validation accuracy of {variant} by epoch, each repeat" in html
    pictures = {*re.findall(r'<img[^>]+src="([^"]+)"', html)}
    assert {Path(picture).name.split("_")[-1] for picture in pictures} == {
        path.name for path in (copy / "metrics/figures").iterdir()
    }


def test_a_page_of_plots_needs_no_network(copy, run, project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(project))
    run(copy, "python", "-m", "experiments.plots_page")
    page = run(copy, "dvc", "plots", "show").stdout.strip().removeprefix("file://")
    html = Path(page).read_text()
    assert "vegaEmbed" in html
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=.(?:https?:)?//", html)


# Runs a stage with each of some inputs missing, overwritten, and with one bit turned over; what is
# seen of the last by nothing but its MD5 is seen when DVC runs the stage.
WITH_EACH_INPUT_SPOILT = """
import importlib, os, sys
from pathlib import Path
from stages.shared import errors, integrity
module, inputs, *sys.argv[1:] = sys.argv[1:]
stage = importlib.import_module(f"stages.{module}.__main__")
for path in map(Path, inputs.split(",")):
    whole = path.read_bytes()
    for what in ("missing", "overwritten", "flipped"):
        path.unlink()
        if what == "overwritten":
            path.write_bytes(b"not what belongs here")
        elif what == "flipped":
            middle = len(whole) // 2
            path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
            os.environ["DVC_STAGE"] = module
        try:
            errors.run(stage.main)
            print(path, what, "it ran", sep="|")
        except SystemExit as end:
            print(path, what, end, sep="|")
        os.environ.pop("DVC_STAGE", None)
        integrity.md5_of.cache_clear()
        path.write_bytes(whole)
"""


@pytest.mark.parametrize(
    ("module", "arguments", "inputs"),
    [
        ("tokenize", [], ["data/raw/texts.parquet"]),
        (
            "embed",
            [],
            [
                "data/sequences/vocabulary.parquet",
                "data/raw/vectors/glove/words.txt",
                "data/raw/vectors/glove/matrix.npy",
            ],
        ),
        (
            "train",
            ["pretrained"],
            [
                "data/sequences/train/sequences.npy",
                "data/sequences/train/labels.npy",
                "data/embeddings/glove.npy",
            ],
        ),
        (
            "predict",
            [],
            [
                "data/models/learned/repeat_0.weights.h5",
                "data/models/finetuned/repeat_1.weights.h5",
                "data/sequences/test/labels.npy",
                "data/sequences/test/sequences.npy",
            ],
        ),
        (
            "evaluate",
            [],
            [
                "data/embeddings/random.npy",
                "data/models/learned/repeat_0.weights.h5",
                "data/predictions/test.parquet",
                "data/raw/texts.parquet",
                "data/sequences/train/labels.npy",
                "data/sequences/train/sequences.npy",
                "data/sequences/vocabulary.parquet",
                "metrics/training/learned.csv",
            ],
        ),
        (
            "report",
            [],
            [
                "data/report/lengths.csv",
                "metrics/coverage.json",
                "metrics/data.json",
                "metrics/evaluation.json",
                "metrics/planning.json",
                "metrics/scores.csv",
                "metrics/training/learned.csv",
            ],
        ),
    ],
)
def test_an_input_that_is_missing_or_corrupt_is_named(copy, run, module, arguments, inputs):
    before = content(copy)
    script = ["python", "-c", WITH_EACH_INPUT_SPOILT]
    done = run(copy, *script, module, ",".join(inputs), *arguments)
    rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 2]
    assert len(rows) == 3 * len(inputs), done.stderr
    for artifact, what, said in rows:
        assert said.startswith(f"error: {Path(artifact).parent}"), (artifact, what, said)
        assert "dvc repro" in said
        assert "is not what was written" in said if what == "flipped" else "MD5" not in said
    assert "Traceback" not in done.stderr
    assert content(copy) == before


def test_a_head_that_is_wider_than_a_review_is_refused(copy, run):
    edit_params(copy, model__head="conv")
    sequences = copy / "data/sequences/train/sequences.npy"
    np.save(sequences, np.load(sequences)[:, :3])
    done = run(copy, "python", "-m", "stages.train", "learned", check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: params.yaml: model.head conv needs tokenize.maxlen of at least 5, not 3\n"
    )


@pytest.mark.slow
def test_training_goes_on_where_nobody_reads_what_it_says(copy):
    edit_params(copy, train__epochs=400)
    shutil.rmtree(copy / "data/models/learned")
    command = [sys.executable, "-m", "stages.train", "learned"]
    with subprocess.Popen(
        command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as training:
        while b"epoch" not in training.stderr.read1():
            assert training.poll() is None
        training.stdout.close()
        training.stderr.close()
        try:
            training.wait(PATIENCE)
        finally:
            training.kill()
    assert training.returncode in (0, 120)  # 120: what Python had still to say is lost
    assert len([*(copy / "data/models/learned").iterdir()]) == 2
