"""Settings that the docs name are run: each named one, each start, each head with each start."""

import importlib
import json
import shutil
import sys
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides
from sklearn import metrics

from experiments import points
from stages.shared import artifacts, params, tables
from tests.conftest import PROJECT, edit_params

STARTS = {
    "drawn": {"dim": 7},
    "looked_up": {"vectors": "glove"},
    "fitted": {"fitted": 3},
    "both": {"vectors": "glove", "fitted": 3},
}
WIDTHS = {"drawn": 7, "looked_up": 8, "fitted": 3, "both": 11}
VARIANTS = {
    "learned": {"vectors": "drawn", "trainable": True},
    **{name: {"vectors": name, "trainable": name == "both"} for name in STARTS},
}


@pytest.fixture
def stage(monkeypatch):
    """Runs a stage in this process, in the working directory."""

    def run(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        importlib.import_module(f"stages.{name}.__main__").main()

    return run


@pytest.fixture
def project(reproduced, tmp_path, monkeypatch) -> Path:
    """A project that has been tokenized, in which every start is asked for, where we stand."""
    root = shutil.copytree(reproduced, tmp_path / "project")
    edit_params(
        root, embed=STARTS, variants=VARIANTS, train__repeats=1, train__samples=20,
        train__validation_samples=0, train__epochs=1,
    )  # fmt: skip
    monkeypatch.chdir(root)
    return root


def matrices() -> dict[str, np.ndarray]:
    return {path.stem: np.load(path) for path in artifacts.EMBEDDINGS.iterdir()}


def test_every_combination_of_starts_gives_each_the_same_matrix(project, stage):
    stage("embed")
    whole = matrices()
    assert {name: matrix.shape[1] for name, matrix in whole.items()} == WIDTHS
    assert {*json.loads(artifacts.COVERAGE.read_text())} == {"looked_up", "both"}
    for size in range(1, len(STARTS)):
        for chosen in combinations(STARTS, size):
            embed = {name: STARTS[name] for name in chosen}
            edit_params(project, embed=embed, variants={"learned": {
                "vectors": chosen[0], "trainable": True,
            }})  # fmt: skip
            stage("embed")
            found = matrices()
            assert {*found} == {*chosen}
            for name, matrix in found.items():
                np.testing.assert_array_equal(matrix, whole[name], err_msg=str(chosen))


def test_columns_of_both_weightings_stand_beside_each_other(project, stage):
    plain, rare = {"fitted": 2}, {"fitted": 2, "weighting": "rare"}
    both = plain | {"weighting": "both"}
    embed = {"plain": plain, "rare": rare, "both": both, "all": both | {"vectors": "glove"}}
    learned = {"vectors": "plain", "trainable": True}
    edit_params(project, embed=embed, variants={"learned": learned})
    stage("embed")
    found = matrices()
    assert not np.allclose(np.abs(found["plain"]), np.abs(found["rare"]), atol=0.01)
    np.testing.assert_array_equal(found["both"], np.hstack([found["plain"], found["rare"]]))
    assert found["all"].shape[1] == 8 + 4
    np.testing.assert_array_equal(found["all"][:, 8:], found["both"])


def layers(variant: str) -> dict[str, list[np.ndarray]]:
    """Kernel and bias, or the matrix, of each layer of a trained model, from the widest on."""
    with h5py.File(artifacts.weights(variant, 0)) as file:
        found = {
            name: [layer["vars"][i][:] for i in sorted(layer["vars"])]
            for name, layer in file["layers"].items()
        }
    return {name: arrays for name, arrays in found.items() if arrays}


def probability(head: str, weights: dict[str, list[np.ndarray]], ids: np.ndarray) -> np.ndarray:
    """What such a network gives, worked out in numpy."""
    [matrix] = weights.pop("embedding")
    embedded = matrix[ids].astype(float)
    if head == "flatten":
        features = embedded.reshape(len(ids), -1)
    elif head == "mean":
        real = (ids > 0)[..., None]
        features = (embedded * real).sum(axis=1) / np.maximum(real.sum(axis=1), 1)
    else:
        kernel, bias = weights.pop(next(name for name in weights if name.startswith("conv")))
        n_windows = ids.shape[1] - len(kernel) + 1
        windows = [
            sum(embedded[:, at + i] @ kernel[i] for i in range(len(kernel)))
            for at in range(n_windows)
        ]
        features = np.maximum(np.stack(windows, axis=1) + bias, 0).max(axis=1)
    hidden, last = sorted(weights.values(), key=lambda pair: -pair[0].shape[1])
    hidden = np.maximum(features @ hidden[0] + hidden[1], 0)
    return 1 / (1 + np.exp(-(hidden @ last[0] + last[1])[:, 0]))


@pytest.mark.slow
@pytest.mark.parametrize("head", ["flatten", "mean", "conv"])
def test_each_head_is_trained_and_scored_from_each_start(project, stage, head):
    edit_params(project, model__head=head)
    stage("embed")
    for name in VARIANTS:
        stage("train", name)
    stage("predict")
    table = pd.read_parquet(artifacts.PREDICTIONS)
    ids = np.load(artifacts.split("test") / "sequences.npy")
    for name in VARIANTS:
        found = table[table["variant"] == name]["probability"].to_numpy()
        np.testing.assert_allclose(found, probability(head, layers(name), ids), atol=1e-5)
        start, trained = np.load(artifacts.embedding(VARIANTS[name]["vectors"])), layers(name)
        moved = not np.array_equal(trained["embedding"][0], start)
        assert moved == VARIANTS[name]["trainable"]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(PROJECT.glob("experiments/*.yaml")), ids=lambda p: p.stem)
def test_a_named_setting_runs_from_the_texts_to_the_report(
    make_project, tmp_path, monkeypatch, stage, path
):
    root = make_project(tmp_path / "project")
    apply_overrides(root / "params.yaml", points.read_setting(path))
    edit_params(root, train__repeats=2, train__epochs=20)
    monkeypatch.chdir(root)
    trained = [["train", name] for name in params.load().variants]
    for name, *arguments in (
        ["download"], ["download", "glove"], ["tokenize"], ["embed"], *trained, ["predict"],
        ["evaluate"], ["report"],
    ):  # fmt: skip
        stage(name, *arguments)
    history = pd.read_csv(artifacts.training("finetuned"))
    assert history[history["epoch"] == 20]["accuracy"].min() > 0.8  # of the texts trained on
    assert artifacts.REPORT.with_suffix(".html").exists()


@pytest.mark.parametrize("head", ["mean", pytest.param("flatten", marks=pytest.mark.slow)])
def test_three_labels_go_by_their_names_from_the_table_to_the_report(
    reproduced, tmp_path, monkeypatch, stage, head
):
    """Every number of evaluation.json and classes.csv is worked out again from the predictions."""
    root, generator = shutil.copytree(reproduced, tmp_path / "project"), np.random.default_rng(0)
    names, n_texts = ["to pay", "<b>lost</b>", "back|up"], 300
    label = generator.choice(3, n_texts, p=[0.5, 0.3, 0.2])
    telling = np.array([["good", "film"], ["bad", "worst"], ["not", "it"]])
    words = telling[label[:, None], generator.integers(0, 2, (n_texts, 9))]
    others = generator.choice(["the", "and", *telling.ravel()], words.shape)
    words = np.where(generator.random(words.shape) < 0.75, others, words)
    table = pd.DataFrame({"text": map(" ".join, words), "label": [names[of] for of in label]})
    table.to_csv(root / "mine.csv", index=False)
    edit_params(
        root, download__texts__source="table", download__texts__path="mine.csv",
        train__samples=60, train__validation_samples=20, train__epochs=4, model__head=head,
        train__learning_rate=0.01,
    )  # fmt: skip
    monkeypatch.chdir(root)
    variants = params.load().model_dump()["variants"]
    edit_params(root, variants={name: of for name, of in variants.items() if name != "finetuned"})
    trained = [["train", name] for name in params.load().variants]
    for name, *arguments in (
        ["download"], ["tokenize"], ["embed"], *trained, ["predict"], ["evaluate"], ["report"],
    ):  # fmt: skip
        stage(name, *arguments)

    by_name = sorted(names)
    texts = pd.read_parquet(artifacts.TEXTS)
    rows = [*zip(texts["text"], [by_name[of] for of in texts["label"]], strict=True)]
    assert sorted(rows) == sorted(zip(table["text"], table["label"], strict=True))
    found = json.loads(artifacts.EVALUATION.read_text())
    classes = pd.read_csv("data/report/classes.csv")
    confusion = pd.read_csv("data/report/confusion.csv")
    predicted = pd.read_parquet(artifacts.PREDICTIONS)
    assert {*found} == {*params.load().variants, "gap", "best", "majority"}
    for name, of in predicted.groupby("variant", observed=True):
        scores, counts = [], []
        for _, repeat in of.groupby("repeat"):
            truth, shares = repeat["label"], np.stack(repeat["probability"])
            assert shares.shape == (60, 3)
            np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
            said = shares.argmax(axis=1)
            scores.append(
                {
                    "accuracy": metrics.accuracy_score(truth, said),
                    "macro_f1": metrics.f1_score(truth, said, average="macro"),
                    "balanced_accuracy": metrics.recall_score(truth, said, average="macro"),
                    "log_loss": -np.log(shares[np.arange(60), truth]).mean(),
                    "roc_auc": np.mean([
                        metrics.roc_auc_score(truth == k, shares[:, k]) for k in range(3)
                    ]),
                }
            )  # fmt: skip
            counts.append(metrics.confusion_matrix(truth, said))
        for metric, value in pd.DataFrame(scores).mean().items():
            assert found[name][metric] == pytest.approx(value, abs=6e-5), metric
        own = confusion[confusion["variant"] == name]
        assert own["texts"].tolist() == np.mean(counts, axis=0).ravel().tolist()
        assert own["actual"].tolist() == np.repeat(by_name, 3).tolist()
        own = classes[classes["variant"] == name]
        assert own["class"].tolist() == by_name
        recall = np.mean([np.diag(of) / of.sum(axis=1) for of in counts], axis=0)
        assert own["recall"].tolist() == pytest.approx(recall.tolist(), abs=6e-5)
    assert found["majority"] + 0.1 < found["learned"]["accuracy"] < 0.95
    calibration = tables.read()["calibration"]
    assert calibration.dtypes.drop("variant").map(pd.api.types.is_numeric_dtype).all()
    page = artifacts.REPORT.read_text("utf-8")
    assert all(text in page for text in (r"| to pay |", r"\<b>lost\</b>", r"back\|up"))


def test_a_text_is_cut_to_so_many_characters_with_the_mark():
    assert points.short("one  two\nthree", 10) == "one two t…"
    assert points.short("one two th", 10) == "one two th"
