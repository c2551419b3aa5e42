"""Turn finished experiments into learning curves: python -m experiments.learning_curve [NAME …].

In:  the experiments of these names, or all that the commit has, through `dvc.api.exp_show`.
Out: learning_curve.csv, .md and .png in a folder named after the data: test accuracy, or another
     metric, of each variant over the swept parameter, one panel for each value of others that were
     swept too, and where the gap to `learned` changes its sign. Of one experiment alone, a few
     lines.

A curve joins what can be compared: runs that differ in those parameters alone. Each data set has
the largest curve that its runs give, and what that leaves out is named.
"""

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from experiments.curve_figure import MOST_WITH_BANDS, by_panel, draw
from experiments.runs import (
    METRICS,
    REPEATS,
    TEXTS,
    about,
    collect,
    folder_for,
    groups,
    left_out,
    name_data,
    name_of,
    read_data,
    read_draws,
    read_runs,
    shown,
    slug,
    with_metric,
    written,
)
from experiments.verdicts import (
    BEATS,
    LOSES,
    SIZE,
    judge,
    numbers_of_draws,
    overlap,
    p_value,
    reasons,
    sentence,
)
from stages.report.markdown import lines_of, plain
from stages.shared.errors import run as run_main
from stages.shared.evidence import CONFIDENCE, LEAST_TEXTS, REFERENCE, doubts

FILE = "learning_curve.csv"
LINE = 79  # columns of a terminal


def doubts_of(run: pd.Series, variant: str, data: dict) -> list[str]:
    """List what keeps the gap of a run from being an answer, by what the run tells."""
    shares = {name: run.get(f"{name}.largest_share") for name in (REFERENCE, variant)}
    start = str(run.get(f"variants.{variant}.vectors"))  # tfidf starts from none
    named = run.get(f"embed.{start}.vectors")
    file, share = start if pd.isna(named) else named, run.get(f"{start}.share_of_tokens")
    counted: dict[str, Any] = (
        data if data["labels"] else {"labels": ["0", "1"], "test": [LEAST_TEXTS] * 2}
    )
    found = doubts(
        variant, file,
        {name: {"largest_share": 0 if pd.isna(s) else s} for name, s in shares.items()},
        {} if pd.isna(share) else {file: {"share_of_tokens": share}},
        counted | {"labels": [shown(label).replace(";", ",") for label in counted["labels"]]},
    )  # fmt: skip
    alone = ["one repeat gives no interval"] if int(run["train.repeats"]) == 1 else []
    return [*found, *alone]


def of_one_label(run: pd.Series, metric: str, data: dict) -> float | None:
    """Give the metric of one label for every text, where that is known."""
    if metric == "accuracy":
        return run.get("majority")
    n_labels = len(data["labels"]) or 2
    return {"balanced_accuracy": 1 / n_labels, "roc_auc": 0.5}.get(metric)


def curve(
    runs: pd.DataFrame, swept: str, panels: list[str], data: dict, metric: str = "accuracy",
    draws: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """One row for each run and variant: its score with the band over draws, gap and verdict.

    draws: experiment, variant, draw; of a metric whose standard deviation the runs do not tell, the
    band comes from these.
    """
    rows, most = [], np.inf if metric == "log_loss" else 1
    for _, run in runs.iterrows():
        names = [c.removesuffix(".accuracy_std") for c in runs if c.endswith(".accuracy_std")]
        n_repeats = int(run["train.repeats"])
        t = stdtrit(n_repeats - 1, (1 + CONFIDENCE) / 2) if n_repeats > 1 else np.nan
        for name in names:
            score = run.get(f"{name}.{metric}")
            if pd.isna(score):  # a variant that other runs have
                continue
            std = run.get(f"{name}.{metric}_std")
            if std is None and draws is not None:
                of = (draws["experiment"] == name_of(run)) & (draws["variant"] == name)
                std = draws.loc[of, "draw"].std()
            half = t * (np.nan if std is None else std) / np.sqrt(n_repeats)
            rows.append(
                {key: run[key] for key in (*panels, swept)}
                | {"variant": name, metric: score}
                | {f"{metric}_low": max(score - half, 0), f"{metric}_high": min(score + half, most)}
                | gap_to_reference(run, name, metric, data)
                | {"majority": of_one_label(run, metric, data)}
                | {"experiment": name_of(run)}
            )
    table = judge(pd.DataFrame(rows), panels)
    numbers = [c for c in table if re.fullmatch(f"({metric}|gap)(_low|_high)?|majority", c)]
    table[numbers] = table[numbers].astype(float).round(4)
    return table


def gap_to_reference(run: pd.Series, variant: str, metric: str, data: dict) -> dict:
    """Tell a variant's gap with its interval and p-value, and the doubts of it."""
    columns = ("gap", "gap_low", "gap_high", "gap_p", "doubt")
    if variant == REFERENCE:
        return dict(zip(columns, (None, None, None, None, ""), strict=True))
    name, n_repeats = f"gap.{variant}-{REFERENCE}.{metric}", int(run["train.repeats"])
    gap, low, high = run.get(name), run.get(f"{name}_low"), run.get(f"{name}_high")
    if pd.isna(gap):
        gap = run[f"{variant}.{metric}"] - run[f"{REFERENCE}.{metric}"]
    found, p = doubts_of(run, variant, data), None
    if n_repeats > 1 and pd.isna(low):
        found.append(f"there is no interval for {metric}")
    elif n_repeats > 1:
        p = p_value(gap, low, high, n_repeats)
    return dict(zip(columns, (gap, low, high, p, "; ".join(found)), strict=True))


def report(
    table: pd.DataFrame, swept: str, panels: list[str], title: str, metric: str, overlapping: str
) -> str:
    """Lay the curve out in Markdown: the sentences, scores and gaps by size, doubts and notes."""
    lines = [f"# {plain(title)}", ""]
    for name, part in by_panel(table, panels):
        lines += [f"### {plain(name)}", ""] if name else []
        variants = [v for v in part["variant"].unique() if v != REFERENCE]
        for variant in variants:
            said = sentence(variant, part[part["variant"] == variant], swept)
            lines.append(f"- Over {swept}, {said}")
        lines += ["", laid_out(part, swept, metric), ""]
        lines += [plain(why), ""] if (why := reasons(part, swept)) else []
    for note in notes(table, metric, overlapping):
        lines += [note, ""]
    return "\n".join(lines)


def laid_out(part: pd.DataFrame, swept: str, metric: str) -> str:
    """Tabulate the scores and gaps of a panel, a row for each size; of many variants, for each."""
    names = part["variant"].unique()
    sizes = {
        plain(written(size)): rows.set_index("variant")
        for size, rows in part.groupby(swept, sort=False, dropna=False)
    }
    if len(names) > MOST_WITH_BANDS:
        cells = [
            [f"`{v}`", *(scored(rows.loc[v], metric) for rows in sizes.values())] for v in names
        ]
        return lines_of([f"by {swept}", *sizes], cells)
    others = [name for name in names if name != REFERENCE]
    header, cells = [swept, REFERENCE], []
    for name in others:
        header += [name, "gap"]
    for size, rows in sizes.items():
        row = [size, f"{rows.loc[REFERENCE, metric]:.3f}"]
        for name in others:
            row += [f"{rows.loc[name, metric]:.3f}", gap_of(rows.loc[name], "**")]
        cells.append(row)
    return lines_of(header, cells, left=0)


def scored(row: pd.Series, metric: str) -> str:
    """Write the score of a variant and its gap to the reference."""
    gap = "" if row.name == REFERENCE else f", {gap_of(row, '**')}"
    return f"{row[metric]:.3f}{gap}"


def notes(table: pd.DataFrame, metric: str, overlapping: str) -> list[str]:
    """List what is to be said of the whole page: what is bold, the majority, draws that overlap."""
    found = []
    if table["gap_low"].notna().any():
        found.append(
            "Each gap has its own 95 % interval. Bold gaps are significant at 5 % after Holm's"
            " correction over all gaps of a variant."
        )
    shares = [f"{score:.3f}" for score in table["majority"].dropna().unique()]
    if shares:
        found.append(f"Always the most frequent label: {METRICS[metric]} {' or '.join(shares)}.")
    return [*found, *([overlapping] if overlapping else [])]


def gap_of(row: pd.Series, bold: str = "") -> str:
    """Write a gap with its interval, if it has one; if it is significant, between these marks."""
    ends = f" ({row['gap_low']:+.3f} to {row['gap_high']:+.3f})"
    mark = bold if row["verdict"] in (BEATS, LOSES) else ""
    return f"{mark}{row['gap']:+.3f}{mark}" + (ends if pd.notna(row["gap_low"]) else "")


def result(table: pd.DataFrame, keys: list[str], title: str, metric: str, overlapping: str) -> str:
    """Say what one run came to, in lines that fit a terminal."""
    first = table.iloc[0]
    place = ", ".join(f"{key} {written(first[key])}" for key in keys)
    lines = [textwrap.fill(f"{title}; {place}", LINE), "with 95 % intervals:"]
    for _, row in table.iterrows():
        ends = f" ({row[f'{metric}_low']:.3f} to {row[f'{metric}_high']:.3f})"
        band = ends if pd.notna(row[f"{metric}_low"]) else ""
        cells = [f"{row['variant'][:20]:<20}", f"{row[metric]:.3f}{band}"]
        if row["variant"] != REFERENCE:
            cells.append(f"gap {gap_of(row)}")
        lines.append("  ".join(cells))
    for said in (reasons(table, keys[0]), overlapping):
        lines += textwrap.wrap(said, LINE)
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.learning_curve", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments; else all")
    parser.add_argument(
        "--metric", choices=METRICS, default="accuracy", help="what is drawn; else accuracy"
    )
    parser.add_argument("--over", default=SIZE, help="the swept parameter")
    parser.add_argument(
        "--panel", default="model.head", help="others, comma between, a panel for each value"
    )
    parser.add_argument("--setting", help="what these runs are called in titles and folders")
    parser.add_argument("--out", type=Path, help="folder; else one of its own below experiments/")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    swept, names, metric = arguments.over, arguments.names, arguments.metric
    given = dict.fromkeys(key.strip() for key in arguments.panel.split(","))
    panels = [key for key in given if key and key != swept]
    runs = with_metric(collect(read_runs(names), names, swept, panels), metric)
    chosen = []
    for _, of_data in runs.groupby(TEXTS, sort=False):
        largest, *others = groups(of_data, swept, panels)
        chosen.append(largest)
        for line in left_out(largest, others, swept, panels):
            print(line, file=sys.stderr)
    for group in chosen:
        data = read_data(group.iloc[0])
        title = f"Test {METRICS[metric]} on {about(data, arguments.setting)}"
        overlapping = overlap(group[SIZE], sum(data["train"]))
        overlapping = " ".join(filter(None, [numbers_of_draws(group[REPEATS]), overlapping]))
        draws = read_draws(group, metric)
        table = curve(group, swept, panels, data, metric, draws)
        if len(group) == 1:
            print(result(table, [swept, *panels], title, metric, overlapping))
            continue
        table = name_data(table, data).assign(
            setting=arguments.setting or "", shared=group["shared"].iloc[0]
        )
        base = arguments.out or Path("experiments")
        if not arguments.out or len(chosen) > 1:
            own = metric if metric != "accuracy" else None
            base = folder_for(table, base / slug(data["name"], arguments.setting, own), FILE)
        base.mkdir(parents=True, exist_ok=True)
        table.to_csv(base / FILE, index=False, lineterminator="\n")
        text = report(table, swept, panels, title, metric, overlapping)
        (base / "learning_curve.md").write_text(text, encoding="utf-8")
        draw(table, draws, swept, panels, metric, title, base / "learning_curve.png")
        print(text)
        print(f"{base}/learning_curve.csv, .md and .png", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
