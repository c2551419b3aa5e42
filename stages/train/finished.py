"""Finished repeats on disk: kept until all are, so that an interrupted training goes on from there.

Of each, weights, history, what was tried, and then their SHA-256 are written, which say that it is
finished.
"""

import hashlib
import shutil
from pathlib import Path

import pandas as pd

from stages.shared import artifacts
from stages.shared.files import remove, sha256_of, whole
from stages.shared.schema import Params
from stages.train.tuning import Tried, choose

CODE = Path(__file__).parents[1]
ENDS = (".weights.h5", ".csv", ".tried.csv")


def key_of(settings: Params, variant: str, inputs: list[Path]) -> str:
    """Hash all that decides a variant's weights: code, parameters, content of the inputs."""
    code, own = sorted(CODE.rglob("*.py")), settings.variants[variant]
    chosen = settings.seed, settings.model, settings.train, own, settings.embed[own.vectors]
    content = [repr(chosen), *map(sha256_of, [*code, *inputs])]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def before(folder: Path, key: str) -> list[int]:
    """List the repeats that an interrupted run with the same key has left in `folder`, and keep it.

    What a run with another key has left is removed.
    """
    if not (folder / key).exists():
        remove(folder)
        folder.mkdir(parents=True)
        (folder / key).touch()
    return sorted(
        int(path.stem.removeprefix("repeat_"))
        for path in folder.glob("repeat_*.sha256")
        if path.read_text() == sums_of(path)
    )


def sums_of(path: Path) -> str:
    """Give the SHA-256 of what there is of a repeat, next to its `path`."""
    return "\n".join(sha256_of(path.with_suffix(end)) for end in ENDS)


def keep(
    folder: Path,
    repeat: int,
    history: list[dict[str, float]],
    tried: list[Tried],
    chooses: tuple[str, ...],
) -> None:
    """Write what goes with the weights of a finished repeat, then their sums: it is finished."""
    rows = [{"repeat": repeat, "epoch": epoch, **row} for epoch, row in enumerate(history, 1)]
    path, chosen = folder / f"repeat_{repeat}.csv", choose(tried)
    pd.DataFrame(rows).round(6).to_csv(path, index=False)
    columns = ["repeat", *chooses, "epoch", "loss", "accuracy", "chosen"]
    of_each = [(repeat, *of.values, *of[1:], of is chosen) for of in tried]
    table = pd.DataFrame(of_each, columns=columns)
    table.round({"loss": 6, "accuracy": 6}).to_csv(path.with_suffix(".tried.csv"), index=False)
    with whole(path.with_suffix(".sha256")) as partial_file:
        partial_file.write_text(sums_of(path))


def gather(folder: Path, variant: str, repeats: int) -> None:
    """Make the outputs of a variant from its finished repeats, which are removed."""
    with whole(artifacts.model(variant)) as models:
        models.mkdir()
        for repeat in range(repeats):
            shutil.copy(folder / artifacts.weights(variant, repeat).name, models)
    for end, target in ((".csv", artifacts.training), (".tried.csv", artifacts.tuning)):
        tables = [pd.read_csv(folder / f"repeat_{repeat}{end}") for repeat in range(repeats)]
        with whole(target(variant)) as partial_file:
            pd.concat(tables).to_csv(partial_file, index=False, lineterminator="\n")
    remove(folder)
