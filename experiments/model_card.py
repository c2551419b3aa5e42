"""The model card of an exported model: where it comes from, how good it is, and what is not known.

After Mitchell et al., "Model cards for model reporting", FAT* 2019, 220-229.
"""

import numpy as np

from stages.evaluate import scores
from stages.evaluate.uncertainty import interval_over_texts
from stages.report.markdown import lines_of, plain, shown
from stages.shared.predictions import Judged
from stages.shared.schema import Params, Section
from stages.shared.text import count_of

SHOWN_LABELS = 20
NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
}


def measured(
    labels: np.ndarray, judged: Judged, groups: np.ndarray | None
) -> dict[str, tuple[float, float, float]]:
    """Measure a model on the test split: of each metric its value and its 95 % interval.

    labels (n_texts,) int; `judged` has one repeat. The interval speaks of other test texts; texts
    of one group, (n_texts,) int, count together.
    """
    found = {}
    for metric in NAMES:
        added = scores.values(metric, labels, judged)[0]
        ends = interval_over_texts(added, groups, scores.weights_of(metric, labels))
        found[metric] = float(added.mean()), *ends
    return found


def flat(section: Section | dict, name: str = "") -> list[tuple[str, object]]:
    """List the values of a section by their dotted names."""
    values = []
    for key, value in dict(section).items():
        below = f"{name}.{key}".lstrip(".")
        values += flat(value, below) if isinstance(value, Section | dict) else [(below, value)]
    return values


def parameters(settings: Params, variant: str) -> list[list[str]]:
    """Tabulate what decided the model: the keys of params.yaml, and their values."""
    own = settings.variants[variant]
    start = settings.embed[own.vectors]
    looked_up = [start.vectors] if start.vectors else []
    vectors = {name: settings.download.vectors[name] for name in looked_up}
    chosen = {
        "seed": settings.seed,
        "download": {"texts": settings.download.texts, "vectors": vectors},
        "tokenize": settings.tokenize,
        "embed": {own.vectors: start},
        "model": settings.model,
        "train": settings.train,
        "variants": {variant: own},
    }
    return [[f"`{key}`", shown(key, value)] for key, value in flat(chosen)]


def counted(data: dict) -> str:
    """Tabulate the texts of each label; data as in metrics/data.json."""
    rows = zip(data["labels"], data["train"], data["test"], strict=True)
    cells = [[plain(name), f"{n_train:,}", f"{n_test:,}"] for name, n_train, n_test in rows]
    more = cells[SHOWN_LABELS:]
    cells = cells[:SHOWN_LABELS] + ([["…", "", ""]] if more else [])
    return lines_of(["label", "texts to train on", "texts to test on"], cells)


def card(
    variant: str,
    settings: Params,
    data: dict,
    evaluation: dict,
    metrics: dict[str, tuple[float, float, float]],
    use: str,
    difference: str,
    models: str,
    software: dict[str, str],
) -> str:
    """Write the card; `use` says how to run it, `difference` how near it is to the pipeline."""
    train, name = settings.train, plain(data["name"])
    rows = [
        [NAMES[metric], f"{value:.3f}", f"{low:.3f} to {high:.3f}"]
        for metric, (value, low, high) in metrics.items()
    ]
    labels = [plain(label) for label in data["labels"]]
    named = ", ".join(labels) if len(labels) <= SHOWN_LABELS else count_of(len(labels), "label")
    doubts = [
        f"Texts of another kind than {name}: another subject, length, time or language. It gives"
        " them a label all the same.",
        "Texts without a word that it knows. They all get the same answer.",
        "Texts that have none of the labels, or several.",
        "Whether a probability can be taken at its word: see the calibration in the report of the"
        " run.",
        "Whether it treats groups of people alike.",
    ]
    if data["test_in_train"]:
        doubts.append(f"{count_of(data['test_in_train'], 'test text')} are in the train split too.")
    spread = evaluation[variant]["accuracy_std"]
    of_one = f"A single repeat has an accuracy of {evaluation[variant]['accuracy']:.3f} on average"
    of_one += f" (standard deviation {spread:.3f})." if spread is not None else "."
    if variant == evaluation["best"]["variant"] and evaluation["best"]["second"]:
        n = len(settings.variants)
        of_one += f" It is the most accurate of {n} on these texts, so all this is rather too good."
    blocks = [
        f"# `{variant}`, trained on {name}",
        f"Labels a text: {named}. It is {models}, trained on {train.samples:,} labelled"
        " texts drawn from the train split.",
        "## How to use it",
        use,
        "`labels.json` has the labels in the order of the probabilities, and `vocabulary.txt` the"
        " words that the model knows: a word a line, the first has id 1. " + difference,
        "## How good it is",
        lines_of(["on the test split", "value", "95 % interval"], rows),
        f"On {sum(data['test']):,} texts that it was not trained on. The intervals speak of other"
        " test texts, and not of other texts to train on. Always saying the most frequent label is"
        f" right for {evaluation['majority']:.3f}. {of_one}",
        "## What it was not tested on",
        "\n".join(f"- {doubt}" for doubt in doubts),
        "## Data",
        counted(data),
        f"The train split has {data['tokens']:,} words, {data['words']:,} of them distinct.",
        "## Parameters",
        lines_of(["key", "value"], parameters(settings, variant), left=2),
        "## Software",
        lines_of(["package", "version"], [[k, v] for k, v in software.items()], left=2),
    ]
    return "\n\n".join(blocks) + "\n"
