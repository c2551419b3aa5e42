"""Finished repeats on disk: kept until all are, so that an interrupted training goes on from there.

The weights and the history of a repeat are written, then their SHA-256: it is finished.
"""

import hashlib
import json
import os
import platform
import re
import shutil
from importlib.metadata import version
from pathlib import Path

from stages.train.backend import THREADS

import pandas as pd
from keras import Model

from stages.shared import artifacts
from stages.shared.files import remove, sha256_of, whole
from stages.shared.schema import Params
from stages.train.loop import History

CODE = Path(__file__).parents[1]


def key_of(settings: Params, variant: str, inputs: list[Path]) -> str:
    """Hash all that decides a variant's weights: code, parameters, content of the inputs."""
    code, own = sorted(CODE.rglob("*.py")), settings.variants[variant]
    chosen = settings.seed, settings.model, settings.train, own, settings.embed[own.vectors]
    content = [repr(chosen), *map(sha256_of, [*code, *inputs])]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def finished_before(folder: Path, key: str) -> list[int]:
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
    """Give the SHA-256 of weights and history of a repeat, next to its `path`."""
    return "\n".join(sha256_of(path.with_suffix(end)) for end in (".weights.h5", ".csv"))


def keep(model: Model, history: History, folder: Path, variant: str, repeat: int) -> None:
    """Write weights and history of a finished repeat, and then the sums that say so."""
    model.save_weights(folder / artifacts.weights(variant, repeat).name)
    rows = [{"repeat": repeat, "epoch": epoch, **row} for epoch, row in enumerate(history, 1)]
    path = folder / f"repeat_{repeat}.csv"
    pd.DataFrame(rows).round(6).to_csv(path, index=False)
    with whole(path.with_suffix(".sha256")) as partial_file:
        partial_file.write_text(sums_of(path))


def gather(folder: Path, variant: str, repeats: int) -> None:
    """Make the outputs of a variant from its finished repeats, which are removed."""
    with whole(artifacts.model(variant)) as models:
        models.mkdir()
        for repeat in range(repeats):
            shutil.copy(folder / artifacts.weights(variant, repeat).name, models)
    histories = [pd.read_csv(folder / f"repeat_{repeat}.csv") for repeat in range(repeats)]
    with whole(artifacts.training(variant)) as partial_file:
        pd.concat(histories).to_csv(partial_file, index=False, lineterminator="\n")
    remove(folder)


def record_machine(variant: str) -> None:
    """Record what trained a variant in a file on which no metric and no hash depends."""
    cpu_info = Path("/proc/cpuinfo")
    named = re.search("model name\\s*: (.*)", cpu_info.read_text()) if cpu_info.exists() else None
    record = {
        "python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "processor": f"{named[1] if named else platform.processor()}, {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": THREADS,
    }
    with whole(artifacts.trained_on(variant)) as partial_file:
        partial_file.write_text(json.dumps(record, indent=2) + "\n")
