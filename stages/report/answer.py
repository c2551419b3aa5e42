"""The answer: yes, no or no verdict, by how much, how sure that is, and how good the best is."""

import re
import textwrap
from itertools import chain
from typing import TypedDict

from stages.report.markdown import listed, plain, points, share
from stages.shared import evidence
from stages.shared.evidence import REFERENCE
from stages.shared.schema import Params, Start

COLUMNS = 80  # of a terminal
MANY_EQUAL = 0.01  # of the test split; so many equal texts are worth a warning
# What an area under the ROC curve is worth: Hosmer, Lemeshow and Sturdivant, Applied Logistic
# Regression (2013), 5.2.4.
GRADES = (
    (0.9, "which counts as outstanding"),
    (0.8, "which counts as excellent"),
    (0.7, "which counts as acceptable"),
    (0.5, "not much better than a coin toss"),
    (0.0, "no better than a coin toss"),
)
UNTUNED = (
    "All were trained by one recipe, which may suit one start more than another: with `train.tune`"
    " each chooses its own."
)


class Gap(TypedDict):
    """How far a variant is from the reference; with one repeat its intervals have no ends."""

    accuracy: float
    accuracy_low: float | None
    accuracy_high: float | None
    roc_auc: float
    roc_auc_low: float | None
    roc_auc_high: float | None


def answer(settings: Params, evaluation: dict, coverage: dict, data: dict) -> str:
    """Answer the question, say how sure that is, and how good the best variant is.

    It says yes or no about the variants that do not start at random, unless there was only one
    draw, or there are doubts about what was measured. A doubt about another variant is told of it.
    """
    others = [name for name in settings.variants if name != REFERENCE]
    gaps: dict[str, Gap] = {name: evaluation["gap"][f"{name}-{REFERENCE}"] for name in others}
    pretrained = [name for name in others if start_of(settings, name).is_pretrained]
    samples = f"{settings.train.samples:,} labelled texts"
    covered = by_file(settings, coverage)
    each = {
        name: evidence.doubts(name, start_of(settings, name).lookup, evaluation, covered, data)
        for name in others
    }
    doubts = dict.fromkeys(chain.from_iterable(each[name] for name in pretrained or others))
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
        clauses = listed(
            clause(name, gap, name == others[0], each[name]) for name, gap in gaps.items()
        )
        if settings.train.repeats > 1:
            first = f"with {samples}, {clauses}."
        else:
            first = f"with one draw of {samples}, {clauses}, which says nothing about other draws."
        first = f"**{short}:** {first}" if short else first[0].upper() + first[1:]
        if not settings.train.tune:
            first += f" {UNTUNED}"
    doubtful = doubts or each.get(evaluation["best"]["variant"])
    return f"{first} {quality(evaluation, data, graded=not doubtful)}"


def start_of(settings: Params, name: str) -> Start:
    """What the embedding of a variant starts from."""
    return settings.embed[settings.variants[name].vectors]


def by_file(settings: Params, coverage: dict) -> dict:
    """Give the coverage of each file of vectors; keys of `embed` that look up alike share it."""
    return {settings.embed[key].lookup: of for key, of in coverage.items()}


def quality(evaluation: dict, data: dict, graded: bool) -> str:
    """Say how good the most accurate variant is, and how good always saying one label is."""
    name = evaluation["best"]["variant"]
    area, labels = evaluation[name]["roc_auc"], [*map(plain, data["labels"])]
    first = (
        f"{most_accurate(evaluation, data)} always saying {most_frequent(data)} is right for"
        f" {share(evaluation['majority'])}."
    )
    if len(labels) > 2:
        return (
            f"{first} `{name}` has a macro F1 of {evaluation[name]['macro_f1']:.3f}, the mean over"
            f" the {len(labels)} labels."
        )
    grade = next(grade for least, grade in GRADES if area > least or not least)
    return (
        f"{first} `{name}` ranks a text labelled {labels[1]} above one labelled {labels[0]} in"
        f" {100 * area:.0f} % of pairs (ROC AUC){f', {grade}' if graded else ''}."
    )


def most_accurate(evaluation: dict, data: dict) -> str:
    """Begin a sentence on the highest accuracy; it is called so only if the intervals say so."""
    best = evaluation["best"]
    name, texts = best["variant"], f"the {sum(data['test']):,} test texts"
    right = share(evaluation[name]["accuracy"])
    if best["second"] is None:
        return f"Of {texts}, `{name}` labels {right} right;"
    if best["accuracy_low"] is None:  # one repeat says nothing of others
        return f"Of {texts}, `{name}` labels the most right, {right};"
    if best["undecided"]:
        others = " or ".join(f"`{other}`" for other in best["undecided"])
        return f"Of {texts}, `{name}` labels {right} right, not significantly more than {others};"
    return f"The most accurate, `{name}`, labels {right} of {texts} right;"


def most_frequent(data: dict) -> str:
    """Name the label that the train split has most of."""
    return plain(data["labels"][data["train"].index(max(data["train"]))])


def warnings(settings: Params, coverage: dict, data: dict) -> list[str]:
    """List what a reader must know before the answer."""
    of_vectors: dict[str, str] = {}  # each once: several keys of `embed` may read one file
    for name, of in coverage.items():
        for warning in of["warnings"]:
            of_vectors.setdefault(plain(warning), f"`{name}`: " if len(coverage) > 1 else "")
    found = [f"{place}{warning}" for warning, place in of_vectors.items()]
    warning = evidence.overlap_warning(settings.train.samples, sum(data["train"]))
    if warning and settings.train.repeats > 1:  # one repeat has no interval
        found.append(warning)
    if data["test_in_train"] >= MANY_EQUAL * sum(data["test"]):
        found.append(equal_texts(data)[0])
    return found


def equal_texts(data: dict) -> list[str]:
    """Say which texts occur twice, if any do."""
    found = []
    if n := data["test_in_train"]:
        found.append(
            f"{share(n / sum(data['test']))} of the test split's texts ({n:,}) are in the train"
            " split too, but for capitals and white space. Of these a model may know the answer:"
            " `download.texts.duplicates: drop` leaves them out of the train split."
        )
    if n := data["two_labels"]:
        found.append(f"{n:,} {'texts have' if n > 1 else 'text has'} more than one label.")
    return found


def sign(gap: Gap) -> int | None:
    """Say whether a gap in accuracy is above zero (1), below (-1) or undecided (0)."""
    return side(gap["accuracy_low"], gap["accuracy_high"])


def side(low: float | None, high: float | None) -> int | None:
    """Say whether an interval is above zero (1), below (-1) or on both sides (0); None: none."""
    return None if low is None or high is None else int(low > 0) - int(high < 0)


def short_answer(signs: set[int | None]) -> str:
    """Sum up the signs of gaps in a word or two, if they are known."""
    if not signs or None in signs:
        return ""
    if 1 in signs:
        return "Yes" if signs == {1} else "In part"
    return "No" if signs == {-1} else "Undecided"


def clause(name: str, gap: Gap, first: bool, doubts: list[str]) -> str:
    """Say how a variant compares with the reference; the first one to do so names the units."""
    accuracy, low, high = gap["accuracy"], gap["accuracy_low"], gap["accuracy_high"]
    if doubts:
        return f"{measurement(name, gap, first)}, which is no answer ({listed(map(plain, doubts))})"
    if low is None or high is None:
        return measurement(name, gap, first)
    unit, interval = units(first)
    match sign(gap):
        case 0:
            span = f"{interval}{points(low)} to {points(high)}{unit}"
            return f"`{name}` does not differ significantly from `{REFERENCE}` ({span})"
        case 1:
            verb = "beats"
        case _:
            verb, accuracy, low, high = "loses to", -accuracy, -high, -low
    span = f"{interval}{points(low)} to {points(high)}"
    return f"`{name}` {verb} `{REFERENCE}` by {points(accuracy)}{unit} ({span})"


def measurement(name: str, gap: Gap, first: bool) -> str:
    """Say how far a variant is from the reference, but not that it is better or worse."""
    accuracy, low, high = gap["accuracy"], gap["accuracy_low"], gap["accuracy_high"]
    unit, interval = units(first)
    span = "" if low is None or high is None else f" ({interval}{points(low)} to {points(high)})"
    if not accuracy:
        return f"`{name}` has the same test accuracy as `{REFERENCE}`{span}"
    side = "above" if accuracy > 0 else "below"
    return f"`{name}` is {points(abs(accuracy))}{unit} {side} `{REFERENCE}`{span}"


def units(first: bool) -> tuple[str, str]:
    """Name what a gap and its interval are, in full for the first of them."""
    return (" points of test accuracy", "95 % interval ") if first else (" points", "")


def terminal(page: str) -> str:
    """Cut from a page what stands above its first section, as plain text for a terminal."""
    text = page.partition("\n## ")[0].partition("\n\n")[2]
    text = re.sub(r"\\([^A-Za-z0-9\s])|\*\*|`", r"\1", text)
    blocks = [textwrap.fill(block, COLUMNS) for block in text.split("\n\n")]
    return "\n\n".join([*blocks, "The report: metrics/report.html"]) + "\n"
