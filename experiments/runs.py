"""The runs of experiments.learning_curve: which can be compared, and what they were made on."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO, StringIO
from itertools import chain, count
from pathlib import Path

import dvc.api
import numpy as np
import pandas as pd

from stages.shared import artifacts, params
from stages.shared.errors import InputError
from stages.shared.evidence import REFERENCE
from stages.shared.text import distinct, without_secrets

UNFINISHED = ("Queued", "Running", "Failed")
INPUTS = ("data/raw/", "stages/")  # runs can be compared that had the same of these
TEXTS, VECTORS = artifacts.TEXTS.as_posix(), artifacts.VECTORS.as_posix()
REPEATS = "train.repeats"
SCORES = "metrics/scores.csv"  # a row for each repeat of a variant
# What metrics/evaluation.json says of a variant and a curve can show, as titles call it.
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "area under the ROC curve",
    "log_loss": "log loss (lower is better)",
}
MOST_LABELS, LONGEST_NAME = 6, 40  # of anybody's names, what is shown


def read_runs(names: list[str]) -> list[dict]:
    """Read the experiments of the commit, or of the commits on which these names are."""
    command = ["git", "for-each-ref", "--format=%(refname)", "refs/exps"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    places = [ref.split("/") for ref in listed]  # refs/exps/<2 digits>/<the other 38>/<name>
    commits = sorted({p[2] + p[3] for p in places if len(p) == 5 and p[4] in names})
    return dvc.api.exp_show(revs=commits or None)


def collect(rows: list[dict], names: list[str], swept: str, panels: list[str]) -> pd.DataFrame:
    """Take the finished runs, all or those of these names, as `dvc.api.exp_show` gives them.

    Raises InputError if there is none, or if they have no such parameter.
    """
    # A run that failed or has yet to run is shown with the metrics of the commit it started from.
    rows = [row for row in rows if row["rev"] != "workspace" and row.get("State") not in UNFINISHED]
    rows = [row for row in rows if not names or row["Experiment"] in names]
    runs = pd.DataFrame(rows).replace("None", None)
    gaps = [column for column in runs if re.fullmatch(r"gap\..+\.accuracy", column)]
    finished = runs.dropna(subset=gaps, how="all") if gaps else runs[:0]
    # Those of a version that named the texts otherwise can't be compared with these.
    finished = finished.dropna(subset=[TEXTS]) if TEXTS in finished else finished[:0]
    if missing := {*names} - {*finished.get("Experiment", ())}:
        raise InputError(f"no finished experiment is called {' or '.join(sorted(missing)[:5])}")
    for name in (swept, *panels):
        if finished.empty or name not in finished or not is_setting(name):
            raise InputError(f"no finished experiment has {name}")
    return finished


def with_metric(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Take the runs that tell this metric; names the others, and raises InputError if all lack it.

    Runs of older versions lack some.
    """
    column = f"{REFERENCE}.{metric}"
    told = runs[column].notna() if column in runs else pd.Series(False, runs.index)
    if not told.any():
        raise InputError(f"no finished experiment has {metric}")
    for _, run in runs[~told].iterrows():
        print(f"{name_of(run)} is left out: it has no {metric}", file=sys.stderr)
    return runs[told]


def groups(runs: pd.DataFrame, swept: str, panels: list[str]) -> list[pd.DataFrame]:
    """Split runs into those that differ in `swept` and `panels` alone, the largest group first.

    Runs of one group may differ in the number of draws too: each has intervals of its own. Of equal
    points the one with the most draws is taken. Column `shared` is a hash of what the runs of a
    group have in common. In `swept` and `panels` the secrets of URLs are hidden.
    """
    free = {swept, *panels, REPEATS}
    if any(key.startswith("download.vectors.") for key in free):
        free.add(VECTORS)
    others = [c for c in runs if is_setting(c) and c not in free]
    found = []
    for _, group in runs.groupby(others, dropna=False, sort=False):
        shared = group[others].iloc[0].dropna().astype(str).sort_index()
        digest = hashlib.sha256(repr([*shared.items()]).encode()).hexdigest()[:8]
        group = group.sort_values(REPEATS, ascending=False, kind="stable")
        group = group.drop_duplicates([swept, *panels]).assign(shared=digest)
        group = group.sort_values([*panels, swept], key=sortable)
        found.append(group.assign(**{key: hidden(group[key]) for key in (swept, *panels)}))
    return sorted(found, key=len, reverse=True)


def hidden(values: pd.Series) -> pd.Series:
    """Hide the secrets of URLs; URLs that differ in nothing else are numbered."""
    texts = sorted({value for value in values if isinstance(value, str)})
    return values.replace(dict(zip(texts, distinct(map(without_secrets, texts)), strict=True)))


def left_out(
    chosen: pd.DataFrame, others: list[pd.DataFrame], swept: str, panels: list[str]
) -> Iterator[str]:
    """Name the runs of a data set that its curve leaves out, and what is other about them."""
    settings = [c for c in chosen if is_setting(c) and c not in (swept, *panels, REPEATS)]
    for _, run in (pair for other in others for pair in other.iterrows()):
        differs = [c for c in settings if written(run[c]) not in {*map(written, chosen[c])}]
        yield f"{name_of(run)} is left out: another {', '.join(differs[:3])}"


def name_of(run: pd.Series) -> str:
    """Name a run: an experiment's name, or the branch that a baseline is on."""
    return run["Experiment"] if isinstance(run["Experiment"], str) else run["rev"]


def is_setting(column: str) -> bool:
    """Tell whether a column is a parameter or an input, not a name, a metric or what was made.

    A metric may begin like a parameter: a variant or a key of `embed` can be called `train`.
    """
    keys = column.split(".")
    known, kind = params.follow(keys)
    is_parameter = known == keys and not hasattr(kind, "model_fields")  # of a section, no value
    return is_parameter or column.startswith(INPUTS)


def is_numeric(values: pd.Series) -> bool:
    """Tell whether all are numbers."""
    return all(isinstance(v, int | float | np.number) and v == v for v in values) and not any(
        isinstance(v, bool | np.bool_) for v in values
    )


def sortable(values: pd.Series) -> pd.Series:
    """Order numbers by size, and anything else as text."""
    return values.astype(float) if is_numeric(values) else values.map(written)


def written(value: object) -> str:
    """Write the value of a parameter."""
    if value is None or value != value:
        return "null"
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    return f"{value:,.0f}" if value == round(value) else str(value)


def read_draws(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Read what each repeat of these runs scored: experiment, variant, draw; of older runs none."""
    found = [pd.DataFrame(columns=["experiment", "variant", "draw"])]
    for _, run in runs.iterrows():
        command = ["git", "show", f"{run['rev']}:{SCORES}"]
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            continue
        # A variant may be called NA.
        table = pd.read_csv(BytesIO(done.stdout), keep_default_na=False, na_values=[""])
        if metric in table:
            rows = table[["variant", metric]].rename(columns={metric: "draw"})
            found.append(rows.assign(experiment=name_of(run)))
    return pd.concat(found[1:] or found, ignore_index=True)


def read_data(run: pd.Series) -> dict:
    """Read what a run was made on, as metrics/data.json; raises InputError if it has none."""
    command = ["git", "show", f"{run['rev']}:{artifacts.DATA.as_posix()}"]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise InputError(f"{name_of(run)} has no {artifacts.DATA}")
    return json.loads(done.stdout)


def about(data: dict, setting: str | None = None) -> str:
    """Say in a line of text what a curve was made on."""
    name = shown(data["name"]) + (f", setting {shown(setting)}" if setting else "")
    if not data["labels"]:
        return f"{name}: an older run, which tells neither number of texts nor labels"
    labels = [shown(label) for label in data["labels"]]
    if len(labels) > MOST_LABELS:
        labels[MOST_LABELS - 1 :] = [f"{len(labels) - MOST_LABELS + 1} more"]
    n_train, n_test = sum(data["train"]), sum(data["test"])
    return (
        f"{name}: {n_train + n_test:,} texts ({n_train:,} to train on, {n_test:,} to test on),"
        f" labels {', '.join(labels[:-1])} and {labels[-1]}"
    )


def name_data(table: pd.DataFrame, data: dict) -> pd.DataFrame:
    """Add what a table was made on, in columns."""
    return table.assign(
        data=shown(data["name"]),
        texts=sum(data["train"]) + sum(data["test"]) if data["labels"] else None,
        labels=", ".join(shown(label) for label in data["labels"]),
    )


def shown(name: object) -> str:
    """Cut anybody's name to one line of LONGEST_NAME characters."""
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(name))
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def slug(*names: str | None) -> str:
    """Make a folder's name of what anybody may have called it."""
    parts = (re.sub(r"[^\w.-]+", "-", shown(name)).strip("-.") for name in names if name)
    return "-".join(part for part in parts if part) or "data"


def folder_for(table: pd.DataFrame, base: Path, file: str) -> Path:
    """Find the folder of a table: `base`, with a number where that has one of other runs."""
    others = (base.with_name(f"{base.name}-{number}") for number in count(2))
    return next(folder for folder in chain([base], others) if is_free(folder / file, table))


def is_free(path: Path, table: pd.DataFrame) -> bool:
    """Tell whether nothing is lost by writing a table there: it has all that an earlier one had."""
    if not path.exists():
        return path.parent.is_dir() or not path.parent.exists()
    rows = []
    for source in (path, StringIO(table.to_csv(index=False))):
        try:
            known = pd.read_csv(source, dtype=str, keep_default_na=False)
        except ValueError:
            return False
        known = known.drop(columns="experiment", errors="ignore")  # it is another each time
        rows.append({tuple(row.items()) for row in known.to_dict("records")})
    return rows[0] <= rows[1]


if __name__ == "__main__":  # it is a part of the others
    print(__doc__)
