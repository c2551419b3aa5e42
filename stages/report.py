"""The page that answers the question: one Markdown text, and the same as HTML that stands alone.

What words a review or a file of vectors holds is anybody's text: `plain` makes it harmless.
"""

import base64
import json
import math
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from markdown_it import MarkdownIt

from stages import evidence
from stages.figures import are_drawable
from stages.shared import params

COLUMNS = 80  # of a terminal
MANY_EQUAL = 0.01  # of the test split, from which on equal texts are worth a warning
REFERENCE = "learned"
TITLE = "Do pretrained word vectors beat an embedding learned on the spot?"
VECTORS = {
    "random": "random vectors",
    "glove": "pretrained vectors",
    "domain": "vectors fitted to the text",
    "adapted": "pretrained vectors beside ones fitted to the text",
}
MATRICES = {"initial": "nearest before training", "trained": "nearest after training"}
# What an area under the ROC curve is worth: Hosmer, Lemeshow and Sturdivant, Applied Logistic
# Regression (2013), 5.2.4.
GRADES = (
    (0.9, "which counts as outstanding"),
    (0.8, "which counts as excellent"),
    (0.7, "which counts as acceptable"),
    (0.5, "not much better than a coin toss"),
    (0.0, "no better than a coin toss"),
)
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2129; --quiet: #5b6472; --line: #dfe3e8;
  --tint: #f5f7f9; --accent: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1a1a1a; --ink: #e6e6e6; --quiet: #a0a6ae; --line: #383c42; --tint: #24272b;
    --accent: #56b4e9; }
  img { filter: invert(.9) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2.5rem 1.25rem 5rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
p, blockquote { max-width: 46rem; }
h1 { margin: 0 0 1.5rem; font-size: clamp(1.6rem, 5vw, 2.5rem); line-height: 1.2;
  text-wrap: balance; }
h1 + p { max-width: none; margin: 0 0 2rem; padding: 1.1rem 1.4rem; border-radius: .5rem;
  border-left: .35rem solid var(--accent); background: var(--tint);
  font-size: clamp(1.05rem, 2.4vw, 1.3rem); }
h2 { margin: 3.5rem 0 .75rem; padding-top: 1.25rem; border-top: 1px solid var(--line);
  font-size: 1.5rem; line-height: 1.3; }
p:has(img) { max-width: none; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.figure { display: block; overflow-x: auto; cursor: zoom-in; }
.figure input { position: absolute; opacity: 0; }
.figure :focus-visible + img { outline: 2px solid var(--accent); }
.figure :checked + img { max-width: none; cursor: zoom-out; }
.figure img + span { display: none; color: var(--quiet); font-size: .85rem; }
@media (max-width: 48rem) { .figure img + span { display: block; } }
code { font: .92em ui-monospace, monospace; color: var(--accent); }
/* The shadow at a side says that there is more; the paper in front of it moves with the table. */
.table { overflow-x: auto; margin-block: 1rem 1.5rem; background:
  linear-gradient(90deg, var(--paper) 40%, transparent) 0 / 3rem 100% no-repeat local,
  linear-gradient(-90deg, var(--paper) 40%, transparent) 100% / 3rem 100% no-repeat local,
  linear-gradient(90deg, #0004, transparent) 0 / 1rem 100% no-repeat scroll,
  linear-gradient(-90deg, #0004, transparent) 100% / 1rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .8rem; text-align: left; vertical-align: top; overflow-wrap: normal;
  border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; border-bottom-width: 2px; }
td:first-child { white-space: nowrap; }
td:not([style]) + td:not([style]) { min-width: 8.5rem; }
details td:not([style]) + td:not([style]) { min-width: 13rem; }
td[style*=right] { white-space: nowrap; }
blockquote { margin: 1.25rem 0; padding: .1rem 1.2rem; border-left: .25rem solid var(--line); }
details { margin: .6rem 0; border: 1px solid var(--line); border-radius: .5rem; }
details > :not(summary) { margin-left: 1.1rem; margin-right: 1.1rem; }
summary { padding: .7rem 1.1rem; cursor: pointer; font-weight: 600; }
details[open] > summary { border-bottom: 1px solid var(--line); }
"""
# A box that can be ticked opens a picture in its full size, without a script.
FIGURE = (
    r'<label class="figure"><input type="checkbox" aria-label="full size">\g<0>'
    "<span>Tap the picture for its full size.</span></label>"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}</body>
</html>
"""


def markdown(
    settings: params.Params,
    evaluation: dict,
    coverage: dict,
    data: dict,
    tables: dict[str, pd.DataFrame],
) -> str:
    """Write the page; a table that is missing or empty leaves out what it is about.

    evaluation, coverage and data as in metrics/. tables:
    - pictured: word, in the order of their numbers in the picture of the vectors;
    - neighbours: variant, matrix (initial or trained), word, neighbours;
    - moved: variant, word, distance (cosine, from initial to trained), before, after;
    - disagreements: variant, kind, review (row of the test split), label, text, and the
      probabilities of label 1 that `learned` and the variant, `other`, gave;
    - calibration: variant, predicted, positive;
    - lengths: variant, words_from, words_to, reviews, accuracy.
    """
    tables = {name: table for name, table in tables.items() if len(table)}
    blocks = [
        f"# {TITLE}",
        answer(settings, evaluation, coverage, data),
        *(f"**Warning:** {text}" for text in warnings(coverage, data)),
        *results(settings, evaluation, data),
        *training(settings),
        *words(settings, tables),
        *errors(tables, data["labels"]),
        *calibration(tables, data["labels"]),
        *lengths(tables),
        *origin(settings, coverage, data),
    ]
    return "\n\n".join(blocks) + "\n"


def terminal(page: str) -> str:
    """Cut from a page what stands above its first section, as plain text for a terminal."""
    text = page.partition("\n## ")[0].partition("\n\n")[2]
    text = re.sub(r"\\([^A-Za-z0-9\s])|\*\*|`", r"\1", text)
    blocks = [textwrap.fill(block, COLUMNS) for block in text.split("\n\n")]
    return "\n\n".join([*blocks, "The report: metrics/report.html"]) + "\n"


def answer(settings: params.Params, evaluation: dict, coverage: dict, data: dict) -> str:
    """Answer the question, say how sure that is, and how good the best variant is.

    Yes or no is said of the variants that start from pretrained vectors, unless one draw is all
    or there are doubts about what was measured.
    """
    others = [name for name in settings.variants if name != REFERENCE]
    gaps = {name: evaluation["gap"][f"{name}-{REFERENCE}"] for name in others}
    pretrained = [name for name in others if settings.variants[name].vectors != "random"]
    samples = f"{settings.train.samples:,} labelled reviews"
    doubts = {}  # in order, each once
    for name in pretrained or others:
        vectors = settings.variants[name].vectors
        found = evidence.doubts(name, vectors, REFERENCE, evaluation, coverage, data)
        doubts |= dict.fromkeys(found)
    if not gaps:
        first = f"Only `{REFERENCE}` was trained, on {samples}, so there is nothing to compare."
    elif doubts:
        measured = listed(measurement(name, gap, name == others[0]) for name, gap in gaps.items())
        first = (
            f"**No verdict:** {listed(map(plain, doubts))}. What was measured, with {samples}, is"
            f" no answer: {measured}."
        )
    else:
        short = short_answer({sign(gaps[name]) for name in pretrained})
        clauses = listed(clause(name, gap, name == others[0]) for name, gap in gaps.items())
        if settings.train.repeats > 1:
            first = f"with {samples}, {clauses}."
        else:
            first = f"with one draw of {samples}, {clauses}, which says nothing about other draws."
        first = f"**{short}:** {first}" if short else first[0].upper() + first[1:]
    return f"{first} {quality(settings, evaluation, data, graded=not doubts)}"


def quality(settings: params.Params, evaluation: dict, data: dict, graded: bool) -> str:
    """Say how good the most accurate variant is, beside what needs no model."""
    best = max(settings.variants, key=lambda name: evaluation[name]["accuracy"])
    area = evaluation[best]["roc_auc"]
    grade = next(grade for least, grade in GRADES if area > least or not least)
    frequent = plain(data["labels"][data["train"].index(max(data["train"]))])
    return (
        f"The most accurate, `{best}`, labels {share(evaluation[best]['accuracy'])} of the "
        f"{sum(data['test']):,} test reviews right, where always saying {frequent} is right for "
        f"{share(evaluation['majority'])}. It ranks a positive one above a negative one in "
        f"{100 * area:.0f} % of pairs (ROC AUC){f', {grade}' if graded else ''}."
    )


def share(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.1f} %"


def listed(parts: Iterable[str]) -> str:
    """Join clauses with commas, and the last one with "and"."""
    *parts, last = parts
    return f"{', '.join(parts)}, and {last}" if parts else last


def warnings(coverage: dict, data: dict) -> list[str]:
    """List what a reader must know before the answer."""
    found = [plain(warning) for warning in coverage["warnings"]]
    if data["test_in_train"] >= MANY_EQUAL * sum(data["test"]):
        found.append(equal_texts(data)[0])
    return found


def equal_texts(data: dict) -> list[str]:
    """Say which texts occur twice, if any do."""
    found = []
    if n := data["test_in_train"]:
        found.append(
            f"{share(n / sum(data['test']))} of the test split's reviews ({n:,}) are in the train"
            " split too, but for capitals and white space. Of these a model may know the answer:"
            " `download.reviews.duplicates: drop` leaves them out of the train split."
        )
    if n := data["two_labels"]:
        found.append(f"{n:,} {'reviews have' if n > 1 else 'review has'} both labels.")
    return found


def sign(gap: dict[str, float | None]) -> int | None:
    """Say whether a gap is above zero (1), below (-1) or undecided (0); None: no interval."""
    low, high = gap["accuracy_low"], gap["accuracy_high"]
    return None if low is None else int(low > 0) - int(high < 0)


def short_answer(signs: set[int | None]) -> str:
    """Sum up the signs of gaps in a word or two, if they are known."""
    if not signs or None in signs:
        return ""
    if signs == {0}:
        return "Undecided"
    return "No" if 1 not in signs else "Yes" if signs == {1} else "In part"


def clause(name: str, gap: dict[str, float | None], first: bool) -> str:
    """Say how a variant compares with the reference; the first one to do so names the units."""
    accuracy, low, high = (gap[key] for key in ("accuracy", "accuracy_low", "accuracy_high"))
    unit, interval = units(first)
    match sign(gap):
        case None:
            return measurement(name, gap, first)
        case 0:
            span = f"{interval}{points(low)} to {points(high)}{unit}"
            return f"`{name}` can't be told apart from `{REFERENCE}` ({span})"
        case 1:
            verb = "beats"
        case _:
            verb, accuracy, low, high = "loses to", -accuracy, -high, -low
    span = f"{interval}{points(low)} to {points(high)}"
    return f"`{name}` {verb} `{REFERENCE}` by {points(accuracy)}{unit} ({span})"


def measurement(name: str, gap: dict[str, float | None], first: bool) -> str:
    """Say how far a variant is from the reference, but not that it is better or worse."""
    accuracy, low, high = (gap[key] for key in ("accuracy", "accuracy_low", "accuracy_high"))
    unit, interval = units(first)
    span = "" if low is None else f" ({interval}{points(low)} to {points(high)})"
    if not accuracy:
        return f"`{name}` has the same test accuracy as `{REFERENCE}`{span}"
    side = "above" if accuracy > 0 else "below"
    return f"`{name}` is {points(abs(accuracy))}{unit} {side} `{REFERENCE}`{span}"


def units(first: bool) -> tuple[str, str]:
    """Name what a gap and its interval are, in full for the first of them."""
    return (" points of test accuracy", "95 % interval ") if first else (" points", "")


def points(share: float) -> str:
    """Write a share in percentage points, with more digits where one would show zero."""
    is_small = 0 < abs(share) < 0.0005
    digits = -math.floor(math.log10(100 * abs(share))) if is_small else 1
    return f"{100 * share:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def results(settings: params.Params, evaluation: dict, data: dict) -> list[str]:
    """Tabulate the metrics of every variant, and show them."""
    rows = []
    for name in settings.variants:
        row, gap = evaluation[name], evaluation["gap"].get(f"{name}-{REFERENCE}")
        spread = "" if row["accuracy_std"] is None else f" ± {row['accuracy_std']:.3f}"
        rows.append(
            {
                "variant": f"`{name}`",
                "starts from": start(settings, name),
                "accuracy": f"{row['accuracy']:.3f}{spread}",
                "balanced accuracy": f"{row['balanced_accuracy']:.3f}",
                "log loss": f"{row['log_loss']:.3f}",
                "ROC AUC": f"{row['roc_auc']:.3f}",
                f"gap to `{REFERENCE}`": difference(gap) if gap else "",
                "McNemar's p": p_value(gap["mcnemar_p"]) if gap else "",
            }
        )
    repeats = settings.train.repeats
    draws = f"Each is the mean over {repeats} draws" if repeats > 1 else "Each is of one draw"
    sure = (
        ", ± one standard deviation; the gap has its 95 % interval, bold where zero is outside."
        if repeats > 1
        else ", and has no interval."
    )
    return [
        "## Who wins",
        table(rows, left=2),
        f"All on {plain(data['name'])}: {split_in_words('test', data)},"
        f" {split_in_words('train', data)}. {draws} of "
        f"{settings.train.samples:,} reviews to train on{sure} Balanced accuracy is the mean over "
        "the labels of the share labelled right. McNemar's exact test takes the probabilities "
        "averaged over the draws.",
        picture("comparison", "Test accuracy of each variant and repeat, and the gaps"),
    ]


def start(settings: params.Params, name: str) -> str:
    """Say in words what matrix a variant starts from, and whether training moves it."""
    variant = settings.variants[name]
    return f"{VECTORS[variant.vectors]}, {'trained on' if variant.trainable else 'frozen'}"


def difference(gap: dict[str, float | None]) -> str:
    """Write a gap with its interval, in bold where zero is outside."""
    low, high = gap["accuracy_low"], gap["accuracy_high"]
    mean = f"{gap['accuracy']:+.3f}"
    span = "" if low is None else f" ({low:.3f} to {high:.3f})"
    return (f"**{mean}**{span}" if sign(gap) else mean + span).replace("-", "\N{MINUS SIGN}")


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def training(settings: params.Params) -> list[str]:
    """Show the learning curves."""
    return [
        "## How they learned",
        "Where training goes on to rise and validation does not, a variant learns its "
        f"{settings.train.samples:,} reviews by heart.",
        picture("accuracy", "Training and validation accuracy by epoch"),
        picture("loss", "Training and validation loss by epoch"),
    ]


def words(settings: params.Params, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Show what training did to the vectors of words."""
    neighbours, moved = (
        dict(iter(tables[name].groupby("variant"))) if name in tables else {}
        for name in ("neighbours", "moved")
    )
    blocks = []
    if "pictured" in tables:
        blocks.append(picture("words", "Vectors before and after training"))
        pictured = list(tables["pictured"]["word"])
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
            parts += ["The words that training moved most:", table(rows, left=3)]
        if parts:
            blocks += [f"### Words in `{variant}`: {start(settings, variant)}", *parts]
    return ["## What the vectors did", *blocks] if blocks else []


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


def errors(tables: dict[str, pd.DataFrame], labels: list[str]) -> list[str]:
    """Quote reviews that one variant is wrong about and another is not."""
    if "disagreements" not in tables:
        return []
    blocks = []
    for kind, group in tables["disagreements"].groupby("kind", sort=False):
        blocks.append(f"### {plain(kind[:1].upper() + kind[1:])} ({len(group)})")
        blocks += [
            f"> **{plain(labels[row.label])}**, review {row.review}; probability of "
            f"{plain(labels[1])}: `{REFERENCE}` {row.learned:.2f}, `{row.variant}` {row.other:.2f}"
            "\n>\n"
            f"> “{plain(row.text)}”"
            for row in group.itertuples()
        ]
    return [
        "## Errors to read",
        "The end of each review, and the probability that each variant gave it, mean over draws.",
        *blocks,
    ]


def calibration(tables: dict[str, pd.DataFrame], labels: list[str]) -> list[str]:
    """Show how far to trust a probability."""
    if "calibration" not in tables:
        return []
    positive = plain(labels[1])
    return [
        "## Can the probabilities be believed?",
        f"On the diagonal they can: of the reviews given 0.8, eight in ten are {positive}.",
        picture("calibration", f"Share of {positive} by predicted probability"),
    ]


def lengths(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Show how accuracy goes with the length of a review."""
    if "lengths" not in tables:
        return []
    rows = [
        {"words": f"{first:,} to {last:,}", "reviews": f"{reviews:,}"}
        | {f"`{row.variant}`": f"{row.accuracy:.3f}" for row in group.itertuples()}
        for (first, last, reviews), group in tables["lengths"].groupby(
            ["words_from", "words_to", "reviews"]
        )
    ]
    return [
        "## Short and long reviews",
        picture("lengths", "Test accuracy by length of the review"),
        table(rows),
    ]


def origin(settings: params.Params, coverage: dict, data: dict) -> list[str]:
    """Say what data and what parameters all this comes from."""
    download = settings.download
    sources = [
        {
            "data": name,
            "source": source.source,
            "from": plain(place(source.location)) if source.location else "the requirements",
            "SHA-256": source.checksum or ("any" if source.location else "the package's"),
        }
        for name, source in (("reviews", download.reviews), ("vectors", download.vectors))
    ]
    sizes = [
        *split_sizes("train", data),
        ("of these, drawn to train on", settings.train.samples, None),
        ("of these, drawn to validate on", settings.train.validation_samples, None),
        *split_sizes("test", data),
        ("words of the train split", coverage["words"], coverage["words_with_vector"]),
        ("of these, kept", coverage["words_kept"], coverage["words_kept_with_vector"]),
    ]
    vectors = "with a pretrained vector"
    rows = [
        {"what": what, "how many": f"{n:,}", vectors: "" if m is None else f"{100 * m / n:.1f} %"}
        for what, n, m in sizes
    ]
    share = f"{100 * coverage['share_of_tokens']:.1f} %"
    rows.append(
        {"what": "tokens of the train split", "how many": f"{coverage['tokens']:,}", vectors: share}
    )
    missing = ", ".join(map(plain, coverage["most_frequent_without_vector"]))
    flat = pd.json_normalize(settings.model_dump()).iloc[0].to_dict()
    return [
        "## What it comes from",
        table(sources, left=4),
        table(rows),
        *equal_texts(data),
        *([f"The most frequent words without a pretrained vector: {missing}."] if missing else []),
        "### Every parameter",
        table([{"key": plain(key), "value": shown(key, value)} for key, value in flat.items()], 2),
    ]


def split_in_words(split: str, data: dict) -> str:
    """Say how many reviews a split has, and how many of each label."""
    counts = zip(data["labels"], data[split], strict=True)
    of_each = ", ".join(f"{count:,} {plain(label)}" for label, count in counts)
    return f"{sum(data[split]):,} reviews in the {split} split ({of_each})"


def split_sizes(split: str, data: dict) -> list[tuple[str, int, None]]:
    """List how many reviews a split has, and how many of each label."""
    counts = zip(data["labels"], data[split], strict=True)
    return [
        (f"reviews of the {split} split", sum(data[split]), None),
        *((f"of these, labelled {plain(label)}", count, None) for label, count in counts),
    ]


def shown(key: str, value: object) -> str:
    """Write the value of a parameter; of a path, no more than may be seen."""
    if not isinstance(value, str):
        return json.dumps(value)
    return plain(place(value) if key.endswith(".path") else value)


def place(path: str) -> str:
    """Cut what is private: of a URL user, password and query, of an absolute path the folders."""
    if url := re.match(r"([^:/]+://)(?:[^/?#]*@)?([^?#]*)", path):
        return "".join(url.groups())
    return Path(path).name if Path(path).is_absolute() else path


def plain(text: str) -> str:
    """Write any text on one line of Markdown, so that it is shown as it is.

    It must not begin a line, where further characters have a meaning.
    """
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return re.sub(r"[\\`*_\[<&~$|]|:(?=//)|(?<=www)\.", r"\\\g<0>", text)


def table(rows: list[dict[str, str]], left: int = 1) -> str:
    """Write rows of Markdown as a table; all but the first `left` columns stand to the right."""
    header = list(rows[0])
    rules = ["---" if column < left else "--:" for column in range(len(header))]
    lines = [header, rules, *([row.get(key, "") for key in header] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def picture(name: str, description: str) -> str:
    return f"![{description}](figures/{name}.png)"


def html(text: str, folder: Path) -> str:
    """Render what `markdown` wrote on a page that needs no other file.

    Pictures are read from `folder`. What stands under a heading of the third level is folded.
    """
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(text)
    for token in tokens:
        for part in token.children or ():
            if part.type == "image":
                content = base64.b64encode((folder / part.attrs["src"]).read_bytes()).decode()
                part.attrs["src"] = f"data:image/png;base64,{content}"
    body = renderer.renderer.render(tokens, renderer.options, {})
    body = body.replace("<table>", '<div class="table" tabindex="0">\n<table>')
    body = body.replace("</table>", "</table>\n</div>")
    body = re.sub("<img [^>]*>", FIGURE, body)
    body = re.sub(
        r"<h3>(.*?)</h3>(.*?)(?=<h[23]>|\Z)",
        r"<details>\n<summary>\1</summary>\2</details>\n",
        body,
        flags=re.DOTALL,
    )
    return PAGE.format(title=TITLE, style=STYLE, body=body)
