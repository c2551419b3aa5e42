"""Turn finished experiments into learning curves: python -m experiments.learning_curve [NAME …].

In:  the experiments of these names, or all that the commit has, through `dvc.api.exp_show`.
Out: learning_curve.csv, .md and .png in a folder named after the data: test accuracy of each
     variant over the swept parameter, one panel for each value of others that were swept too, and
     where the gap to `learned` changes its sign. Of one experiment alone, a few lines.

A curve joins what can be compared: runs that differ in those parameters alone. Each data set has
the largest curve that its runs give, and what that leaves out is named.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import font_manager
from scipy import stats

from experiments.runs import (
    TEXTS,
    about,
    collect,
    folder_for,
    groups,
    is_numeric,
    left_out,
    name_data,
    name_of,
    read_data,
    read_runs,
    shown,
    slug,
    written,
)
from stages.report import figures
from stages.report.markdown import lines_of, plain
from stages.shared.errors import run as run_main
from stages.shared.evidence import CONFIDENCE, LEAST_TEXTS, REFERENCE, doubts

SIZE = "train.samples"
FILE = "learning_curve.csv"
UNKNOWN = 1e9  # the end of an interval that may be anywhere
LINE = 79  # columns of a terminal
PANELS_A_ROW = 4


def doubts_of(run: pd.Series, variant: str, data: dict) -> list[str]:
    """List what keeps the gap of a run from being an answer, by what the run tells."""
    shares = {name: run.get(f"{name}.largest_share") for name in (REFERENCE, variant)}
    start = run[f"variants.{variant}.vectors"]
    file = run.get(f"embed.{start}.vectors", start)
    share = run.get(f"{start}.share_of_tokens")
    counted: dict[str, Any] = (
        data if data["labels"] else {"labels": ["0", "1"], "test": [LEAST_TEXTS] * 2}
    )
    return doubts(
        variant, file,
        {name: {"largest_share": 0 if pd.isna(s) else s} for name, s in shares.items()},
        {} if pd.isna(share) else {file: {"share_of_tokens": share}},
        counted | {"labels": [shown(label).replace(";", ",") for label in counted["labels"]]},
    )  # fmt: skip


def curve(runs: pd.DataFrame, swept: str, panels: list[str], data: dict) -> pd.DataFrame:
    """One row for each run and variant: accuracy with its 95 % band over draws, gap and doubts."""
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
                {key: run[key] for key in (*panels, swept)}
                | {
                    "variant": name,
                    "accuracy": accuracy,
                    "accuracy_low": accuracy - half,
                    "accuracy_high": accuracy + half,
                    "gap": run.get(gap),
                    "gap_low": run.get(f"{gap}_low"),
                    "gap_high": run.get(f"{gap}_high"),
                    "doubt": "" if name == REFERENCE else "; ".join(doubts_of(run, name, data)),
                    "experiment": name_of(run),
                }
            )
    table = pd.DataFrame(rows)
    numbers = [c for c in table if re.fullmatch("(accuracy|gap)(_low|_high)?", c)]
    table[numbers] = table[numbers].astype(float).round(4)
    return table


def by_panel(table: pd.DataFrame, panels: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each panel's title and rows."""
    if not panels:
        yield "", table
        return
    for values, part in table.groupby(panels, sort=False, dropna=False):
        pairs = zip(panels, values, strict=True)
        yield ", ".join(f"{key} {written(value)}" for key, value in pairs), part


def between(value: float, values: np.ndarray) -> str:
    """Write a number that lies between values of a parameter, whole if they are."""
    whole = (values == values.round()).all()
    return written(round(value) if whole else float(f"{value:.4g}"))


def scale(x: np.ndarray) -> tuple:
    """Give the scale of an axis and its inverse: logarithmic if all values are above zero."""
    return (np.log, np.exp) if (x > 0).all() else (np.asarray, np.asarray)


def zeros(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Find where `y` over the scale of `x` changes its sign, straight between points."""
    there, back = scale(x)
    at, i = there(x), np.flatnonzero(np.sign(y[:-1]) * np.sign(y[1:]) < 0)
    share = y[i] / (y[i] - y[i + 1])
    return back(at[i] + share * (at[i + 1] - at[i])).tolist()


def trusted(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the gaps that are in doubt: any gap is possible there."""
    doubtful = table["doubt"] != ""
    unknown = {"gap": np.nan, "gap_low": -UNKNOWN, "gap_high": UNKNOWN}
    return table.assign(**{c: table[c].mask(doubtful, value) for c, value in unknown.items()})


def crossings(table: pd.DataFrame, swept: str) -> list[float]:
    """Find the sizes at which the gap of a variant changes its sign."""
    if not is_numeric(table[swept]):
        return []
    return zeros(table[swept].to_numpy(float), trusted(table)["gap"].to_numpy(float))


def regions(table: pd.DataFrame, swept: str) -> list[tuple[int, float, float]]:
    """Cut the sizes into where a variant wins (1), `learned` does (-1), or neither surely (0).

    The interval of the gap is taken to run straight between points, over the logarithm of the
    size; a variant wins where all of it is above zero. So the region of a 0 around a crossing is
    the crossing's own 95 % interval: sizes at which a gap of zero is not refuted.
    """
    x, table = table[swept].to_numpy(float), trusted(table)
    there, _ = scale(x)
    ends = [table[column].to_numpy(float) for column in ("gap_low", "gap_high")]
    cuts = np.unique([x[0], x[-1], *zeros(x, ends[0]), *zeros(x, ends[1])])
    found = []
    for start, stop in pairwise(cuts):
        middle = (there(start) + there(stop)) / 2
        low, high = (np.interp(middle, there(x), end) for end in ends)
        found.append((int(low > 0) - int(high < 0), start, stop))
    return found


def wins(table: pd.DataFrame, swept: str) -> list[tuple[int, str]]:
    """Say where a variant wins (1), `learned` does (-1), or neither surely (0): sign and words."""
    if not is_numeric(table[swept]):
        rows = trusted(table)
        signs = (rows["gap_low"] > 0).astype(int) - (rows["gap_high"] < 0).astype(int)
        return [(s, f"at {written(v)}") for s, v in zip(signs, table[swept], strict=True)]
    values, found = table[swept].to_numpy(float), []
    for sign, start, stop in regions(table, swept):
        low, high = between(start, values), between(stop, values)
        match bool(start == values[0]), bool(stop == values[-1]):
            case True, True:
                where = f"at every {'size' if swept == SIZE else 'value'}"
            case _ if low == high:
                where = f"at {low}"
            case True, False:
                where = f"below {high}"
            case False, True:
                where = f"above {low}"
            case _:
                where = f"from {low} to {high}"
        found.append((sign, where))
    return found


def sentence(variant: str, table: pd.DataFrame, swept: str) -> str:
    """Say where `variant` wins significantly, and where `learned` does."""
    pair = f"{variant} against {REFERENCE}"
    noun = "size" if swept == SIZE else "value"
    table = table.dropna(subset=["gap_low"])
    if len(table) and (table["doubt"] != "").all():
        return f"{pair}: no answer at any {noun}."
    if len(table) < 2:
        return f"{pair}: too few {noun}s with an interval."
    parts, winner, cut = [], None, wins(table, swept)
    for sign, where in cut:
        if not sign:
            continue
        name = variant if sign > 0 else REFERENCE
        parts.append(f"and {where}" if name == winner else f"{name} wins {where}")
        winner = name
    if not parts:
        return f"{pair}: no difference is significant at any {noun}."
    if any(not sign for sign, _ in cut):
        inside = is_numeric(table[swept]) and len(cut) == 3 and cut[0][0] and cut[2][0]
        parts.append(f"{'and between them' if inside else 'elsewhere'} no winner is significant")
    values = table[swept].to_numpy()
    cross = " and ".join(between(at, values) for at in crossings(table, swept))
    return f"{pair}: {', '.join(parts)}" + (f" (the lines cross at {cross})." if cross else ".")


def reasons(table: pd.DataFrame, swept: str) -> str:
    """Say in a line at which points of a panel no winner is named, and why; empty if at none."""
    found = {}
    for _, row in table[table["doubt"] != ""].iterrows():
        for doubt in row["doubt"].split("; "):
            found.setdefault(doubt, {})[written(row[swept])] = None
    every = table[swept].nunique(dropna=False)
    parts = []
    for doubt, values in found.items():
        where = "everywhere" if len(values) == every else f"at {', '.join(values)}"
        parts.append(f"{where} {doubt}")
    return f"No winner is named where there is doubt: {'; '.join(parts)}." if parts else ""


def draw(table: pd.DataFrame, swept: str, panels: list[str], title: str, path: Path) -> None:
    """Draw a panel for each value of `panels`, a line with its band for each variant."""
    parts = list(by_panel(table, panels))
    n_columns = min(len(parts), PANELS_A_ROW)
    n_rows = -(-len(parts) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(4.2 * n_columns + 0.6, 3.6 * n_rows + 1.2), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(parts) :]:
        axis.remove()
    for axis, (name, part) in zip(axes.flat, parts, strict=False):
        draw_panel(axis, part, swept)
        axis.set_title(name, parse_math=False)
    for row in axes:
        row[0].set_ylabel("accuracy on the test split")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles += [
        plt.Rectangle((0, 0), 1, 1, color="grey", alpha=0.3, linewidth=0),
        plt.Line2D([], [], color="grey", linewidth=1, linestyle=":"),
        plt.Rectangle((0, 0), 1, 1, color="grey", alpha=0.12, linewidth=0),
    ]
    labels += ["95 % band over draws", "crosses learned", "95 % interval of the crossing"]
    figure.legend(
        handles, labels, loc="outside lower center", fontsize="small", ncols=min(2 * n_columns, 6)
    )
    title = textwrap.fill(drawable(title), 48 * n_columns)
    figure.suptitle(f"Test accuracy over {swept}\n{title}", parse_math=False, fontsize="medium")
    figures.save(figure, path)


def draw_panel(axis: plt.Axes, part: pd.DataFrame, swept: str) -> None:
    """Draw the lines of a panel; values that are no numbers are evenly spaced."""
    values = part[swept].drop_duplicates().tolist()
    ordered = is_numeric(part[swept])
    numbers = values if ordered else range(len(values))
    places = dict(zip(map(written, values), numbers, strict=True))
    for color, (variant, line) in zip(
        cycle(figures.COLORS), part.groupby("variant", sort=False), strict=False
    ):
        x = [places[written(value)] for value in line[swept]]
        axis.plot(x, line["accuracy"], color=color, marker="o", ms=4, label=variant)
        axis.fill_between(
            x, line["accuracy_low"], line["accuracy_high"], color=color, alpha=0.2, linewidth=0
        )
        for at in crossings(line, swept):
            axis.axvline(at, color=color, linewidth=1, linestyle=":")
            for sign, start, stop in regions(line, swept):
                if not sign and start <= at <= stop:
                    axis.axvspan(start, stop, color=color, alpha=0.08, linewidth=0)
    if ordered and min(values) > 0:
        axis.set_xscale("log")
    axis.set_xticks([*places.values()], [*places])
    axis.tick_params(axis="x", rotation=45)
    axis.minorticks_off()
    axis.set_xlabel(swept)
    axis.grid(alpha=0.25)


def drawable(text: str) -> str:
    """Replace the characters that the font of the figures lacks."""
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return "".join(c if font.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def report(table: pd.DataFrame, swept: str, panels: list[str], title: str) -> str:
    """Lay the curve out in Markdown: the sentences, accuracies and gaps by size, and doubts."""
    lines = [f"# {plain(title)}", ""]
    for name, part in by_panel(table, panels):
        lines += [f"### {plain(name)}", ""] if name else []
        variants = [v for v in part["variant"].unique() if v != REFERENCE]
        for variant in variants:
            said = sentence(variant, part[part["variant"] == variant], swept)
            lines.append(f"- Over {swept}, {said}")
        header, cells = [swept, REFERENCE], []
        for variant in variants:
            header += [variant, "gap"]
        for size, rows in part.groupby(swept, sort=False, dropna=False):
            rows = rows.set_index("variant")
            row = [plain(written(size)), f"{rows.loc[REFERENCE, 'accuracy']:.3f}"]
            for v in variants:
                row += [f"{rows.loc[v, 'accuracy']:.3f}", gap_of(rows.loc[v])]
            cells.append(row)
        lines += [
            "",
            lines_of(header, cells, left=0),
            "",
            *([plain(why), ""] if (why := reasons(part, swept)) else []),
        ]
    return "\n".join(lines)


def gap_of(row: pd.Series) -> str:
    """Write a gap with its interval, if it has one."""
    ends = f" ({row['gap_low']:+.3f} to {row['gap_high']:+.3f})"
    return f"{row['gap']:+.3f}" + (ends if pd.notna(row["gap_low"]) else "")


def result(table: pd.DataFrame, keys: list[str], title: str) -> str:
    """Say what one run came to, in lines that fit a terminal."""
    first = table.iloc[0]
    place = ", ".join(f"{key} {written(first[key])}" for key in keys)
    lines = [textwrap.fill(f"{title}; {place}", LINE), "with 95 % intervals:"]
    for _, row in table.iterrows():
        ends = f" ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
        band = ends if pd.notna(row["accuracy_low"]) else ""
        cells = [f"{row['variant'][:20]:<20}", f"{row['accuracy']:.3f}{band}"]
        if row["variant"] != REFERENCE:
            cells.append(f"gap {gap_of(row)}")
        lines.append("  ".join(cells))
    why = reasons(table, keys[0])
    return "\n".join([*lines, *textwrap.wrap(why, LINE)]) + "\n"


def write(table: pd.DataFrame, swept: str, panels: list[str], title: str, folder: Path) -> None:
    """Write a curve as CSV, Markdown and picture, and print it."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / FILE, index=False, lineterminator="\n")
    text = report(table, swept, panels, title)
    (folder / "learning_curve.md").write_text(text, encoding="utf-8")
    draw(table, swept, panels, title, folder / "learning_curve.png")
    print(text)
    print(f"{folder}/learning_curve.csv, .md and .png", file=sys.stderr)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.learning_curve", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments; else all")
    parser.add_argument("--over", default=SIZE, help="the swept parameter")
    parser.add_argument(
        "--panel", default="model.head", help="others, comma between, a panel for each value"
    )
    parser.add_argument("--setting", help="what these runs are called in titles and folders")
    parser.add_argument("--out", type=Path, help="folder; else one of its own below experiments/")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    swept, names = arguments.over, arguments.names
    given = dict.fromkeys(key.strip() for key in arguments.panel.split(","))
    panels = [key for key in given if key and key != swept]
    runs = collect(read_runs(names), names, swept, panels)
    chosen = []
    for _, of_data in runs.groupby(TEXTS, sort=False):
        largest, *others = groups(of_data, swept, panels)
        chosen.append(largest)
        for line in left_out(largest, others, swept, panels):
            print(line, file=sys.stderr)
    for group in chosen:
        data = read_data(group.iloc[0])
        title, table = about(data, arguments.setting), curve(group, swept, panels, data)
        if len(group) == 1:
            print(result(table, [swept, *panels], title))
            continue
        table = name_data(table, data).assign(
            setting=arguments.setting or "", shared=group["shared"].iloc[0]
        )
        base = arguments.out or Path("experiments")
        if not arguments.out or len(chosen) > 1:
            base = folder_for(table, base / slug(data["name"], arguments.setting), FILE)
        write(table, swept, panels, title, base)


if __name__ == "__main__":
    run_main(main)
