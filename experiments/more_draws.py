"""Add draws to the points of a sweep until their gaps are known: experiments.sweep --until."""

import json
import math
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

from experiments import points
from experiments.runs import REPEATS
from stages.shared import artifacts
from stages.shared.errors import InputError
from stages.shared.text import count_of


class Widths(NamedTuple):
    """The largest half-width of a run's gaps in accuracy, and what any number of draws leaves."""

    now: float
    any_draws: float


def run_until(
    grid: list[list[str]],
    run_points: Callable[[list[list[str]]], list[str | None]],
    half_width: float,
    most: int,
) -> Iterator[str]:
    """Run points, and again with twice the draws those with a gap that is not as sure as asked for.

    run_points gives the name of each point's experiment, None if it failed. Yields the last name of
    each point that did not fail. Of a point that stays wide, a line says so: with `most` draws, or
    if no number of draws would be enough.
    """
    waiting = dict(enumerate(grid))
    while waiting:
        names = run_points([*waiting.values()])
        for place, name in zip([*waiting], names, strict=True):
            draws = points.settings_of(waiting.pop(place)).train.repeats
            if name is None:
                continue
            widths = read_widths(name)
            more = next_draws(draws, widths, half_width, most)
            if widths.now > half_width:
                title = points.shown(grid[place], points.varying(grid)) or name
                points.say(f"{title}: {outcome(draws, widths, half_width, most)}")
            if more > draws:
                waiting[place] = [*grid[place], f"++{REPEATS}={more}"]
            else:
                yield name


def next_draws(draws: int, widths: Widths, half_width: float, most: int) -> int:
    """Say with how many draws a point is to be run next; as many as before: it is not."""
    if widths.now <= half_width or (draws > 1 and widths.any_draws > half_width):
        return draws
    return max(draws, min(2 * draws, most))


def outcome(draws: int, widths: Widths, half_width: float, most: int) -> str:
    """Say of a wide point how wide it is, and how it goes on."""
    measured = f"± {widths.now:.4f}" if math.isfinite(widths.now) else "no interval"
    measured += f" with {count_of(draws, 'draw')}"
    if (more := next_draws(draws, widths, half_width, most)) > draws:
        return f"{measured}, going on with {more}"
    if draws > 1 and widths.any_draws > half_width:
        return f"{measured}, and no number of draws gives ± {half_width:g}"
    return f"{measured}, which is the limit (--max-draws)"


def read_widths(name: str) -> Widths:
    """Read how wide the gaps to `learned` are; infinite where there is no interval.

    Raises InputError if the experiment does not say it.
    """
    command = ["git", "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}"]
    ref = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    done = subprocess.run(["git", "show", f"{ref}:{artifacts.PLANNING}"], capture_output=True)
    if done.returncode:
        raise InputError(f"{name} has no {artifacts.PLANNING}")
    gaps = json.loads(done.stdout)["gap"].values()
    keys = ("half_width", "half_width_of_any_draws")
    return Widths(
        *(max((math.inf if gap[k] is None else gap[k] for gap in gaps), default=0) for k in keys)
    )


if __name__ == "__main__":  # it is a part of the others
    print(__doc__)
