"""Draw recorded learning curves side by side: a panel for each value, a line for each variant.

    python -m experiments.curve_figure A.csv B.csv --out both.png --title "Test accuracy"

In: tables that `python -m experiments.learning_curve` wrote. Out: one picture of them, each panel
with the name of its file. A table does not have the single draws, so the picture has no dots.
"""

import argparse
import textwrap
from collections.abc import Iterator
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib import font_manager
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from experiments.runs import METRICS, is_numeric, written
from experiments.verdicts import SIZE, crossings
from stages.report import figures
from stages.shared.errors import InputError, run
from stages.shared.text import without_secrets

PANELS_A_ROW = 4
PANEL = "curve"  # the column with the names of recorded curves
MARKERS = "osD^v"
MOST_WITH_BANDS = 6  # variants, of which each has its band, its dots and its crossings
APART = 3.5 / 72  # inches between the dots of two variants at one point


def by_panel(table: pd.DataFrame, panels: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each panel's title, without the secrets of URLs, and rows."""
    if not panels:
        yield "", table
        return
    for values, part in table.groupby(panels, sort=False, dropna=False):
        pairs = zip(panels, values, strict=True)
        named = (written(v) if key == PANEL else f"{key} {written(v)}" for key, v in pairs)
        yield ", ".join(map(without_secrets, named)), part


def draw(
    table: pd.DataFrame, draws: pd.DataFrame, swept: str, panels: list[str], metric: str,
    title: str, path: Path,
) -> None:  # fmt: skip
    """Draw the mean of each variant with its band, and a dot for each of the draws there are.

    Of more than MOST_WITH_BANDS variants the means alone: all else would cover them.
    """
    parts = list(by_panel(table, panels))
    n_columns = min(len(parts), PANELS_A_ROW)
    n_rows = -(-len(parts) // n_columns)
    n_a_line = min(2 * n_columns, 5)
    looks = styles(table)
    handles = legend(table, draws, swept, parts)
    height = 3.6 * n_rows + 0.8 + 0.2 * -(-len(handles) // n_a_line)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(4.2 * n_columns + 0.6, height), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(parts) :]:
        axis.remove()
    for axis, (name, part) in zip(axes.flat, parts, strict=False):
        draw_panel(axis, part, draws, swept, metric, looks)
        axis.set_title(name, parse_math=False)
    for row in axes:
        row[0].set_ylabel(f"{METRICS[metric]} on the test split")
    figure.legend(handles=handles, loc="outside lower center", fontsize="small", ncols=n_a_line)
    title = textwrap.fill(drawable(title), 56 * n_columns)
    figure.suptitle(title, parse_math=False, fontsize="medium")
    figures.save(figure, path)


def styles(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Give each variant a colour, a marker and a kind of line, the same in every panel."""
    lines = [*repeat("-", len(figures.COLORS)), *repeat("--", len(figures.COLORS))]
    looks = zip(cycle(figures.COLORS), cycle(MARKERS), cycle(lines), strict=False)
    return {
        variant: {"color": color, "marker": marker, "linestyle": line, "markersize": 5}
        for variant, (color, marker, line) in zip(table["variant"].unique(), looks, strict=False)
    }


def draw_panel(
    axis: plt.Axes, part: pd.DataFrame, draws: pd.DataFrame, swept: str, metric: str,
    looks: dict[str, dict[str, Any]],
) -> None:  # fmt: skip
    """Draw the lines of a panel; values that are no numbers stand in a row."""
    values = part[swept].drop_duplicates().tolist()
    ordered = is_numeric(part[swept])
    numbers = values if ordered else range(len(values))
    places = dict(zip(map(written, values), numbers, strict=True))
    for variant, line in part.groupby("variant", sort=False):
        look, number = looks[variant], [*looks].index(variant)
        x = [places[written(value)] for value in line[swept]]
        axis.plot(x, line[metric], **look)
        if len(looks) > MOST_WITH_BANDS:
            continue
        axis.fill_between(
            x, line[f"{metric}_low"], line[f"{metric}_high"], color=look["color"], alpha=0.15,
            linewidth=0,
        )  # fmt: skip
        dots = line[["experiment", "variant", swept]].merge(draws, on=["experiment", "variant"])
        beside = ScaledTranslation(
            APART * (number - (len(looks) - 1) / 2), 0, axis.figure.dpi_scale_trans
        )
        axis.scatter(
            [places[written(value)] for value in dots[swept]], dots["draw"], s=9,
            color=look["color"], alpha=0.7, linewidth=0, zorder=3,
            transform=axis.transData + beside,
        )  # fmt: skip
        for cross in crossings(line, swept):
            axis.axvline(cross.at, color=look["color"], linewidth=1, linestyle="--")
            axis.axvspan(cross.low, cross.high, color=look["color"], alpha=0.08, linewidth=0)
    for score in part["majority"].dropna().unique():
        axis.axhline(score, color="black", linewidth=0.9, linestyle=":")
    if ordered and min(values) > 0:
        axis.set_xscale("log")
    axis.set_xticks([*places.values()], [*places])
    axis.tick_params(axis="x", rotation=45)
    axis.minorticks_off()
    axis.set_xlabel(swept)
    axis.grid(alpha=0.25)


def legend(
    table: pd.DataFrame, draws: pd.DataFrame, swept: str, parts: list[tuple[str, pd.DataFrame]]
) -> list:
    """Explain the variants, and what else is drawn."""
    looks = styles(table)
    handles: list = [plt.Line2D([], [], label=variant, **look) for variant, look in looks.items()]
    bare = len(looks) > MOST_WITH_BANDS
    lines = [line for _, part in parts for _, line in part.groupby("variant", sort=False)]
    grey: dict[str, Any] = {"color": "grey", "linewidth": 0}
    if len(draws) and not bare:
        handles.append(plt.Line2D([], [], marker=".", markersize=5, label="one draw", **grey))
    if not bare:
        handles.append(Patch(alpha=0.3, label="95 % band of the mean over draws", **grey))
    if table["majority"].notna().any():
        dotted: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": ":"}
        handles.append(plt.Line2D([], [], label="always the most frequent label", **dotted))
    if not bare and any(crossings(line, swept) for line in lines):
        dashed: dict[str, Any] = {"color": "grey", "linewidth": 1, "linestyle": "--"}
        handles.append(plt.Line2D([], [], label="crosses learned", **dashed))
        handles.append(Patch(alpha=0.12, label="95 % interval of the crossing", **grey))
    return handles


def drawable(text: str) -> str:
    """Replace the characters that the font of the figures lacks."""
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return "".join(c if font.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def recorded(path: Path) -> pd.DataFrame:
    """Read a table of `learning_curve`, its panels named by the file and by what they differ in.

    Raises InputError if it is another table, or none.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])  # a variant can be NA
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no table can be read: {error}") from error
    if missing := {SIZE, "variant", "accuracy", "majority"} - {*table}:
        raise InputError(f"{path} has no column {min(missing)}: it is no learning curve")
    before = [*table][: [*table].index(SIZE)]
    differing = [column for column in before if table[column].nunique() > 1]
    names = [path.stem.replace("_", " ") + "".join(f", {written(v)}" for v in values)
             for values in table[differing].to_numpy()]  # fmt: skip
    return table.assign(**{PANEL: names})


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.curve_figure", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    parser.add_argument("--title", default="Test accuracy")
    arguments = parser.parse_args()
    table = pd.concat([recorded(path) for path in arguments.files], ignore_index=True)
    no_draws = pd.DataFrame(columns=["experiment", "variant", "draw"])
    draw(table, no_draws, SIZE, [PANEL], "accuracy", arguments.title, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    run(main)
