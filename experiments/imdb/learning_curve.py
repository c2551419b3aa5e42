"""Turn finished experiments into a learning curve: python -m experiments.learning_curve.

In:  the experiments that DVC has, through `dvc.api.exp_show`.
Out: learning_curve.csv, .md and .png in a folder: test accuracy of each variant over the swept
     parameter, one panel for each value of another that was swept too, and where the gap to
     `learned` changes its sign.
"""

import argparse
import sys
from itertools import cycle, pairwise
from pathlib import Path

import dvc.api
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from stages import figures

REFERENCE, CONFIDENCE = "learned", 0.95
UNFINISHED = ("Queued", "Running", "Failed")
INPUTS = ("data/raw/", "stages/")  # runs can be compared that had the same of these


def collect(rows: list[dict], swept: str, panel: str) -> tuple[pd.DataFrame, list[str]]:
    """Take the runs that differ in `swept` and `panel` alone; say which were left out, and why.

    Of several groups of such runs the largest is taken. Raises ValueError if no run
    has finished.
    """
    # A run that failed or has yet to run is shown with the metrics of the commit it started from.
    rows = [row for row in rows if row["rev"] != "workspace" and row.get("State") not in UNFINISHED]
    runs = pd.DataFrame(rows).replace("None", None)
    gaps = [column for column in runs if column.startswith("gap.")]
    finished = runs.dropna(subset=[c for c in gaps if c.endswith(".accuracy")], how="all")
    if finished.empty or swept not in finished:
        raise ValueError(f"no finished experiment has {swept}")
    same = [c for c in finished if is_setting(c) and c not in (swept, panel)]
    group = finished.groupby(same, dropna=False).ngroup()
    largest = finished.groupby(group)[swept].size().idxmax()
    chosen = finished[group == largest].drop_duplicates([swept, panel])
    first, left_out = chosen.iloc[0], []
    for _, row in finished[group != largest].iterrows():
        differs = [c for c in same if str(row[c]) != str(first[c])]
        name = name_of(row)
        left_out.append(f"{name} is left out: another {', '.join(differs[:3])}")
    return chosen.sort_values([panel, swept]), left_out


def name_of(run: pd.Series) -> str:
    """Name a run: an experiment's name, or the branch that a baseline is on."""
    return run["Experiment"] if isinstance(run["Experiment"], str) else run["rev"]


def is_setting(column: str) -> bool:
    """Tell whether a column is a parameter or an input, not a name, a metric or what was made."""
    sections = ("seed", "download.", "tokenize.", "embed.", "model.", "train.", "variants.")
    return column.startswith((*sections, *INPUTS))


def curve(runs: pd.DataFrame, swept: str, panel: str) -> pd.DataFrame:
    """One row for each run and variant: accuracy with its 95 % band over draws, and the gap."""
    rows = []
    for _, run in runs.iterrows():
        names = [c.removesuffix(".accuracy_std") for c in runs if c.endswith(".accuracy_std")]
        n_repeats = int(run["train.repeats"])
        t = stats.t.ppf((1 + CONFIDENCE) / 2, n_repeats - 1) if n_repeats > 1 else np.nan
        for name in names:
            accuracy = run[f"{name}.accuracy"]
            if pd.isna(accuracy):  # a variant that other runs have
                continue
            gap = f"gap.{name}-{REFERENCE}.accuracy"
            half = t * run[f"{name}.accuracy_std"] / np.sqrt(n_repeats) if n_repeats > 1 else np.nan
            rows.append(
                {
                    panel: run[panel],
                    swept: run[swept],
                    "variant": name,
                    "accuracy": accuracy,
                    "accuracy_low": accuracy - half,
                    "accuracy_high": accuracy + half,
                    "gap": run.get(gap),
                    "gap_low": run.get(f"{gap}_low"),
                    "gap_high": run.get(f"{gap}_high"),
                    "experiment": name_of(run),
                }
            )
    return pd.DataFrame(rows).round(4)


def zeros(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Find where `y` over log `x` changes its sign, straight between points."""
    i = np.flatnonzero(np.sign(y[:-1]) * np.sign(y[1:]) < 0)
    share = y[i] / (y[i] - y[i + 1])
    return np.exp(np.log(x[i]) + share * np.log(x[i + 1] / x[i])).tolist()


def crossings(table: pd.DataFrame, swept: str) -> list[float]:
    """Find the sizes at which the gap of a variant changes its sign."""
    return zeros(table[swept].to_numpy(float), table["gap"].to_numpy(float))


def regions(table: pd.DataFrame, swept: str) -> list[tuple[int, float, float]]:
    """Cut the sizes to where a variant wins (1), `learned` does (-1), or neither surely (0).

    The interval of the gap is taken to run straight between points, over the logarithm of the
    size; a variant wins where all of it is above zero. So the region of a 0 around a crossing is
    the crossing's own 95 % interval: sizes at which a gap of zero is not refuted.
    """
    x = table[swept].to_numpy(float)
    ends = [table[column].to_numpy(float) for column in ("gap_low", "gap_high")]
    cuts = np.unique([x[0], x[-1], *zeros(x, ends[0]), *zeros(x, ends[1])])
    found = []
    for start, stop in pairwise(cuts):
        low, high = (np.interp(np.log(start * stop) / 2, np.log(x), end) for end in ends)
        found.append((int(low > 0) - int(high < 0), start, stop))
    return found


def sentence(variant: str, table: pd.DataFrame, swept: str) -> str:
    """Say where `variant` wins, where `learned` does, and where it can't be told."""
    pair = f"{variant} against {REFERENCE}"
    table = table.dropna(subset=["gap_low"])
    if len(table) < 2:
        return f"{pair}: too few sizes with an interval."
    first, last = table[swept].iloc[[0, -1]]
    parts, winner = [], None
    cut = regions(table, swept)
    for sign, start, stop in cut:
        if not sign:
            continue
        name = variant if sign > 0 else REFERENCE
        match bool(start == first), bool(stop == last):
            case True, True:
                where = "at every size"
            case True, False:
                where = f"below {stop:,.0f}"
            case False, True:
                where = f"above {start:,.0f}"
            case _:
                where = f"from {start:,.0f} to {stop:,.0f}"
        parts.append(f"and {where}" if name == winner else f"{name} wins {where}")
        winner = name
    if not parts:
        return f"{pair}: no difference is certain at any size."
    if any(not sign for sign, *_ in cut):
        between = len(cut) == 3 and cut[0][0] and cut[2][0]
        parts.append("and between them we can't tell" if between else "elsewhere we can't tell")
    cross = " and ".join(f"{at:,.0f}" for at in crossings(table, swept))
    return f"{pair}: {', '.join(parts)}" + (f" (the lines cross at {cross})." if cross else ".")


def draw(table: pd.DataFrame, swept: str, panel: str, path: Path) -> None:
    """Draw a panel for each value of `panel`, a line with its band for each variant."""
    panels = list(table.groupby(panel, sort=False))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels) + 0.6, 4.4), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, (value, part) in zip(axes[0], panels, strict=True):
        lines = part.groupby("variant", sort=False)
        for color, (variant, line) in zip(cycle(figures.COLORS), lines, strict=False):
            axis.plot(line[swept], line["accuracy"], color=color, marker="o", ms=4, label=variant)
            axis.fill_between(
                line[swept], line["accuracy_low"], line["accuracy_high"], color=color, alpha=0.2,
                linewidth=0,
            )  # fmt: skip
            for at in crossings(line, swept):
                axis.axvline(at, color=color, linewidth=1, linestyle=":")
                for sign, start, stop in regions(line, swept):
                    if not sign and start <= at <= stop:
                        axis.axvspan(start, stop, color=color, alpha=0.08, linewidth=0)
        axis.set_xscale("log")
        axis.set_xticks(ticks := sorted(part[swept].unique()), [f"{t:,.0f}" for t in ticks])
        axis.tick_params(axis="x", rotation=45)
        axis.minorticks_off()
        axis.set_title(f"{panel} {value}")
        axis.set_xlabel(swept)
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("accuracy on the test split")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles += [
        plt.Rectangle((0, 0), 1, 1, color="grey", alpha=0.3, linewidth=0),
        plt.Line2D([], [], color="grey", linewidth=1, linestyle=":"),
        plt.Rectangle((0, 0), 1, 1, color="grey", alpha=0.12, linewidth=0),
    ]
    labels += ["95 % band over draws", "crosses learned", "95 % interval of the crossing"]
    figure.legend(
        handles, labels, loc="outside lower center", fontsize="small", ncols=min(2 * len(panels), 6)
    )
    figure.suptitle(f"Test accuracy over {swept}")
    figures.save(figure, path)


def report(table: pd.DataFrame, swept: str, panel: str) -> str:
    """Lay the curve out in Markdown: the sentences, then accuracies and gaps by size."""
    lines = []
    for value, part in table.groupby(panel, sort=False):
        lines += [f"### {panel} {value}", ""]
        variants = [v for v in part["variant"].unique() if v != REFERENCE]
        for variant in variants:
            said = sentence(variant, part[part["variant"] == variant], swept)
            lines.append(f"- Over {swept}, {said}")
        lines += ["", f"| {swept} | {REFERENCE} | {' | '.join(f'{v} | gap' for v in variants)} |"]
        lines.append("|--:" * (2 + 2 * len(variants)) + "|")
        for size, rows in part.groupby(swept):
            rows = rows.set_index("variant")
            cells = [f"{size:,.0f}", f"{rows.loc[REFERENCE, 'accuracy']:.3f}"]
            for v in variants:
                row = rows.loc[v]
                ends = f" ({row['gap_low']:+.3f} to {row['gap_high']:+.3f})"
                cells += [f"{row['accuracy']:.3f}"]
                cells += [f"{row['gap']:+.3f}" + (ends if pd.notna(row["gap_low"]) else "")]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.learning_curve", description=__doc__
    )
    parser.add_argument("--over", default="train.samples", help="the swept parameter")
    parser.add_argument("--panel", default="model.head", help="another, a panel for each value")
    parser.add_argument("--out", type=Path, default=Path("experiments"))
    arguments = parser.parse_args()
    try:
        rows = dvc.api.exp_show()
        runs, left_out = collect(rows, arguments.over, arguments.panel)
    except ValueError as error:
        sys.exit(f"error: {error}")
    for line in left_out:
        print(line, file=sys.stderr)
    table = curve(runs, arguments.over, arguments.panel)
    arguments.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out / "learning_curve.csv", index=False, lineterminator="\n")
    text = report(table, arguments.over, arguments.panel)
    (arguments.out / "learning_curve.md").write_text(text, encoding="utf-8")
    draw(table, arguments.over, arguments.panel, arguments.out / "learning_curve.png")
    print(text)


if __name__ == "__main__":
    main()
