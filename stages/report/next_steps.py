"""What to do next: whether more draws, or more test texts, would tell more about a gap."""

from typing import NamedTuple

from scipy.special import gammaincinv

from stages.report.answer import by_file, start_of
from stages.report.markdown import listed, plain, points, table
from stages.shared import evidence
from stages.shared.evidence import CONFIDENCE, REFERENCE
from stages.shared.schema import Params


class Comparison(NamedTuple):
    """Two variants, what is planned on the gap between them, and what makes it doubtful."""

    name: str
    other: str
    plan: dict
    doubts: list[str]

    @property
    def title(self) -> str:
        return f"`{self.name}` against `{self.other}`"


def next_steps(
    settings: Params, evaluation: dict, coverage: dict, data: dict, planning: dict
) -> list[str]:
    """Say what more draws or test texts would tell, in a table and a few sentences.

    All but planning as for the page; planning as in metrics/planning.json. There is no advice on a
    gap with a doubt.
    """
    found = comparisons(settings, evaluation, coverage, data, planning)
    if not found:
        return []
    sure = [of for of in found if not of.doubts]
    blocks = ["## What to do next"]
    if settings.train.repeats == 1:
        return [
            *blocks,
            "One draw says nothing about others, so nothing can be planned from it. It takes two"
            " draws at least: set `train.repeats` to 2 or more.",
        ]
    if len(sure) < len(found):
        doubts = dict.fromkeys(plain(doubt) for of in found for doubt in of.doubts)
        doubtful = listed(of.title for of in found if of.doubts)
        blocks.append(f"**No advice** on {doubtful}: {listed(doubts)}.")
    if any(of.plan["half_width"] is None for of in sure):
        blocks.append(
            "All test texts are of one group, which says nothing about others. So nothing can be"
            " planned from them: test on texts of more groups."
        )
    elif sure:
        blocks += [table([row(of) for of in sure]), *legend(settings, sure), advice(settings, sure)]
    return blocks


def comparisons(
    settings: Params, evaluation: dict, coverage: dict, data: dict, planning: dict
) -> list[Comparison]:
    """List each variant against the reference; and the best against the second, if another pair."""
    covered = by_file(settings, coverage)

    def doubts(name: str) -> list[str]:
        return evidence.doubts(name, start_of(settings, name).lookup, evaluation, covered, data)

    found = [
        Comparison(name, REFERENCE, planning["gap"][f"{name}-{REFERENCE}"], doubts(name))
        for name in settings.variants
        if name != REFERENCE
    ]
    first, second = planning["best"]["variant"], planning["best"]["second"]
    if second is not None and REFERENCE not in (first, second):
        both = [*dict.fromkeys(doubts(first) + doubts(second))]
        found.append(Comparison(first, second, planning["best"], both))
    return found


def row(of: Comparison) -> dict[str, str]:
    """Write the row of a comparison."""
    plan = of.plan
    return {
        "compared": of.title,
        "gap in points": f"{points(plan['gap'])} ± {points(plan['half_width'])}",
        "wins one further draw": in_percent(plan["chance"]),
        "smallest gap to be found": points(plan["smallest_gap"]),
        "draws for ± 1 point": f"{plan['draws']:,}" if plan["draws"] else "no number",
    }


def in_percent(chance: float) -> str:
    """Write a chance in whole percent; none is certain."""
    whole = round(100 * chance)
    return "under 1 %" if whole < 1 else "over 99 %" if whole > 99 else f"{whole} %"


def legend(settings: Params, sure: list[Comparison]) -> list[str]:
    """Say what the columns mean, and how rough the numbers are."""
    n_repeats = settings.train.repeats
    tail = (1 - CONFIDENCE) / 2
    # The chi-squared distribution's quantile; scipy.stats has it too, and takes long to import.
    low, high = (
        ((n_repeats - 1) / 2 / gammaincinv((n_repeats - 1) / 2, p)) ** 0.5 for p in (1 - tail, tail)
    )
    chosen = (
        " The last row compares the two of the highest accuracy. They were chosen by it, so their"
        " gap and its chance are rather too large."
        if sure[-1].other != REFERENCE
        else ""
    )
    return [
        "- **Wins one further draw**: the chance that the first is more accurate than the second if"
        f" both are trained once more, on another {settings.train.samples:,} texts of this train"
        " split, and scored on these test texts.\n"
        "- **Smallest gap to be found**: the true gap that four in five runs like this one would"
        " find significant. Runs like this often miss smaller ones.\n"
        "- **Draws for ± 1 point**: how many draws (`train.repeats`) make the 95 % interval of the"
        f" gap as narrow as ± 1 point. This run has {n_repeats}.",
        f"All of this is rough: it rests on how far {n_repeats} draws differ. The true standard "
        f"deviation may be {low:.1f} to {high:.1f} times the measured one (95 % interval).{chosen}",
    ]


def advice(settings: Params, sure: list[Comparison]) -> str:
    """Say how many draws, or how many test texts, make every gap known to one point."""
    said = []
    for of in sure:
        if of.plan["test_texts"]:
            said.append(
                f"For {of.title}, no number of draws gives ± 1 point: it takes more than"
                f" {of.plan['test_texts'] - 1:,} test texts."
            )
        elif not of.plan["draws"]:
            said.append(
                f"For {of.title}, no number of draws or test texts gives ± 1 point, since the draws"
                " share too many texts: it takes more texts to draw from."
            )
    which = "every other gap" if said else "every gap"
    draws = max(of.plan["draws"] or 0 for of in sure)
    if draws > settings.train.repeats:
        said.append(f"To know {which} to ± 1 point, set `train.repeats` to {draws:,}.")
    elif draws:
        said.append(f"{which.capitalize()} is known to ± 1 point: that takes no more draws.")
    said.append("Add draws until the intervals are narrow, not until a gap is significant.")
    return " ".join(said)
