"""Score every variant on the test split, and compare each with `learned`.

In:  data/models/ and metrics/training/, and what they were trained and are tested on.
Out: data/predictions/test.parquet: variant, repeat, review, label, probability.
     metrics/evaluation.json, and for plots history.csv, roc.csv, confusion.csv and figures/.
     metrics/data.json: what was compared on, the texts of each label in each split.
     data/report/: what lies under the report, a table each; metrics/report.md and report.html;
     metrics/answer.txt: its answer in a few lines.
Parameters: all; the report lists them.
"""

import json
import math
from functools import cache, partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn import metrics
from tqdm import tqdm

from stages import errors, figures, report, words
from stages.figures import are_drawable
from stages.model import build_model
from stages.report import REFERENCE
from stages.shared import artifacts, params
from stages.shared.artifacts import reading, run, shortened, whole, write_json
from stages.training import MEASURES, compile_predict
from stages.uncertainty import mcnemar, paired_interval

DIGITS = 4  # of a metric: repeats differ in the second digit
LONGEST_NAME = 40  # characters of a label or a file
REVIEWS_SHOWN = 10  # of each kind of disagreement
ROC_POINTS = 101  # false positive rates, evenly spaced, at which a mean ROC is given


def score(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Score the repeats of a variant, one row each, a column for each metric.

    These are accuracy, balanced_accuracy, log_loss, roc_auc, and largest_share: of the
    predictions, the share of the label that is predicted most. labels (n_reviews,) int8;
    probabilities (n_repeats, n_reviews) float32.
    """
    return pd.DataFrame(
        {
            "accuracy": metrics.accuracy_score(labels, repeat > 0.5),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, repeat > 0.5),
            "log_loss": metrics.log_loss(labels, repeat),
            "roc_auc": metrics.roc_auc_score(labels, repeat),
            "largest_share": np.bincount(repeat > 0.5).max() / len(labels),
        }
        for repeat in probabilities.astype(np.float64)
    )


def summarize(scores: pd.DataFrame) -> dict[str, float | None]:
    """Average the repeats of a variant; accuracy_std is None where there is one repeat only."""
    spread = float(scores["accuracy"].std()) if len(scores) > 1 else None
    return rounded(scores.mean().to_dict() | {"accuracy_std": spread})


def compare(
    labels: np.ndarray, probabilities: np.ndarray, reference: np.ndarray
) -> dict[str, float | None]:
    """Compare two variants' probabilities (n_repeats, n_reviews): the gap, and how sure it is.

    The interval speaks of other draws and other test reviews; with one repeat its ends are None.
    McNemar's test takes each variant's mean probability over the repeats.
    """
    gap, low, high = paired_interval((probabilities > 0.5) == labels, (reference > 0.5) == labels)
    pooled = ((of.mean(axis=0) > 0.5) == labels for of in (probabilities, reference))
    # Of many reviews an interval may be narrower than the last of DIGITS.
    digits = DIGITS if low is None else max(DIGITS, 1 - math.floor(math.log10(high - low)))
    row = rounded({"accuracy": gap, "accuracy_low": low, "accuracy_high": high}, digits)
    return row | {"mcnemar_p": float(f"{mcnemar(*pooled):.2g}")}


def rounded(row: dict[str, float | None], digits: int = DIGITS) -> dict[str, float | None]:
    """Round what is a number."""
    return {
        key: value if value is None else round(float(value), digits) for key, value in row.items()
    }


def mean_roc(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Average the ROC curves of the repeats vertically (Fawcett, 2006, algorithm 3).

    Returns false_positive_rate and true_positive_rate at ROC_POINTS even steps.
    """
    grid = np.linspace(0, 1, ROC_POINTS)
    curves = [metrics.roc_curve(labels, repeat)[:2] for repeat in probabilities]
    mean = np.mean([np.interp(grid, *curve) for curve in curves], axis=0)
    mean[0] = 0
    return pd.DataFrame({"false_positive_rate": grid, "true_positive_rate": mean}).round(DIGITS)


def mean_confusion(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Average the confusion matrices of the repeats: actual, predicted, reviews, share.

    `reviews` is a mean count, `share` what it makes of the reviews of that actual label.
    """
    counts = np.mean([metrics.confusion_matrix(labels, r > 0.5) for r in probabilities], axis=0)
    actual, predicted = np.indices(counts.shape)
    shares = counts / counts.sum(axis=1, keepdims=True)
    columns = {"actual": actual, "predicted": predicted, "reviews": counts, "share": shares}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}).round(DIGITS)


def mean_history(history: pd.DataFrame) -> pd.DataFrame:
    """Average the repeats of a training history: split, epoch, loss, accuracy."""
    means = history.groupby("epoch").mean().drop(columns="repeat").reset_index()
    validation = {"val_loss": "loss", "val_accuracy": "accuracy"}
    splits = {
        "train": means[["epoch", "loss", "accuracy"]],
        "validation": means[["epoch", *validation]].rename(columns=validation),
    }
    return pd.concat(splits, names=["split"]).reset_index("split").dropna().round(6)


def by_variant(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Stack one table per variant, its name in the first column."""
    if not tables:
        return pd.DataFrame()
    return pd.concat(tables, names=["variant"]).reset_index("variant")


@cache
def scorer(head: str, num_words: int, dim: int, maxlen: int, hidden_units: int):
    """Build the model of these sizes and compile its prediction; variants of one size share it."""
    model = build_model(head, num_words, dim, maxlen, hidden_units, trainable=False)
    return model, compile_predict(model)


def predict(weights: Path, sequences: np.ndarray, head: str, hidden_units: int) -> np.ndarray:
    """Score sequences (n_reviews, maxlen) int32 with saved weights: (n_reviews,) float32."""
    with reading(weights):
        with h5py.File(weights) as file:
            shape = file["layers/embedding/vars/0"].shape
        model, score_all = scorer(head, *shape, sequences.shape[1], hidden_units)
        model.load_weights(weights)
    return score_all(model.get_weights(), sequences)


def predictions_table(labels: np.ndarray, probabilities: dict[str, np.ndarray]) -> pa.Table:
    """Stack the predictions: variant, repeat, review (row of the split), label, probability."""
    parts = []
    for variant, repeats in probabilities.items():
        n_repeats, n_reviews = repeats.shape
        parts.append(
            pa.table(
                {
                    "variant": pa.array([variant] * repeats.size).dictionary_encode(),
                    "repeat": np.repeat(np.arange(n_repeats, dtype=np.int16), n_reviews),
                    "review": np.tile(np.arange(n_reviews, dtype=np.int32), n_repeats),
                    "label": np.tile(labels, n_repeats),
                    "probability": repeats.ravel(),
                }
            )
        )
    return pa.concat_tables(parts).unify_dictionaries()


def read_words(num_words: int) -> np.ndarray:
    """Read the words kept, padding first: (num_words,) of str, fewer if there are no more words."""
    with reading(artifacts.VOCABULARY):
        kept = pq.read_table(artifacts.VOCABULARY)["word"].slice(0, num_words - 1)
    return np.array(["", *kept.to_pylist()], object)


def describe_data(
    source: params.ReviewSource, train_labels: np.ndarray, test_labels: np.ndarray
) -> dict[str, object]:
    """Say what a comparison is made on: name, labels, texts of each in each split, equal texts.

    Both arrays are (n_reviews,) int8; what `download` counted is in the metadata of its table.
    """
    with reading(artifacts.REVIEWS):
        metadata = pq.read_schema(artifacts.REVIEWS).metadata
    names = [shortened(name, LONGEST_NAME) for name in json.loads(metadata[b"labels"])]
    counts = (np.bincount(labels, minlength=len(names)) for labels in (train_labels, test_labels))
    train, test = (count.tolist() for count in counts)
    name = shortened(source.name, LONGEST_NAME)
    data = {"name": name, "labels": names, "train": train, "test": test}
    return data | json.loads(metadata[b"equal_texts"])


def read_texts() -> pa.ChunkedArray:
    """Read the texts of the test split, in order."""
    with reading(artifacts.REVIEWS):
        return pq.read_table(
            artifacts.REVIEWS, columns=["text"], filters=pc.field("split") == "test"
        )["text"]


def read_history(path: Path) -> pd.DataFrame:
    """Read what `train` wrote of a variant: repeat, epoch, and a column for each measure."""
    with reading(path):
        return pd.read_csv(path)[["repeat", "epoch", *MEASURES]]


def predict_all(settings: params.Params, sequences: np.ndarray) -> dict[str, np.ndarray]:
    """Score sequences (n_reviews, maxlen) with every variant: (n_repeats, n_reviews) float32."""
    model, repeats, probabilities = settings.model, settings.train.repeats, {}
    with tqdm(total=len(settings.variants) * repeats, desc="evaluate", unit="repeat") as bar:
        for name in settings.variants:
            rows = []
            for repeat in range(repeats):
                weights = artifacts.weights(name, repeat)
                rows.append(predict(weights, sequences, model.head, model.hidden_units))
                bar.update()
            probabilities[name] = np.stack(rows)
    return probabilities


def caption(data: dict) -> str:
    """Name the data in a figure; labels that its font can't write are left out."""
    labels = f", labels {' and '.join(data['labels'])}" if are_drawable(data["labels"]) else ""
    name = data["name"] if are_drawable(data["name"]) else "own texts"
    train, test = (sum(data[split]) for split in ("train", "test"))
    return f"{name}: {train:,} reviews to train on, {test:,} to test on{labels}"


def tables_of_errors(
    labels: np.ndarray, probabilities: dict[str, np.ndarray], texts: pa.ChunkedArray
) -> dict[str, pd.DataFrame]:
    """Tabulate calibration, accuracy by length, and where the reference and another disagree.

    The other is `pretrained`, or the first there is.
    """
    n_words = pc.list_value_length(pc.utf8_split_whitespace(texts)).to_numpy()
    tables = {
        "calibration": by_variant(
            {name: errors.calibration(labels, rows) for name, rows in probabilities.items()}
        ),
        "lengths": by_variant(
            {name: errors.by_length(n_words, labels, rows) for name, rows in probabilities.items()}
        ),
    }
    others = [name for name in probabilities if name != REFERENCE]
    if others:
        name = "pretrained" if "pretrained" in others else others[0]
        pair = probabilities[REFERENCE], probabilities[name]
        shown = errors.disagreements(labels, *pair, name, REVIEWS_SHOWN)
        shown["text"] = [errors.ending(texts[row].as_py()) for row in shown["review"]]
        tables["disagreements"] = by_variant({name: shown})
    return tables


def main() -> None:
    settings = params.load()
    with reading(artifacts.split("test")):
        sequences = np.load(artifacts.split("test") / "sequences.npy", mmap_mode="r")
        labels = np.load(artifacts.split("test") / "labels.npy")
    with reading(artifacts.split("train")):
        train_sequences = np.load(artifacts.split("train") / "sequences.npy", mmap_mode="r")
        train_labels = np.load(artifacts.split("train") / "labels.npy")
    with reading(artifacts.COVERAGE):
        coverage = json.loads(artifacts.COVERAGE.read_text("utf-8"))
    data = describe_data(settings.download.reviews, train_labels, labels)
    names, texts = read_words(settings.tokenize.num_words), read_texts()
    matrices = words.read_matrices(settings, len(names))

    probabilities = predict_all(settings, sequences)
    scores = {name: score(labels, rows) for name, rows in probabilities.items()}
    evaluation = {name: summarize(table) for name, table in scores.items()}
    evaluation["gap"] = {
        f"{name}-{REFERENCE}": compare(labels, rows, probabilities[REFERENCE])
        for name, rows in probabilities.items()
        if name != REFERENCE
    }
    evaluation |= rounded({"majority": (labels == np.bincount(train_labels).argmax()).mean()})
    histories = {name: read_history(artifacts.training(name)) for name in settings.variants}
    telling = words.telling_words(train_sequences, train_labels, settings.tokenize.num_words)
    places, pictured, positive = words.picture(matrices, telling, names)
    tables = {
        "pictured": pd.DataFrame({"word": pictured}),
        "neighbours": by_variant(words.neighbours(matrices, telling, names)),
        "moved": by_variant(words.moved(matrices, names)),
    } | tables_of_errors(labels, probabilities, texts)

    with whole(artifacts.PREDICTIONS) as unfinished:
        pq.write_table(predictions_table(labels, probabilities), unfinished, compression="zstd")
    for path, table_of, of in (
        (artifacts.HISTORY, mean_history, histories),
        (artifacts.ROC, partial(mean_roc, labels), probabilities),
        (artifacts.CONFUSION, partial(mean_confusion, labels), probabilities),
    ):
        with whole(path) as unfinished:
            table = by_variant({name: table_of(values) for name, values in of.items()})
            table.to_csv(unfinished, index=False, lineterminator="\n")
    with whole(artifacts.FIGURES) as folder:
        folder.mkdir()
        for measure in ("accuracy", "loss"):
            figures.history(histories, measure, folder / f"{measure}.png")
        figures.comparison(
            scores, evaluation["gap"], evaluation["majority"], caption(data),
            folder / "comparison.png",
        )  # fmt: skip
        figures.words(places, pictured, positive, data["labels"], folder / "words.png")
        for name, draw in (("calibration", figures.calibration), ("lengths", figures.lengths)):
            draw(dict(iter(tables[name].groupby("variant", sort=False))), folder / f"{name}.png")
    with whole(artifacts.REPORT_TABLES) as folder:
        folder.mkdir()
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    page = report.markdown(settings, evaluation, coverage, data, tables)
    answer = report.terminal(page)
    for path, content in (
        (artifacts.REPORT, page),
        (artifacts.REPORT.with_suffix(".html"), report.html(page, artifacts.REPORT.parent)),
        (artifacts.ANSWER, answer),
    ):
        with whole(path) as unfinished:
            unfinished.write_text(content, encoding="utf-8")
    write_json(artifacts.DATA, data)
    write_json(artifacts.EVALUATION, evaluation)
    print(answer)


if __name__ == "__main__":
    run(main, __doc__)
