"""Figures, drawn with matplotlib; each function takes tables and writes one PNG."""

import os
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import cycle
from pathlib import Path

from stages.shared.artifacts import KEPT_BY_MATPLOTLIB

os.environ.setdefault("MPLCONFIGDIR", str(KEPT_BY_MATPLOTLIB))
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import textalloc
from matplotlib import font_manager

matplotlib.rcParams["text.parse_math"] = False  # a $ in a word is a dollar
# Okabe and Ito (2008): safe for colour-blind
COLORS = TRAIN_COLOR, VALIDATION_COLOR, *_ = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999",
)  # fmt: skip
DPI = 100
LEAST_WRITTEN = 0.05  # of a share in a cell


def history(histories: dict[str, pd.DataFrame], measure: str, path: Path) -> None:
    """Draw `measure` over epochs, a panel per variant: repeats thin, their mean thick."""
    figure, axes = plt.subplots(
        1, len(histories), figsize=(3.4 * len(histories) + 0.8, 4), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, (variant, table) in zip(axes[0], histories.items(), strict=True):
        for column, color, label in (
            (measure, TRAIN_COLOR, "training"),
            (f"val_{measure}", VALIDATION_COLOR, "validation"),
        ):
            if table[column].isna().all():  # trained without validation texts
                continue
            runs = table.pivot(index="epoch", columns="repeat", values=column)
            axis.plot(runs, color=color, linewidth=0.7, alpha=0.5)
            axis.plot(runs.mean(axis=1), color=color, linewidth=2.4, label=f"{label}, mean")
        axis.set_title(variant)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("accuracy" if measure == "accuracy" else "loss (cross-entropy, nats)")
    n_repeats = table["repeat"].nunique()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(plt.Line2D([], [], color="grey", linewidth=0.7))
    figure.legend(
        handles, [*labels, f"each of {n_repeats} repeats"], loc="outside lower center", ncols=3
    )
    figure.suptitle(f"Training and validation {measure}")
    save(figure, path)


def comparison(
    scores: pd.DataFrame, gap: dict[str, dict], majority: float, data: str, path: Path
) -> None:
    """Draw the test accuracy of every repeat by variant, lines joining what was paired.

    scores: variant, repeat, accuracy; `majority` is the accuracy of always predicting one label;
    `data` says what was compared on.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.4), layout="constrained")
    accuracy = scores.pivot(index="repeat", columns="variant", values="accuracy")
    accuracy = accuracy[scores["variant"].unique()]
    positions = np.arange(accuracy.shape[1])
    style = {"color": "grey", "linewidth": 0.7, "marker": "o", "markersize": 4}
    left.plot(positions, accuracy.T, **style)
    left.plot([], [], **style, label="one repeat: same draw, same seed")
    left.hlines(
        accuracy.mean(), positions - 0.2, positions + 0.2, TRAIN_COLOR, linewidth=3, label="mean"
    )
    left.axhline(
        majority, color="black", linewidth=0.8, linestyle=":", label="always the same label"
    )
    left.set_xticks(positions, accuracy.columns)
    left.set_xlim(-0.5, len(positions) - 0.5)
    left.set_ylabel("accuracy on the test split")
    left.set_title("Accuracy")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, fontsize="small")
    for position, row in enumerate(gap.values()):
        if row["accuracy_low"] is not None:
            right.plot(
                [row["accuracy_low"], row["accuracy_high"]], [position] * 2, color=TRAIN_COLOR
            )
        right.plot(row["accuracy"], position, color=TRAIN_COLOR, marker="o")
    right.axvline(0, color="black", linewidth=0.8, linestyle=":")
    right.set_yticks(range(len(gap)), list(gap))
    right.set_ylim(len(gap) - 0.5, -0.5)
    right.set_xlabel("difference in accuracy (mean and 95 % interval)")
    right.set_title("Gap")
    for axis in (left, right):
        axis.grid(alpha=0.25)
    figure.suptitle(f"Test accuracy by start of the embedding\n{data}")
    save(figure, path)


def words(table: pd.DataFrame, classes: list[str], path: Path) -> None:
    """Draw words before and after training, a column per variant.

    table: variant, matrix (initial or trained), word, label that it speaks for, x, y; `classes` are
    the names of all labels. Words in a script that the font lacks are numbered from 1, labels
    from 0.
    """
    places = {
        variant: [part[["x", "y"]].to_numpy() for _, part in of.groupby("matrix", sort=False)]
        for variant, of in table.groupby("variant", sort=False)
    }
    first = table.drop_duplicates("word")
    names, spoken_for = first["word"].tolist(), first["label"].drop_duplicates().tolist()
    figure, axes = plt.subplots(
        2, len(places), figsize=(4.4 * len(places) + 0.4, 8.4), squeeze=False, layout="constrained"
    )
    color_of = dict(zip(spoken_for, COLORS, strict=False))
    colors = first["label"].map(color_of).tolist()
    for column, (variant, phases) in zip(axes.T, places.items(), strict=True):
        for axis, phase, points in zip(column, ("before", "after"), phases, strict=True):
            axis.scatter(*points.T, color=colors, s=9)
            axis.set_title(f"{variant}, {phase} training")
            axis.set_xlabel("first principal component")
            axis.set_ylabel("second principal component")
            axis.margins(0.12)
            axis.locator_params(nbins=6)
            axis.grid(alpha=0.25)
    handles = [
        plt.Line2D([], [], color=color, marker="o", linestyle="", markersize=4)
        for color in color_of.values()
    ]
    called = classes if are_drawable(classes) else [f"label {i}" for i in range(len(classes))]
    speakers = [f"speaks for {called[of]}" for of in spoken_for]
    figure.legend(handles, speakers, loc="outside lower center", ncols=min(len(speakers), 4))
    figure.suptitle("Vectors of the most telling words (repeat 0)")
    labels = names if are_drawable(names) else [str(i) for i in range(1, len(names) + 1)]
    figure.draw_without_rendering()  # texts are placed where the axes will be
    figure.set_layout_engine("none")
    plt.setp(axes.flat, visible=False)  # each time texts are placed, all that is visible is drawn
    for column, phases in zip(axes.T, places.values(), strict=True):
        for axis, points in zip(column, phases, strict=True):
            axis.set_visible(True)
            label(axis, points, labels, colors)
            axis.set_visible(False)
    plt.setp(axes.flat, visible=True)
    save(figure, path)


def label(axis: plt.Axes, points: np.ndarray, texts: list[str], colors: list[str]) -> None:
    """Write a text beside each of (n, 2) points so that no text covers another."""
    if len(texts):
        x, y = points.T
        textalloc.allocate(
            axis, x, y, texts, x_scatter=x, y_scatter=y, textsize=8, textcolor=colors,
            linecolor=colors, linewidth=0.5, max_distance=0.5,
        )  # fmt: skip


@cache
def characters() -> frozenset[int]:
    """The characters that the font of the figures has, and that stand from left to right."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(
        code
        for code in font.get_charmap()
        if unicodedata.bidirectional(chr(code)) not in ("R", "AL")
    )


def are_drawable(texts: Iterable[str]) -> bool:
    """Tell whether the font of the figures has all characters of these texts."""
    return all(ord(character) in characters() for text in texts for character in text)


def confusion(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw the confusion matrix of each variant; tables of actual, predicted, texts, share."""
    first = next(iter(tables.values()))
    names = first["actual"].drop_duplicates().tolist()
    called = names if are_drawable(names) else [str(i) for i in range(len(names))]
    columns = min(len(tables), 2)
    rows = -(-len(tables) // columns)
    side = 1.6 + 0.36 * max(len(names), 4)
    figure, axes = plt.subplots(
        rows, columns, figsize=(side * columns + 1, side * rows + 0.6), squeeze=False,
        sharex=True, sharey=True, layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(tables) :]:
        axis.set_axis_off()
    for axis, (variant, table) in zip(axes.flat, tables.items(), strict=False):
        shares = table["share"].to_numpy().reshape(len(names), -1)
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(shares):
            if value >= LEAST_WRITTEN or len(names) == 2:
                axis.text(
                    column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=8,
                    color="white" if value > 0.5 else "black",
                )  # fmt: skip
        axis.set_title(variant)
        axis.set_xticks(range(len(names)), called, rotation=90 if len(names) > 2 else 0)
        axis.set_yticks(range(len(names)), called)
        axis.set_xlabel("predicted label")
        axis.set_ylabel("actual label")
    figure.colorbar(image, ax=axes, label="share of the actual label's texts (in the cells: %)")
    figure.suptitle("Confusion matrices on the test split, mean over repeats")
    save(figure, path)


def calibration(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw the share that is right over the probability of the class, a line for each repeat."""
    figure, axis = plt.subplots(figsize=(5.6, 5.2), layout="constrained")
    axis.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":", label="calibrated")
    for color, (variant, table) in zip(cycle(COLORS), tables.items(), strict=False):
        for repeat, curve in table.groupby("repeat"):
            axis.plot(
                curve["predicted"], curve["right"], color=color, marker="o", markersize=3,
                linewidth=0.9, alpha=0.7, label=None if repeat else variant,
            )  # fmt: skip
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axis.set_xlabel("probability of the predicted label (mean of a tenth of a repeat's)")
    axis.set_ylabel("share of them that is right")
    axis.grid(alpha=0.25)
    axis.legend()
    figure.suptitle("Calibration on the test split, a line for each repeat")
    save(figure, path)


def lengths(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw accuracy by the length of the text, a line per variant."""
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for color, (variant, table) in zip(cycle(COLORS), tables.items(), strict=False):
        axis.plot(range(len(table)), table["accuracy"], color=color, marker="o", label=variant)
    axis.set_xticks(
        range(len(table)),
        [f"{a:,} to {b:,}" for a, b in zip(table["words_from"], table["words_to"], strict=True)],
    )
    axis.set_xlabel("words in the text (each group about as many texts)")
    axis.set_ylabel("accuracy on the test split")
    axis.grid(alpha=0.25)
    axis.legend()
    figure.suptitle("Test accuracy by length of the text, mean over repeats")
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a PNG that depends on nothing but what is drawn."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None}, format="png")
    plt.close(figure)
