"""Show what each line of a setting is worth: python -m experiments.ablation.

    python -m experiments.ablation -S train.samples=200,5000 -S train.validation_samples=5000

In:  a file of what differs from params.yaml. Every point of the grid that -S gives is run with all
     of it, and once without each of its lines, as experiments of DVC's queue.
Out: ablation.csv and .md in a folder: accuracy on the validation texts after the last epoch, mean
     over draws, and what leaving out the line changes. The test split is not looked at.
"""

import argparse
import subprocess
from io import StringIO
from pathlib import Path

import dvc.api
import pandas as pd

from experiments import points
from experiments.dvc_queue import key_of, run_queue
from experiments.runs import about, folder_for, hidden, name_data, read_data, slug
from experiments.sweep import new_folder, positive
from stages.report.markdown import lines_of, plain
from stages.shared.errors import InputError
from stages.shared.errors import run as run_main

WHOLE = "nothing"


def is_valid(entries: list[str]) -> bool:
    """Tell whether params.yaml with these values is one that the stages take."""
    try:
        points.settings_of(entries)
    except InputError:
        return False
    return True


def without(setting: list[str], given: list[str]) -> dict[str, list[str]]:
    """List what stays of a setting without each of its lines.

    A line is never left out if it is given anyway, or if the rest would not be valid without it.
    """
    left_out = {WHOLE: setting}
    for entry in setting:
        rest = [other for other in setting if other != entry]
        if key_of(entry) not in given and is_valid(rest):
            left_out[key_of(entry)] = rest
    return left_out


def check_validation(point: list[str]) -> None:
    """Raise InputError if a point has no texts to validate on, which tell what a line is worth."""
    if not points.settings_of(point).train.validation_samples:
        raise InputError(
            f"{points.HELD_OUT} is 0, and accuracy on the validation texts is what is compared:"
            f" add -S {points.HELD_OUT}=5000"
        )


def validation_accuracy(revision: str, variants: list[str]) -> dict[str, tuple[float, float]]:
    """Read each variant's accuracy after the last epoch: mean and standard deviation of draws.

    A variant that is not trained by epochs has none, nor have draws that left no text to validate
    on.
    """
    found = {}
    for variant in variants:
        path = f"{revision}:metrics/training/{variant}.csv"
        done = subprocess.run(["git", "show", path], capture_output=True, text=True)
        if done.returncode:
            continue
        table = pd.read_csv(StringIO(done.stdout))
        last = table.loc[table.groupby("repeat")["epoch"].idxmax(), "val_accuracy"]
        if last.notna().all():
            found[variant] = last.mean(), last.std()
    return found


def collect(
    finished: list[dict], names: dict[str, tuple[str, tuple[str, ...]]], axes: list[str]
) -> pd.DataFrame:
    """One row for each finished experiment and variant: without, the axes, accuracy, std, change.

    `change` is the accuracy minus that of the whole setting at the same point. In the axes the
    secrets of URLs are hidden. Raises InputError if there is no accuracy to compare.
    """
    rows = []
    for run in finished:
        key, point = names[run["Experiment"]]
        scored = [c for c, value in run.items() if c.endswith(".log_loss") and value != "None"]
        variants = [c.removesuffix(".log_loss") for c in scored]  # not those that other runs have
        for variant, (mean, std) in validation_accuracy(run["rev"], variants).items():
            place = dict(zip(axes, point, strict=True))
            rows.append({"without": key, **place, "variant": variant, "accuracy": mean, "std": std})
    if not rows:
        raise InputError(
            "there is no accuracy on validation texts to compare: if the draws have all texts of"
            " the train split, set train.samples lower"
        )
    table = pd.DataFrame(rows)
    whole = table[table["without"] == WHOLE].set_index([*axes, "variant"])["accuracy"]
    table["change"] = table["accuracy"] - table.set_index([*axes, "variant"]).index.map(whole)
    return table.round(4).assign(**{axis: hidden(table[axis]) for axis in axes})


def markdown(table: pd.DataFrame, axes: list[str]) -> str:
    """Lay the table out with a line for each key left out and a column for each point."""
    cells = table["accuracy"].map("{:.3f}".format) + table["change"].map(" ({:+.3f})".format)
    compared = (table["without"] != WHOLE) & table["change"].notna()
    cells = cells.where(compared, table["accuracy"].map("{:.3f}".format))
    points = table[["variant", *axes]].astype(str).agg(", ".join, axis=1)
    cells = cells.str.replace("(-", "(\N{MINUS SIGN}")
    wide = table.assign(cell=cells, point=points).pivot(
        index="without", columns="point", values="cell"
    )
    wide = wide.loc[table["without"].unique(), points.unique()].fillna("failed").reset_index()
    return lines_of(list(wide.columns), wide.to_numpy().tolist()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.ablation", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--setting", type=Path, default=Path("experiments/strong.yaml"),
        help="YAML file of what differs from params.yaml; else experiments/strong.yaml",
    )  # fmt: skip
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=V1,V2",
        help="values of a parameter; one with several is a column of the table",
    )  # fmt: skip
    parser.add_argument("-j", "--jobs", type=positive, default=1, help="points at a time")
    parser.add_argument(
        "--out", type=new_folder, help="folder; else one of its own below experiments/"
    )
    arguments = parser.parse_args()
    setting = points.read_setting(arguments.setting)
    own = points.expand(arguments.set_param)
    axes = points.varying(own)
    queued, places = [], []
    for key, rest in without(setting, [key_of(entry) for entry in own[0]]).items():
        for values in own:
            check_validation(rest + values)
            queued.append(points.checked(rest + values))
            of = {key_of(entry): entry.partition("=")[2] for entry in values}
            places.append((key, tuple(of[axis] for axis in axes)))
    done = run_queue(queued, arguments.jobs)
    names = {name: place for name, place in zip(done, places, strict=True) if name}
    rows = {row["Experiment"]: row for row in dvc.api.exp_show()}  # in an order of its own
    finished = [rows[name] for name in names if name in rows]
    if not finished:
        raise InputError("no experiment has succeeded")
    data = read_data(finished[0])
    table = collect(finished, names, axes)
    named = name_data(table, data)
    base = Path("experiments") / slug(data["name"], arguments.setting.stem)
    folder = arguments.out or folder_for(named, base, "ablation.csv")
    folder.mkdir(parents=True, exist_ok=True)
    named.to_csv(folder / "ablation.csv", index=False, lineterminator="\n")
    text = f"# {plain(about(data, arguments.setting.stem))}\n\n{markdown(table, axes)}"
    (folder / "ablation.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run_main(main)
