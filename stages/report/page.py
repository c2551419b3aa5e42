"""The page: the answer, and what lies under it, as one Markdown text.

A text or a file of vectors may hold anything, also Markdown: `plain` makes it harmless.
"""

import pandas as pd

from stages.report.answer import (
    Gap,
    answer,
    by_file,
    equal_texts,
    most_frequent,
    side,
    start_of,
    warnings,
)
from stages.report.figures import are_drawable
from stages.report.markdown import picture, place, plain, share, shown, table
from stages.report.next_steps import next_steps
from stages.shared.evidence import LEAST_TEXTS, REFERENCE
from stages.shared.schema import Params, Source

TITLE = "Do pretrained word vectors beat an embedding learned on the spot?"
MOST_LABELS, MOST_IN_A_LINE = 20, 8  # that are listed one by one
MATRICES = {"initial": "nearest before training", "trained": "nearest after training"}


def markdown(
    settings: Params,
    evaluation: dict,
    coverage: dict,
    data: dict,
    tables: dict[str, pd.DataFrame],
    planning: dict | None = None,
) -> str:
    """Write the page; a table that is missing or empty leaves out what it is about.

    evaluation, coverage, data and planning, which may be missing too, as in metrics/. tables:
    - pictured: variant, matrix, word, label, x, y; the words in the order of their numbers;
    - neighbours: variant, matrix (initial or trained), word, neighbours;
    - moved: variant, word, distance (cosine, from initial to trained), before, after;
    - classes: variant, class, texts, precision, recall, f1;
    - disagreements: variant, kind, row (of the test split), label, text, and the
      probabilities of that label that `learned` and the variant, `other`, gave;
    - calibration: variant, repeat, predicted, right;
    - lengths: variant, words_from, words_to, texts, accuracy.
    """
    tables = {name: table for name, table in tables.items() if len(table)}
    blocks = [
        f"# {TITLE}",
        answer(settings, evaluation, coverage, data),
        *(f"**Warning:** {text}" for text in warnings(settings, coverage, data)),
        *results(settings, evaluation, data),
        *(next_steps(settings, evaluation, coverage, data, planning) if planning else []),
        *classes(settings, data, tables),
        *training(settings),
        *words(settings, tables),
        *mistakes(tables, data["labels"]),
        *calibration(tables),
        *lengths(tables),
        *origin(settings, coverage, data),
    ]
    return "\n\n".join(blocks) + "\n"


def results(settings: Params, evaluation: dict, data: dict) -> list[str]:
    """Tabulate the metrics of every variant, and show them."""
    rows = [
        result(settings, name, evaluation[name], evaluation["gap"].get(f"{name}-{REFERENCE}"))
        for name in settings.variants
    ]
    rows.append(
        {
            "variant": "majority",
            "starts from": f"no model, always says {most_frequent(data)}",
            "accuracy": f"{evaluation['majority']:.3f}",
        }
    )
    repeats = settings.train.repeats
    draws = f"Each is the mean over {repeats} draws" if repeats > 1 else "Each is of one draw"
    sure = (
        ", ± one standard deviation; a gap has its 95 % interval, bold where zero is outside."
        if repeats > 1
        else ", and has no interval."
    )
    many = len(data["labels"]) > 2
    grouped = (
        f" Texts of one group count together: the test split has {data['test_groups']:,} groups."
        if "test_groups" in data
        else ""
    )
    return [
        "## Who wins",
        table(rows, left=2),
        f"All on {plain(data['name'])}: {split_in_words('test', data)},"
        f" {split_in_words('train', data)}. {draws} of "
        f"{settings.train.samples:,} texts to train on{sure}{grouped}",
        f"A gap is to `{REFERENCE}`. Balanced accuracy is the mean over the labels of the share "
        "labelled right, macro F1 the mean of their F1. ROC AUC is how often a text of one label "
        + (
            "ranks above one of any other by the probability of that label, mean over the labels."
            if many
            else "ranks above one of the other. A gap that is significant in accuracy and not in"
            " ROC AUC may come from the threshold of 0.5 alone."
        ),
        picture("comparison", "Test accuracy of each variant and repeat, and the gaps"),
    ]


def result(settings: Params, name: str, row: dict, gap: Gap | None) -> dict[str, str]:
    """Write the row of a variant: its metrics, and its gaps to the reference, if it is another."""
    spread = "" if row["accuracy_std"] is None else f" ± {row['accuracy_std']:.3f}"
    cells = {
        "variant": f"`{name}`",
        "starts from": start(settings, name),
        "accuracy": f"{row['accuracy']:.3f}{spread}",
        "balanced accuracy": f"{row['balanced_accuracy']:.3f}",
        "macro F1": f"{row['macro_f1']:.3f}",
        "log loss": f"{row['log_loss']:.3f}",
        "ROC AUC": f"{row['roc_auc']:.3f}",
        "gap in accuracy": "",
        "gap in ROC AUC": "",
    }
    if gap:
        cells["gap in accuracy"] = difference(
            gap["accuracy"], gap["accuracy_low"], gap["accuracy_high"]
        )
        cells["gap in ROC AUC"] = difference(
            gap["roc_auc"], gap["roc_auc_low"], gap["roc_auc_high"]
        )
    return cells


def start(settings: Params, name: str) -> str:
    """Say in words what matrix a variant starts from, and whether training moves it."""
    of = start_of(settings, name)
    if of.texts == "encoder":
        return f"a vector a text (`{of.vectors}`), frozen: a logistic regression"
    if of.texts:
        weighed = ", weighed by naive Bayes" if of.texts == "naive-bayes" else ""
        is_both = of.weighting == "both"
        most = "up to " if is_both and settings.train.tune else ""
        n_columns = (of.fitted or 0) * (2 if is_both else 1)
        beside = f", beside {most}{n_columns} columns fitted to the text" if n_columns else ""
        return f"no embedding: a logistic regression on TF-IDF{weighed}{beside}"
    which = f" (`{of.vectors}`)" if len(settings.download.vectors) > 1 else ""
    shuffled = " of other words" if of.shuffled else ""
    how = ", looked up folded" if of.match == "folded" else ""
    how += ", centred" if of.centred else ""
    parts = [f"pretrained vectors{which}{shuffled}{how}"] if of.vectors else []
    if of.fitted:
        parts.append("ones fitted to the text" if parts else "vectors fitted to the text")
    made = " beside ".join(parts) or "random vectors"
    return f"{made}, {'trained on' if settings.variants[name].trainable else 'frozen'}"


def difference(gap: float, low: float | None, high: float | None) -> str:
    """Write a gap with its interval, in bold where zero is outside."""
    mean = f"**{gap:+.3f}**" if side(low, high) else f"{gap:+.3f}"
    span = "" if low is None else f" ({low:.3f} to {high:.3f})"
    return (mean + span).replace("-", "\N{MINUS SIGN}")


def classes(settings: Params, data: dict, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Tabulate the F1 of each label and variant, and show what is taken for what."""
    if "classes" not in tables:
        return []
    f1 = tables["classes"].pivot(index="class", columns="variant", values="f1")
    counts = sorted(
        zip(data["test"], data["train"], data["labels"], strict=True),
        key=lambda row: -row[0],
    )
    rows = [
        {"label": plain(label), "texts to train on": f"{train:,}", "to test on": f"{test:,}"}
        | {f"`{name}`": f"{f1.loc[label, name]:.3f}" for name in settings.variants}
        for test, train, label in counts[:MOST_LABELS]
    ]
    said = "F1 of each label, mean over the draws."
    if len(counts) > MOST_LABELS:
        said = (
            f"F1 of the {MOST_LABELS} labels of the most test texts, mean over the draws. All"
            f" {len(counts)} are in `data/report/classes.csv`."
        )
    if few := sum(test < LEAST_TEXTS for test, *_ in counts):
        have = "labels have" if few > 1 else "label has"
        said += f" {few} {have} fewer than {LEAST_TEXTS} test texts: there an F1 says little."
    return ["## Label by label", said, table(rows), picture("confusion", "What is taken for what")]


def training(settings: Params) -> list[str]:
    """Show the learning curves."""
    return [
        "## How they learned",
        "Where training goes on to rise and validation does not, a variant learns its "
        f"{settings.train.samples:,} texts by heart.",
        picture("accuracy", "Training and validation accuracy by epoch"),
        picture("loss", "Training and validation loss by epoch"),
    ]


def words(settings: Params, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Show what training did to the vectors of words."""
    neighbours, moved = (
        dict(iter(tables[name].groupby("variant"))) if name in tables else {}
        for name in ("neighbours", "moved")
    )
    blocks = []
    if "pictured" in tables:
        blocks.append(picture("words", "Vectors before and after training"))
        pictured = tables["pictured"]["word"].drop_duplicates().tolist()
        if not are_drawable(pictured):
            numbered = (f"{i} {plain(word)}" for i, word in enumerate(pictured, 1))
            blocks.append(f"The numbers stand for: {', '.join(numbered)}.")
    for variant in settings.variants:
        parts = []
        if variant in neighbours:
            parts.append(nearest(neighbours[variant]))
        if variant in moved:
            rows = [
                {
                    "word": f"**{plain(row.word)}**",
                    MATRICES["initial"]: plain(row.before),
                    MATRICES["trained"]: plain(row.after),
                    "cosine distance": f"{row.distance:.3f}",
                }
                for row in moved[variant].itertuples()
            ]
            parts += [
                "The words that training moved most, of those that it moved by more than 0.01:",
                table(rows, left=3),
            ]
        if parts:
            blocks += [f"### Words in `{variant}`: {start(settings, variant)}", *parts]
    if not blocks:
        return []
    return [
        "## What the vectors did",
        "All of this is of repeat 0. The words shown tell the labels apart most surely, by all "
        "labels of the train split, not only those of a draw. Of many labels, they are those of"
        " the eight most frequent.",
        *blocks,
    ]


def nearest(neighbours: pd.DataFrame) -> str:
    """Tabulate the nearest words of each word of a variant, before and after training."""
    rows = {}
    for row in neighbours.itertuples():
        cells = rows.setdefault(row.word, {"word": f"**{plain(row.word)}**"})
        cells[MATRICES[row.matrix]] = plain(row.neighbours)
    for cells in rows.values():
        if cells.get(MATRICES["initial"]) == cells.get(MATRICES["trained"]):
            cells[MATRICES["trained"]] = "*the same*"
    return table(list(rows.values()), left=3)


def mistakes(tables: dict[str, pd.DataFrame], labels: list[str]) -> list[str]:
    """Quote texts that one variant is wrong about and another is not."""
    if "disagreements" not in tables:
        return []
    blocks = []
    for kind, group in tables["disagreements"].groupby("kind", sort=False):
        blocks.append(f"### {plain(kind[:1].upper() + kind[1:])} ({len(group)})")
        blocks += [
            f"> **{plain(labels[row.label])}**, text {row.row}; probability of this: "
            f"`{REFERENCE}` {row.learned:.2f}, `{row.variant}` {row.other:.2f}"
            "\n>\n"
            f"> “{plain(row.text)}”"
            for row in group.itertuples()
        ]
    return [
        "## Errors to read",
        "The end of each text, its label, and what probability each variant gave to that, mean over"
        " draws.",
        *blocks,
    ]


def calibration(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Show how far to trust a probability."""
    if "calibration" not in tables:
        return []
    return [
        "## Can the probabilities be believed?",
        "On the diagonal they can: of the texts whose label has a probability of 0.8, eight in ten"
        " are labelled right. Each variant has a line for each repeat.",
        picture("calibration", "Share of texts labelled right by predicted probability"),
    ]


def lengths(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Show how accuracy goes with the length of a text."""
    if "lengths" not in tables:
        return []
    rows = [
        {"words": f"{first:,} to {last:,}", "texts": f"{texts:,}"}
        | {f"`{row.variant}`": f"{row.accuracy:.3f}" for row in group.itertuples()}
        for (first, last, texts), group in tables["lengths"].groupby(
            ["words_from", "words_to", "texts"]
        )
    ]
    return [
        "## Short and long texts",
        picture("lengths", "Test accuracy by length of the text"),
        table(rows),
    ]


def origin(settings: Params, coverage: dict, data: dict) -> list[str]:
    """Say what data and what parameters all this comes from."""
    left = sum(data["train"]) - settings.train.samples
    sizes = [
        *split_sizes("train", data),
        ("of these, drawn to train on", settings.train.samples),
        ("of these, drawn to validate on", min(settings.train.validation_samples, left)),
        *split_sizes("test", data),
    ]
    if not coverage:  # else the table of each file of vectors has these
        kept = min(data["words"], settings.tokenize.num_words - 1)
        sizes += [("words of the train split", data["words"]), ("of these, kept", kept)]
        sizes.append(("tokens of the train split", data["tokens"]))
    return [
        "## What it comes from",
        table(sources(settings), left=4),
        table([{"what": what, "how many": f"{n:,}"} for what, n in sizes]),
        *equal_texts(data),
        *vocabulary(settings, coverage),
        "### Every parameter",
        parameters(settings),
    ]


def sources(settings: Params) -> list[dict[str, str]]:
    """List where the texts and the vectors come from."""
    download = settings.download
    named: dict[str, Source] = {"texts": download.texts}
    named |= {f"vectors `{name}`": source for name, source in download.vectors.items()}
    return [
        {
            "data": name,
            "source": source.source,
            "from": plain(place(source.location)) if source.location else "the requirements",
            "SHA-256": source.checksum or ("any" if source.location else "the package's"),
        }
        for name, source in named.items()
    ]


def vocabulary(settings: Params, coverage: dict) -> list[str]:
    """Tabulate how much of the text has a vector in each of the files."""
    rows, missing = [], []
    for name, of in by_file(settings, coverage).items():
        rows += [
            ("words of the train split", name, of["words"], of["words_with_vector"] / of["words"]),
            ("of these, kept", name, of["words_kept"], of["share_of_words_kept"]),
            ("tokens of the train split", name, of["tokens"], of["share_of_tokens"]),
        ]
        if lacking := ", ".join(map(plain, of["most_frequent_without_vector"])):
            missing.append(f"The most frequent words without a vector in `{name}`: {lacking}.")
    if not rows:
        return []
    cells = [
        {"what": what, "vectors": f"`{name}`", "how many": f"{n:,}", "with a vector": share(part)}
        for what, name, n, part in rows
    ]
    return [table(cells, left=2), *missing]


def parameters(settings: Params) -> str:
    """Tabulate every parameter that params.yaml names."""
    flat = pd.json_normalize(settings.model_dump(exclude_unset=True)).iloc[0].to_dict()
    return table(
        [{"key": plain(key), "value": shown(key, value)} for key, value in flat.items()], 2
    )


def split_in_words(split: str, data: dict) -> str:
    """Say how many texts a split has, and how many of each label, or how many labels."""
    counts = [*zip(data["labels"], data[split], strict=True)]
    of_each = ", ".join(f"{count:,} {plain(label)}" for label, count in counts)
    if len(counts) > MOST_IN_A_LINE:
        of_each = f"{len(counts)} labels"
    return f"{sum(data[split]):,} texts in the {split} split ({of_each})"


def split_sizes(split: str, data: dict) -> list[tuple[str, int]]:
    """List how many texts a split has, and, of two labels, how many of each."""
    counts = zip(data["labels"], data[split], strict=True)
    of_each = [(f"of these, labelled {plain(label)}", count) for label, count in counts]
    return [
        (f"texts of the {split} split", sum(data[split])),
        *(of_each if len(of_each) == 2 else []),
    ]
