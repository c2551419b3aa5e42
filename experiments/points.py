"""The points of experiments.sweep, and which of them can run: found out before one is queued.

A point is a list of values as `dvc exp run --set-param` takes them.
"""

import json
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.compute as pc
import yaml
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from experiments.dvc_queue import key_of
from stages.download.land_texts import read_texts
from stages.shared import artifacts, params
from stages.shared.errors import InputError
from stages.shared.files import exists, reading_input
from stages.shared.schema import Loader, Params, Source, TextSource
from stages.shared.text import without_secrets

# The standard grid: of these sizes the last seven that the train split allows, for each head.
SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
MOST_SIZES = 7
HEADS = ("flatten", "mean", "conv")
GRID = ("train.samples", "model.head")
HELD_OUT = "train.validation_samples"
LONGEST = 300  # characters of a message


def quoted(value: object) -> str:
    """Write a value so that `--set-param` takes it as it is."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return '"' + re.sub(r'(\\*)("|$)', lambda m: 2 * m[1] + ("\\" + m[2]) * bool(m[2]), value) + '"'


def flat(content: dict, prefix: str = "") -> dict[str, object]:
    """Name each value of a nested mapping by its dotted key."""
    pairs = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        pairs |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return pairs


def read_setting(path: Path) -> list[str]:
    """Read a file of parameters as `--set-param` takes them; ++ adds what params.yaml lacks.

    Raises InputError if it is no file of parameters.
    """
    with reading_input(path):
        try:
            content = yaml.load(path.read_text("utf-8"), Loader)
        except yaml.YAMLError as error:
            raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no parameters, such as `train: {{epochs: 3}}`")
    return [f"++{key}={quoted(value)}" for key, value in flat(content).items()]


def expand(given: list[str]) -> list[list[str]]:
    """List the points of what `-S` gave: every combination, in the order given.

    Raises InputError for what is not KEY=VALUE.
    """
    entries = []
    for entry in given:
        key, is_value, value = entry.partition("=")
        if not key.strip("+") or not is_value:
            raise InputError(f"-S {entry}: should be KEY=VALUE, such as train.samples=100,200")
        if key.endswith(".path") and exists(Path(value)):  # whatever characters it has
            value = quoted(value)
        entries.append(f"++{key.lstrip('+')}={value}")
        try:
            get_hydra_sweeps({"": entries[-1:]})
        except (DvcException, HydraException):
            mend = f"""put the value into quotes of its own: -S "{key}='…'\""""
            raise InputError(f"-S {short(entry, 150)} can't be read: {mend}") from None
    return [point[""] for point in get_hydra_sweeps({"": entries})] if entries else [[]]


def short(text: str, most: int = LONGEST) -> str:
    """Cut a text to one line of so many characters, the secrets of its URLs hidden."""
    text = " ".join(without_secrets(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def settings_of(point: list[str]) -> Params:
    """Read what params.yaml would be at a point; raises InputError if no stage would take it."""
    with TemporaryDirectory() as folder:
        changed = shutil.copy(artifacts.PARAMS, folder)
        try:
            apply_overrides(changed, point)
            return params.load(Path(changed))
        except InputError as error:
            said = str(error).removeprefix(f"{changed}: ").removeprefix("the file: ")
            raise InputError(said) from None
        except (DvcException, HydraException, OmegaConfBaseException, TypeError) as error:
            raise InputError(short(str(error.__cause__ or error))) from None


@cache
def count_labels(source: TextSource) -> tuple[int, ...]:
    """Count the texts of each label in the train split, read as `download` reads them."""
    with redirect_stdout(sys.stderr):  # what it says of the file is no result
        table = read_texts(source)
    labels = table["label"].filter(pc.equal(table["split"], "train"))
    return tuple(np.bincount(labels.to_numpy()).tolist())


def count_texts(source: TextSource) -> int:
    """Count the texts of the train split."""
    return sum(count_labels(source))


def absolute(settings: Params) -> list[str]:
    """Name local files that Git does not keep by their whole path: a point runs elsewhere."""
    found = []
    sources: dict[str, Source] = {"texts": settings.download.texts}
    sources |= {f"vectors.{name}": source for name, source in settings.download.vectors.items()}
    for what, source in sources.items():
        if source.path and not source.is_url and not Path(source.path).is_absolute():
            command = ["git", "--literal-pathspecs", "ls-files", "--", source.path]
            if not subprocess.run(command, capture_output=True).stdout:
                found.append(f"++download.{what}.path={quoted(str(Path(source.path).resolve()))}")
    return found


def checked(point: list[str]) -> list[str]:
    """Complete a point that can run; raises InputError, why it can't."""
    settings = settings_of(point)
    n_texts = count_texts(settings.download.texts)
    if settings.train.samples > n_texts:
        raise InputError(
            f"the train split has {n_texts:,} texts: train.samples can be at most {n_texts:,}"
        )
    return point + absolute(settings)


def standard(base: list[str]) -> list[list[str]]:
    """Lay the standard grid over one point: the heads that it allows, sizes that fit the data.

    Raises InputError if nothing can run.
    """
    heads, refused = {}, ""
    for head in HEADS:
        try:
            heads[head] = settings_of([*base, f"++model.head={head}"])
        except InputError as error:
            refused = str(error)
    if not heads:
        raise InputError(refused)
    settings = next(iter(heads.values()))
    n_texts, held_out = count_texts(settings.download.texts), settings.train.validation_samples
    if held_out > n_texts // 2 and HELD_OUT not in map(key_of, base):
        say(f"{HELD_OUT} is {n_texts // 5:,} here: the train split has only {n_texts:,} texts")
        held_out = n_texts // 5
        base = [*base, f"++{HELD_OUT}={held_out}"]
    sizes = [size for size in SIZES if size + held_out <= n_texts][-MOST_SIZES:]
    if not sizes:
        raise InputError(
            f"the train split has {n_texts:,} texts, of which {HELD_OUT} takes {held_out:,}:"
            f" too few for the smallest size, {SIZES[0]}"
        )
    if refused:
        say(f"the standard grid has only the head {' and '.join(heads)}: {refused}")
    base = base + absolute(settings)
    return [
        [*base, f"++train.samples={size}", f"++model.head={head}"]
        for size in sizes
        for head in heads
    ]


def plan(setting: list[str], given: list[str]) -> tuple[list[list[str]], int]:
    """List the points that can run, and count those that can't, which are named.

    The standard grid is added unless there is a setting, or `given` names a parameter of the grid,
    or has several values of one outside `download`. Raises InputError if no point can run.
    """
    own = expand(given)
    swept = [key for key in varying(own) if not key.startswith("download.")]
    is_standard = not (setting or swept or {*GRID} & {*map(key_of, own[0])})
    points, refused = [], []
    for values in own:
        try:
            point = setting + values
            points += standard(point) if is_standard else [checked(point)]
        except InputError as error:
            refused.append((values, str(error)))
    if not points:
        raise InputError(short(refused[0][1], LONGEST - len("error: ")))
    if refused:
        names = ", ".join(shown(values, varying(own)) for values, _ in refused)
        verb = "can't run and is" if len(refused) == 1 else "can't run and are"
        say(f"{len(refused)} of {len(own)} points {verb} left out: {short(names, 120)}:"
            f" {refused[0][1]}")  # fmt: skip
    once = {frozenset({key_of(entry): entry for entry in point}.items()): point for point in points}
    return [*once.values()], len(refused)


def check_keys(point: list[str], keys: list[str]) -> None:
    """Raise InputError if one of these is no parameter at a point."""
    known = flat(settings_of(point).model_dump())
    for key in keys:
        if key not in known:
            raise InputError(f"--over and --panel take parameters, and {key} is none")


def varying(points: list[list[str]]) -> list[str]:
    """Name the parameters that differ between points; what comes last in a point holds."""
    values: dict[str, set[str]] = {}
    for point in points:
        for key, entry in {key_of(entry): entry for entry in point}.items():
            values.setdefault(key, set()).add(entry)
    return [key for key, found in values.items() if len(found) > 1]


def shown(point: list[str], keys: list[str] | None = None) -> str:
    """Write a point for a message, or of it these parameters, the secrets of URLs hidden."""
    entries = (e.lstrip("+") for e in point if keys is None or key_of(e) in keys)
    return " ".join(map(without_secrets, entries))


def say(line: str) -> None:
    """Print a note, before anything is queued."""
    print(short(line), file=sys.stderr, flush=True)


if __name__ == "__main__":  # it is a part of the others
    print(__doc__)
