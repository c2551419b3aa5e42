"""Score the predictions for the test split, and compare every variant with the reference.

In:  data/predictions/test.parquet; for the tables behind the report also the texts, their lengths
     and words, the matrices before and after training, metrics/training/ and metrics/tuning/.
Out: metrics/evaluation.json, and for plots history.csv, roc.csv and confusion.csv.
     metrics/scores.csv: the metrics of each repeat.
     metrics/planning.json: what further draws and test texts are worth.
     metrics/data.json: what was compared on, the texts of each label in each split, and words.
     data/report/: what the report shows, a table each.
     Of variants that params.yaml no longer names, the files in these two are removed.
Parameters: download.texts (its name), embed, tokenize.num_words, train.samples, variants.
"""

import json
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.evaluate import mistakes, words
from stages.evaluate.planning import plan
from stages.evaluate.scores import (
    SCORES,
    best,
    by_class,
    compare_all,
    confusion,
    confusion_counts,
    mean_history,
    mean_roc,
    merge_rare,
    rounded,
    score,
    summarize,
)
from stages.shared import artifacts, history, params, predictions, tables
from stages.shared.errors import run
from stages.shared.files import read_rows, reading, remove_all_but, whole, write_json
from stages.shared.schema import Params, TextSource
from stages.shared.text import distinct, shortened

TEXTS_AT_A_TIME = 10_000
LONGEST_NAME = 40  # characters of a label or a file
MOST_CONFUSED = 20  # labels of the most texts that a plot of a confusion matrix has


def read_array(split: str, name: str) -> np.ndarray:
    """Read what each text of a split has, (n_texts,) int: its label, or its number of words."""
    with reading(artifacts.split(split)):
        return np.load(artifacts.split(split) / f"{name}.npy")


def read_words(num_words: int) -> np.ndarray:
    """Read the words kept, padding first: (num_words,) of str, fewer if there are no more words."""
    with reading(artifacts.VOCABULARY):
        kept = pq.read_table(artifacts.VOCABULARY)["word"].slice(0, num_words - 1)
    return np.array(["", *kept.to_pylist()], object)


def read_texts(rows: np.ndarray) -> list[str]:
    """Read the texts of these rows of the test split; row groups without one are not read."""
    texts: dict[int, str] = {}
    with reading(artifacts.TEXTS), pq.ParquetFile(artifacts.TEXTS) as file:
        of_test = pc.equal(file.read(["split"])["split"], "test").to_numpy()
        wanted, end = np.flatnonzero(of_test)[rows], 0
        for group in range(file.num_row_groups):
            start, end = end, end + file.metadata.row_group(group).num_rows
            inside = wanted[(wanted >= start) & (wanted < end)]
            if len(inside):
                own = file.read_row_group(group, ["text"])["text"].take(inside - start)
                texts |= zip(inside, own.to_pylist(), strict=True)
    return [texts[row] for row in wanted]


def read_groups() -> np.ndarray | None:
    """Read the group of each text of the test split, (n_texts,) int numbered anew; None: no groups.

    Texts of one group count together in an interval.
    """
    with reading(artifacts.TEXTS):
        if "group" not in pq.read_schema(artifacts.TEXTS).names:
            return None
        of_test = pc.field("split") == "test"
        groups = pq.read_table(artifacts.TEXTS, columns=["group"], filters=of_test)["group"]
    return np.unique(groups.to_numpy(), return_inverse=True)[1]


def describe_data(
    source: TextSource,
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    groups: np.ndarray | None,
) -> dict[str, Any]:
    """Say what a comparison is made on: name, labels, texts of each in each split, equal texts.

    And how many words, and tokens of them, the train split has. Both arrays of labels are
    (n_texts,) int; groups are those of the test split, which are counted if there are any. What
    `download` counted is in the metadata of its table.
    """
    with reading(artifacts.TEXTS):
        metadata = pq.read_schema(artifacts.TEXTS).metadata
    names = distinct(shortened(name, LONGEST_NAME) for name in json.loads(metadata[b"labels"]))
    counts = (np.bincount(labels, minlength=len(names)) for labels in (train_labels, test_labels))
    train, test = (count.tolist() for count in counts)
    name = shortened(source.name, LONGEST_NAME)
    data = {"name": name, "labels": names, "train": train, "test": test}
    with reading(artifacts.VOCABULARY):
        of_words = pq.read_table(artifacts.VOCABULARY)["count"]
    data |= {"words": len(of_words), "tokens": pc.sum(of_words).as_py()}
    data |= json.loads(metadata[b"equal_texts"])
    return data if groups is None else data | {"test_groups": int(groups.max()) + 1}


def by_variant(tables_of: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Stack one table per variant, its name in the first column."""
    if not tables_of:
        return pd.DataFrame()
    return pd.concat(tables_of, names=["variant"]).reset_index("variant")


def by_repeat(scores: pd.DataFrame) -> pd.DataFrame:
    """Tabulate SCORES of a variant: repeat, and a column for each."""
    return scores[[*SCORES]].round(6).rename_axis("repeat").reset_index()


def tables_of_words(settings: Params, labels: np.ndarray) -> dict[str, dict[str, pd.DataFrame]]:
    """Tabulate what training did to the vectors of words, each for every variant.

    labels (n_texts,) are those of the train split.
    """
    names = read_words(settings.tokenize.num_words)
    matrices = words.read_matrices(settings, len(names))
    parts = read_rows(artifacts.split("train") / "sequences.npy", TEXTS_AT_A_TIME)
    telling = words.telling_words(parts, labels, settings.tokenize.num_words)
    return {
        "pictured": words.pictured(matrices, telling, names),
        "neighbours": words.neighbours(matrices, telling, names),
        "moved": words.moved(matrices, names),
    }


def main() -> None:
    settings = params.load()
    labels, judged = predictions.read(settings.variants)
    train_labels = read_array("train", "labels")
    groups, overlap = read_groups(), settings.train.samples / len(train_labels)
    data = describe_data(settings.download.texts, train_labels, labels, groups)
    histories = {name: history.read(name) for name in settings.variants}
    scores = {name: score(labels, own) for name, own in judged.items()}

    evaluation: dict[str, Any] = {name: summarize(table) for name, table in scores.items()}
    evaluation["gap"] = compare_all(labels, judged, groups, overlap)
    majority = float((labels == np.bincount(train_labels).argmax()).mean())
    evaluation["best"] = best(judged, majority, groups, overlap)
    evaluation |= rounded({"majority": majority})
    names = data["labels"]
    counts = {name: confusion_counts(labels, own) for name, own in judged.items()}
    found = {
        **tables_of_words(settings, train_labels),
        "classes": {name: by_class(labels, own, names) for name, own in judged.items()},
        "confusion": {name: confusion(of, names) for name, of in counts.items()},
        **mistakes.tables(labels, judged, read_texts, read_array("test", "lengths")),
    }

    for path, table_of, of in (
        (artifacts.SCORES, by_repeat, scores),
        (artifacts.HISTORY, mean_history, histories),
        (artifacts.ROC, partial(mean_roc, labels), judged),
        (artifacts.CONFUSION, lambda of: confusion(*merge_rare(of, names, MOST_CONFUSED)), counts),
    ):
        with whole(path) as partial_file:
            table = by_variant({name: table_of(values) for name, values in of.items()})
            table.to_csv(partial_file, index=False, lineterminator="\n")
    tables.write({name: by_variant(of) for name, of in found.items()})
    write_json(artifacts.DATA, data)
    write_json(artifacts.EVALUATION, evaluation)
    write_json(artifacts.PLANNING, plan(judged, groups, overlap, evaluation["best"]))
    for folder in (artifacts.TRAINING, artifacts.TUNING):
        remove_all_but(folder, settings.variants)
    for name, row in evaluation["gap"].items():
        print(f"{name}: {row['accuracy']:+.4f}")


if __name__ == "__main__":
    run(main, __doc__)
