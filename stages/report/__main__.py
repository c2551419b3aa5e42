"""Write the report: its answer, the page, and the pictures.

In:  what `embed`, `train` and `evaluate` have written to metrics/, and data/report/.
Out: metrics/figures/: accuracy.png, loss.png, comparison.png, words.png, confusion.png,
     calibration.png and lengths.png; metrics/report.md and report.html; metrics/answer.txt: its
     answer in a few lines.
Parameters: all; the report lists them.
"""

import json
from pathlib import Path

import pandas as pd

from stages.report import figures
from stages.report.answer import terminal
from stages.report.html import html
from stages.report.page import TITLE, markdown
from stages.shared import artifacts, history, params, tables
from stages.shared.errors import run
from stages.shared.files import reading, whole


def read_json(path: Path) -> dict:
    """Read metrics that another stage has written."""
    with reading(path):
        return json.loads(path.read_text("utf-8"))


def caption(data: dict) -> str:
    """Name the data in a figure; labels that its font can't write are left out."""
    names, labels = data["labels"], ""
    if len(names) > 2:
        labels = f", {len(names)} labels"
    elif figures.are_drawable(names):
        labels = f", labels {' and '.join(names)}"
    name = data["name"] if figures.are_drawable(data["name"]) else "own texts"
    train, test = (sum(data[split]) for split in ("train", "test"))
    return f"{name}: {train:,} texts to train on, {test:,} to test on{labels}"


def main() -> None:
    settings = params.load()
    evaluation, coverage, data, planning = map(
        read_json,
        (artifacts.EVALUATION, artifacts.COVERAGE, artifacts.DATA, artifacts.PLANNING),
    )
    histories = {
        name: history.read(name)
        for name, variant in settings.variants.items()
        if not settings.embed[variant.vectors].texts  # whose training has no epochs
    }
    with reading(artifacts.SCORES):
        scores = pd.read_csv(artifacts.SCORES, keep_default_na=False, dtype={"variant": str})
        scores = scores[["variant", "repeat", "accuracy"]]
    with reading(artifacts.CONFUSION):
        names = dict.fromkeys(("variant", "actual", "predicted"), str)
        confused = pd.read_csv(artifacts.CONFUSION, keep_default_na=False, dtype=names)
    found = tables.read()

    with whole(artifacts.FIGURES) as folder:
        folder.mkdir()
        for measure in ("accuracy", "loss"):
            figures.history(histories, measure, folder / f"{measure}.png")
        gap, majority = evaluation["gap"], evaluation["majority"]
        path = folder / "comparison.png"
        figures.comparison(scores, gap, majority, caption(data), path)
        figures.confusion(
            dict(iter(confused.groupby("variant", sort=False))), folder / "confusion.png"
        )
        if "pictured" in found:
            figures.words(found["pictured"], data["labels"], folder / "words.png")
        for name, draw in (
            ("calibration", figures.calibration),
            ("lengths", figures.lengths),
        ):
            draw(dict(iter(found[name].groupby("variant", sort=False))), folder / f"{name}.png")
    page = markdown(settings, evaluation, coverage, data, found, planning)
    answer = terminal(page)
    for path, content in (
        (artifacts.REPORT, page),
        (artifacts.REPORT.with_suffix(".html"), html(TITLE, page, artifacts.REPORT.parent)),
        (artifacts.ANSWER, answer),
    ):
        with whole(path) as partial_file:
            partial_file.write_text(content, encoding="utf-8")
    print(answer)


if __name__ == "__main__":
    run(main, __doc__)
