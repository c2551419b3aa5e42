"""Answer the whole question for the texts that params.yaml or -S names.

    python -m experiments.answer -S download.texts.source=table -S download.texts.path=mine.csv

Every variant of params.yaml is trained on more and more labels: from 50, or ten for each label, to
four fifths of the train split, five draws of each size. Each repeat of each variant chooses its
learning rate and its number of epochs within the labels that it has, so that none wins because the
recipe happens to suit it. The points run through DVC's queue, or with --ray on a cluster. The same
command again takes from the cache what has finished.

--strong measures the strongest that is known of each start in place of the plain one: with pairs of
words, whole texts, and columns fitted to them.

--encoder also measures what an encoder makes of whole texts, by its last layer and by one two
thirds up.

Out: a paragraph in the terminal, and in a folder below experiments/ the page behind it (answer.md,
and answer.html, which needs no other file), its picture and its table.
"""

import argparse
import json
import subprocess
import sys
import textwrap
import time
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from experiments import points
from experiments.curve_figure import draw
from experiments.dvc_queue import key_of, number_of, run_queue
from experiments.learning_curve import curve, doubts_of, gap_of, notes
from experiments.runs import (
    about,
    collect,
    folder_for,
    groups,
    name_data,
    read_data,
    read_draws,
    read_runs,
    slug,
    written,
)
from experiments.sweep import new_folder, on_ray, positive
from experiments.verdicts import SIZE, listed, overlap, reasons, sentence
from stages.download.land_encoder import n_layers_of
from stages.report.html import html
from stages.report.markdown import lines_of, plain, share
from stages.report.page import difference, start
from stages.shared import artifacts
from stages.shared.encoder import check_packages
from stages.shared.errors import InputError, run
from stages.shared.evidence import REFERENCE
from stages.shared.schema import Params
from stages.shared.text import without_secrets

# What differs from params.yaml, unless -S says otherwise.
RECIPE = {
    "model.head": "mean",
    "tokenize.maxlen": "400",
    "train.repeats": "5",
    "train.epochs": "30",
    "train.validation_samples": "0",
    "train.tune": "{learning_rates: [0.001, 0.003, 0.01, 0.03], folds: 5}",
}
# With --strong: what else differs, and what a start in vectors or in TF-IDF becomes.
STRONG = Path("experiments/strong.yaml")
STRONGEST = {
    "vectors": {"fitted": "50", "weighting": "rare"},
    "texts": {"texts": "naive-bayes", "fitted": "50", "weighting": "both"},
}
PAIRS, EACH_TEXT = 200_000, 10  # of words that are read: at most, and for each text
MIDDLE = 2 / 3  # of an encoder's layers: the other one whose vectors are measured
FIRST, EACH = 50, 10  # labels of the smallest size, and of each class
LARGEST = 0.8  # of the train split: draws that are larger are all but the same
LEAST = 10  # labels, below which nothing is trained
MOST_LABELS = 8  # that are named
UNEVEN = 0.75  # share of the most frequent label, from which on accuracy says little
LINE = 79  # columns of a terminal
TITLE = "Which start for these texts, and from how many labels on?"
LINEAR = "needs no vectors and no network"


def sizes(n_texts: int, n_labels: int) -> list[int]:
    """List the sizes to measure in a train split: doubling or so, the last four fifths of it.

    Raises InputError if there are too few texts.
    """
    most, first = int(LARGEST * n_texts), max(FIRST, EACH * n_labels)
    if most < LEAST:
        raise InputError(f"the train split has {n_texts:,} texts, and an answer takes more")
    steps = (digit * 10**power for power in range(len(str(most))) for digit in (1, 2, 5))
    found = [size for size in steps if first <= size <= most]
    step = 10 ** max(len(str(most)) - 2, 0)
    last = most // step * step
    return [*found, last] if not found or last >= 1.25 * found[-1] else found


def strong(settings: Params) -> list[str]:
    """List what --strong changes in these settings, as `--set-param` takes it."""
    n_pairs = min(PAIRS, EACH_TEXT * points.count_texts(settings.download.texts))
    general = ("model.", "tokenize.", "train.")
    found = [entry for entry in points.read_setting(STRONG) if key_of(entry).startswith(general)]
    found.append(f"++tokenize.num_bigrams={n_pairs}")
    for name in dict.fromkeys(variant.vectors for variant in settings.variants.values()):
        of = settings.embed[name]
        kind = "texts" if of.texts == "tf-idf" else "vectors" if of.lookup else None
        if kind and not (of.fitted or of.shuffled):
            found += [f"++embed.{name}.{key}={value}" for key, value in STRONGEST[kind].items()]
    return found


def centred(settings: Params) -> list[str]:
    """Let frozen vectors that are looked up start centred, as `--set-param` takes it.

    Those that are trained on learn more slowly so, and start as they are.
    """
    found = []
    for variant, of in settings.variants.items():
        start = settings.embed[of.vectors]
        if start.lookup and not (of.trainable or start.fitted or start.centred):
            own = start.model_dump(exclude_defaults=True) | {"centred": True}
            entry = ", ".join(f"{key}: {value!r}" for key, value in own.items())
            found += [f"++embed.{of.vectors}_centred={{{entry}}}"]
            found += [f"++variants.{variant}.vectors={of.vectors}_centred"]
    return list(dict.fromkeys(found))


def of_encoder(path: Path, settings: Params) -> list[str]:
    """Add what an encoder makes of texts, by two of its layers, as `--set-param` takes it."""
    check_packages()
    n_layers, found = n_layers_of(path), []
    middle = round(MIDDLE * n_layers)
    layers = {"encoder": "null"} | ({f"encoder_{middle}": middle} if middle < n_layers else {})
    for name, layer in layers.items():
        for section, names in (
            ("variants", [*settings.variants]),
            ("embed", [*settings.embed]),
            ("download.vectors", [*settings.download.vectors]),
        ):
            if name in names:
                raise InputError(
                    f"{section} has {name}, as --encoder would call its own: rename it"
                )
        found += [
            f"++download.vectors.{name}={{source: encoder, path: null, sha256: null, dim: null,"
            f" vocabulary_limit: null, layer: {layer}}}",
            f"++download.vectors.{name}.path={points.quoted(str(path))}",
            f"++embed.{name}={{texts: encoder, vectors: {name}}}",
            f"++variants.{name}={{vectors: {name}, trainable: false}}",
        ]
    return found


def plan(given: list[str], is_strong: bool = False, encoder: Path | None = None) -> list[list[str]]:
    """List the points; `given` are values of parameters that hold at each of them."""
    own, *more = points.expand(given)
    if more:
        raise InputError("-S takes one value here; python -m experiments.sweep takes several")
    keys = {key_of(entry) for entry in own}
    if SIZE in keys:
        raise InputError(f"{SIZE} is what is measured: leave it out")
    least = f"++{SIZE}={LEAST}"
    recipe = [f"++{key}={value}" for key, value in RECIPE.items()]
    settings = points.settings_of([*recipe, *own, least])
    recipe += strong(settings) if is_strong else centred(settings)
    base = [entry for entry in recipe if not is_given(key_of(entry), keys)] + own
    base += of_encoder(encoder, settings) if encoder else []
    settings = points.settings_of([*base, least])
    others = [name for name in settings.variants if name != REFERENCE]
    if not others:
        raise InputError(f"variants has {REFERENCE} alone: there is nothing to compare it with")
    counts = points.count_labels(settings.download.texts)
    of_size = ([*base, f"++{SIZE}={size}"] for size in sizes(sum(counts), len(counts)))
    return [points.checked(point) for point in of_size]


def is_given(key: str, keys: set[str]) -> bool:
    """Tell whether a parameter, or what it is a part of, is among these."""
    return any(key == of or key.startswith(f"{of}.") for of in keys)


def file_of(row: pd.Series, path: Path) -> bytes:
    """Read a file that Git has of a run."""
    command = ["git", "show", f"{row['rev']}:{path.as_posix()}"]
    return subprocess.run(command, check=True, capture_output=True).stdout


class Advice(NamedTuple):
    """What to take at a size: no variant where there is doubt; and why, in a few words."""

    names: tuple[str, ...]
    why: str


def recommended(evaluation: dict, linear: list[str], doubts: dict[str, list[str]]) -> Advice:
    """Take the best variant; where others can't be told from it, a linear one, or any of them.

    A variant with doubts is not taken: `doubts` has those of each, but of variants without any.
    Where nothing is taken, what is doubtful of all of them says why, if there is such a doubt.
    """
    best = evaluation["best"]
    equal = [best["variant"], *best["undecided"]]
    sound = [name for name in equal if not doubts.get(name)]
    if not sound:
        every = dict.fromkeys(doubt for name in equal for doubt in doubts[name])
        of_all = [doubt for doubt in every if all(doubt in doubts[name] for name in equal)]
        return Advice((), "; ".join(of_all or every))
    if len(equal) == 1:
        return Advice(tuple(equal), "significantly the most accurate")
    if simple := [name for name in sound if name in linear][:1]:
        return Advice(tuple(simple), "the simplest: nothing is significantly more accurate")
    alone = "nothing without a doubt about it is significantly more accurate"
    return Advice(tuple(sound), "which can't be told apart" if len(sound) > 1 else alone)


def recommend_all(
    table: pd.DataFrame, evaluations: list[dict], of_reference: list[list[str]], linear: list[str]
) -> dict[str, Advice]:
    """Say what to take at each size, smallest first.

    evaluations and `of_reference`, the doubts about the reference itself, are those of the sizes.
    """
    chosen, of_sizes = {}, zip(table.groupby(SIZE), evaluations, of_reference, strict=True)
    for (size, of_size), evaluation, own in of_sizes:
        found = of_size.set_index("variant")["doubt"].items()
        doubts = {name: doubt.split("; ") if doubt else [] for name, doubt in found}
        doubts[REFERENCE] = own
        if not (evaluation["best"]["over_majority_low"] or 0) > 0:
            no_better = "nothing is significantly better than always saying the same label"
            doubts = {name: [*of, no_better] for name, of in doubts.items()}
        chosen[written(size)] = recommended(evaluation, linear, doubts)
    return chosen


def advice(chosen: dict[str, Advice]) -> str:
    """Say in a sentence what to take at which of the measured sizes, and why."""
    parts, last = [], [*chosen][-1]
    for (names, why), run_of in groupby(chosen.items(), key=lambda pair: pair[1]):
        where = [size for size, _ in run_of]
        at = (
            f"from {where[0]} on" if len(where) > 1 and where[-1] == last else f"at {listed(where)}"
        )
        at = "at every measured size" if len(where) == len(chosen) > 1 else at
        take = " or ".join(f"`{name}`" for name in names)
        said = f"take {take}, {why}" if names else f"nothing can be recommended ({plain(why)})"
        parts.append(f"{at} {said}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def scores_of(rows: pd.DataFrame, variant: str) -> str:
    """Write a variant's accuracy at a size, with the 95 % interval of its mean over draws."""
    row = rows.loc[variant]
    ends = f" ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
    return f"{row['accuracy']:.3f}" + (ends if pd.notna(row["accuracy_low"]) else "")


def f1_of(evaluation: dict, variants: list[str]) -> list[str]:
    """Write the macro F1 of each variant at a size, and its gap to the reference."""
    cells = []
    for name in variants:
        cells.append(f"{evaluation[name]['macro_f1']:.3f}")
        if name != REFERENCE:
            gap = evaluation["gap"][f"{name}-{REFERENCE}"]
            ends = (gap[f"macro_f1_{end}"] for end in ("low", "high"))
            cells[-1] += f", {difference(gap['macro_f1'], *ends)}"
    return cells


def chosen_by(group: pd.DataFrame, variants: list[str]) -> pd.DataFrame:
    """Tabulate what repeats chose: size, variant, medians of learning rate or C, and of epochs.

    Of the shares of fitted columns it is the most frequent.
    """
    rows = []
    for _, row in group.iterrows():
        for variant in variants:
            table = pd.read_csv(BytesIO(file_of(row, artifacts.tuning(variant))))
            own = table[table["chosen"].astype(bool)] if len(table) else table
            if len(own):
                value, epoch = own.iloc[:, 1].median(), own["epoch"].median()
                is_rate = own.columns[1] == "learning_rate"
                short = written(float(f"{value:.3g}"))
                said = f"{short}, {number_of(round(epoch), 'epoch')}" if is_rate else f"C {short}"
                if shares := [*own.columns[2 : own.columns.get_loc("epoch")]]:  # of fitted columns
                    frequent = own[shares].value_counts().idxmax()
                    pairs = zip(shares, frequent, strict=True)
                    said += "".join(f", {name} {times:g}" for name, times in pairs)
                rows.append({"size": row[SIZE], "variant": variant, "chosen": said})
    return pd.DataFrame(rows)


def page(
    table: pd.DataFrame, evaluations: list[dict], data: dict, chosen: dict[str, Advice],
    linear: list[str], tried: pd.DataFrame, cost: str, setting: str = "",
) -> str:  # fmt: skip
    """Lay out the page: the answer, its curve, what is behind it, and what is not known.

    table as `curve` gives it, evaluations and chosen by size, tried as `chosen_by` gives it,
    setting as `described`, `about_centred` and `about_encoders` say it.
    """
    variants = table["variant"].unique().tolist()
    others = [name for name in variants if name != REFERENCE]
    blocks = [f"# {TITLE}", *paragraph(table, evaluations, data, chosen, linear, setting)]
    blocks.append("![Test accuracy by number of labels](learning_curve.png)")
    leads, rows, gaps = [], [], []
    for (size, of_size), evaluation in zip(table.groupby(SIZE), evaluations, strict=True):
        of_size, best = of_size.set_index("variant"), evaluation["best"]
        lead = f"`{best['variant']}` {best['accuracy']:+.3f}"
        if best["accuracy_low"] is not None:
            lead += f" ({best['accuracy_low']:+.3f} to {best['accuracy_high']:+.3f})"
        take = chosen[written(size)].names
        names = " or ".join(f"`{name}`" for name in take) or "no recommendation"
        leads.append([written(size), names, f"{lead} against `{best['second']}`"])
        rows.append([written(size), *(scores_of(of_size, name) for name in variants)])
        gaps.append([written(size), *(gap_of(of_size.loc[name], "**") for name in others)])
    head = ["labels", *(f"`{name}`" for name in variants)]
    blocks += [
        "## What to take",
        lines_of(["labels", "take", "the most accurate, and its gap to the second"], leads, left=3),
        "The gap has its 95 % interval over draws and test texts. Variants whose gap to the most"
        " accurate can't be told from zero are named beside it"
        + (f", or of these the linear one alone: it {LINEAR}." if linear else "."),
        "## Accuracy by number of labels",
        lines_of(head, rows, left=0),
        "On the test split, mean over the draws with its 95 % interval over draws, all of one set"
        " of test texts.",
        f"## Gaps to `{REFERENCE}`",
        lines_of(["labels", *(f"`{name}`" for name in others)], gaps, left=0),
        *notes(table, "accuracy", overlap(table[SIZE].drop_duplicates(), sum(data["train"]))),
    ]
    if why := reasons(table, SIZE):
        blocks.append(plain(why))
    if len(data["labels"]) > 2 or table["majority"].max() >= UNEVEN:
        of_sizes = zip(table[SIZE].drop_duplicates().sort_values(), evaluations, strict=True)
        f1 = [[written(size), *f1_of(evaluation, variants)] for size, evaluation in of_sizes]
        blocks += [
            "## Macro F1 by number of labels",
            lines_of(head, f1, left=0),
            "The mean of the labels' F1, in which a rare label counts as much as a frequent one,"
            f" and the gap to `{REFERENCE}` with its 95 % interval.",
        ]
    if len(tried):
        wide = tried.pivot(index="size", columns="variant", values="chosen")
        wide = wide.reindex(columns=variants)
        cells = [[written(size), *row.fillna("")] for size, row in wide.iterrows()]
        blocks += [
            "## What each chose",
            lines_of(head, cells, left=0),
            "Medians over the repeats: the learning rate and the number of epochs of least held-out"
            " log loss, within the labels of the draw. Of a linear model, the inverse strength C of"
            " its penalty. Of fitted columns in both weightings, what they are most often"
            " multiplied by.",
        ]
    blocks += ["## What it cost", cost, "## What it can't tell", unknown(table)]
    return "\n\n".join(blocks) + "\n"


def paragraph(
    table: pd.DataFrame, evaluations: list[dict], data: dict, chosen: dict[str, Advice],
    linear: list[str], setting: str = "",
) -> list[str]:  # fmt: skip
    """Write the answer: what was measured, what to take, who beats `learned`, how good it is."""
    n_train, n_test = sum(data["train"]), sum(data["test"])
    labels = [plain(label) for label in data["labels"]]
    which = f"labels {listed(labels)}" if len(labels) <= MOST_LABELS else f"{len(labels)} labels"
    first = (
        f"On {plain(data['name'])}, {n_train:,} texts to train on and {n_test:,} to test on,"
        f" {which}:"
    )
    others = [name for name in table["variant"].unique() if name != REFERENCE]
    each = [sentence(name, table[table["variant"] == name], SIZE) for name in others]
    together = "; ".join(said.removesuffix(".") for said in each)
    if table[SIZE].nunique() > 1:
        together = f"Judged over all sizes together, which asks for wider gaps: {together}"
    said = [advice(chosen), f"{together}."]
    if any(of.names for of in chosen.values()) and (why := reasons(table, SIZE)):
        said.append(plain(why))
    last = table[table[SIZE] == table[SIZE].max()].set_index("variant")
    of_best = evaluations[-1]["best"]
    best, ends = of_best["variant"], (of_best[f"over_texts_{end}"] for end in ("low", "high"))
    accuracy, low, high = last.loc[best, ["accuracy", "accuracy_low", "accuracy_high"]]
    over = [f"{low:.3f} to {high:.3f} over draws"] if pd.notna(low) else []
    over.append("{:.3f} to {:.3f} over test texts".format(*ends))
    always = f"always saying {labels[data['train'].index(max(data['train']))]}"
    known = (
        f"With {written(last[SIZE].iloc[0])} labels the most accurate, `{best}`, has an accuracy of"
        f" {accuracy:.3f} ({', '.join(over)}); {always} has {last['majority'].iloc[0]:.3f}."
    )
    if taken := [name for of in chosen.values() for name in of.names if name in linear]:
        known += f" `{taken[0]}` {LINEAR}."
    blocks = [" ".join([first, *said, known]), *([setting] if setting else [])]
    if last["majority"].iloc[0] >= UNEVEN:
        blocks.append(
            f"**Warning:** {share(last['majority'].iloc[0])} of the test texts have one label, so"
            " accuracy says little. `python -m experiments.learning_curve --metric macro_f1` draws"
            " the same runs by a metric in which every label counts as much."
        )
    return blocks


def about_centred(settings: Params) -> str:
    """Say which variants start from centred vectors; nothing if none does."""
    names = [of for of, by in settings.variants.items() if settings.embed[by.vectors].centred]
    return (
        f"The vectors of {listed([f'`{name}`' for name in names])} start centred." if names else ""
    )


def about_encoders(settings: Params) -> str:
    """Say which layer of which encoder a variant is of; nothing if none is."""
    each = []
    for name, of in settings.variants.items():
        start = settings.embed[of.vectors]
        if start.texts == "encoder" and start.vectors:
            source = settings.download.vectors[start.vectors]
            layer = "the last layer" if source.layer is None else f"layer {source.layer}"
            file = plain(Path(without_secrets(source.path or "")).name)
            each.append(f"`{name}` takes its vectors from {layer} of {file}")
    return f"An encoder cuts texts into tokens of its own: {listed(each)}." if each else ""


def described(settings: Params) -> str:
    """Say in words what each variant of the strong setting is."""
    each = [f"`{name}` ({start(settings, name)})" for name in settings.variants]
    n_pairs = settings.tokenize.num_bigrams
    readers = "All variants but an encoder's" if about_encoders(settings) else "All variants"
    return (
        f"This is the strong setting. {readers} read the last {settings.tokenize.maxlen:,} words"
        f" of a text, and up to {n_pairs:,} pairs of adjacent words: {listed(each)}. Columns are"
        " fitted to all texts to train on, without their labels. The plain starts were not measured"
        " here: `make answer` measures them."
    )


def unknown(table: pd.DataFrame) -> str:
    """List what the measurements leave open."""
    measured = [*map(written, table[SIZE].unique())]
    return "\n".join(
        [
            f"- Nothing was measured between {listed(measured)} labels, nor beyond.",
            "- One head was measured. A model of another kind, such as a language model that is"
            " trained further, may do better than all of this.",
            "- All scores are of one test split. The intervals speak of other texts of the same"
            " kind; texts of another kind or time may differ more.",
            "- What to take is judged at each size on its own, at 5 %: of twenty such judgements"
            " one may name a winner where there is none.",
            "- Other learning rates, vectors or words may change the order of variants that are"
            " close.",
        ]
    )


def terminal(blocks: list[str]) -> str:
    """Write the answer for a terminal."""
    text = [block.replace("`", "").replace("**", "").replace("\\", "") for block in blocks]
    return "\n\n".join(textwrap.fill(block, LINE) for block in text)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.answer", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE",
        help="value of a parameter",
    )  # fmt: skip
    parser.add_argument("--strong", action="store_true", help="measure the strong setting")
    parser.add_argument("--encoder", type=Path, help="measure this encoder too, a folder or a zip")
    parser.add_argument("-j", "--jobs", type=positive, default=2, help="points at a time")
    parser.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster; auto: the one here")
    parser.add_argument(
        "--out", type=new_folder, help="folder; else one of its own below experiments/"
    )
    arguments = parser.parse_args()
    begin, grid = time.monotonic(), plan(arguments.set_param, arguments.strong, arguments.encoder)
    measured = " ".join(points.shown(point, [SIZE]).partition("=")[2] for point in grid)
    points.say(f"{number_of(len(grid), 'size')} to measure: {measured} labels")
    found = on_ray(grid, arguments.ray) if arguments.ray else run_queue(grid, arguments.jobs)
    names = [name for name in found if name]
    if not names:
        sys.exit("error: no size was measured")
    group, *_ = groups(collect(read_runs(names), names, SIZE, []), SIZE, [])
    data, draws = read_data(group.iloc[0]), read_draws(group, "accuracy")
    table = curve(group, SIZE, [], data, draws=draws)
    settings = points.settings_of(grid[0])
    kinds = {name: settings.embed[of.vectors].texts for name, of in settings.variants.items()}
    linear = [name for name, kind in kinds.items() if kind not in (None, "encoder")]
    evaluations = [json.loads(file_of(row, artifacts.EVALUATION)) for _, row in group.iterrows()]
    of_reference = [doubts_of(row, REFERENCE, data) for _, row in group.iterrows()]
    chosen = recommend_all(table, evaluations, of_reference, linear)
    tried = chosen_by(group, [*settings.variants])
    minutes = (time.monotonic() - begin) / 60
    cost = (
        f"{number_of(len(group), 'size')}, {settings.train.repeats} draws and"
        f" {number_of(len(settings.variants), 'variant')}: this run took {minutes:.1f} minutes,"
        f" {number_of(arguments.jobs, 'size')} at a time. What was in DVC's cache before took no"
        " time."
    )
    name = "strong-answer" if arguments.strong else "answer"
    table = name_data(table, data).assign(setting=name, shared=group["shared"].iloc[0])
    base = Path("experiments") / slug(data["name"], name)
    folder = arguments.out or folder_for(table, base, "learning_curve.csv")
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "learning_curve.csv", index=False, lineterminator="\n")
    title = f"Test accuracy on {about(data)}"
    draw(table, draws, SIZE, [], "accuracy", title, folder / "learning_curve.png")
    setting = described(settings) if arguments.strong else about_centred(settings)
    setting = " ".join(filter(None, [setting, about_encoders(settings)]))
    text = page(table, evaluations, data, chosen, linear, tried, cost, setting)
    (folder / "answer.md").write_text(text, encoding="utf-8")
    (folder / "answer.html").write_text(html(TITLE, text, folder), encoding="utf-8")
    print(terminal(paragraph(table, evaluations, data, chosen, linear, setting)))
    print(f"\nThe page: {folder}/answer.html", flush=True)
    sys.exit(len(names) < len(grid))


if __name__ == "__main__":
    run(main)
